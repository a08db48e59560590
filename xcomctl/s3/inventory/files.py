"""The data files of an S3 Inventory as batches of objects: gzipped CSV, Parquet or ORC, never whole in memory.

Each file is copied to a temporary folder first: only a whole file can be checked against the MD5 of the manifest, and
nothing is taken from one that is not what S3 wrote.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from xcomctl.errors import NotFoundError, UnreadableError, UsageError
from xcomctl.files import TemporaryFolder
from xcomctl.models import Root
from xcomctl.s3.interface import Store, object_schema
from xcomctl.s3.inventory.manifest import DataFile, FileFormat, InventoryManifest

if TYPE_CHECKING:
    import pyarrow as pa

_AHEAD = 4
"""Files that are fetched at the same time, while another one is read."""

_ROWS = 50_000
_BLOCK = 4 << 20

# Our name, S3's in CSV, S3's in Parquet and ORC, and what the inventory's configuration calls it.
_COLUMNS = (
    ("key", "Key", "key", ""),
    ("size", "Size", "size", "Size"),
    ("etag", "ETag", "e_tag", "ETag"),
    ("last_modified", "LastModifiedDate", "last_modified_date", "Last modified"),
)
_VERSION = ("VersionId", "version_id")
_CURRENT = (("is_latest", "IsLatest", "is_latest"), ("is_marker", "IsDeleteMarker", "is_delete_marker"))

_OTHER_INVENTORY = "take another inventory, or leave out --inventory"


def read_objects(
    store: Store, manifest: InventoryManifest, root: Root, tmp: Path | None
) -> Iterator[pa.RecordBatch]:
    """Every object below `root` in the files of a manifest: its current version, unless that is a delete marker.

    Batches are of `object_schema()`. Raises NotFoundError, UnreadableError, UsageError, StoreError.
    """
    read = _READERS[manifest.format]
    try:
        # OSError here is about the temporary folder: what a reader meets is translated by `_read`.
        with TemporaryFolder(tmp) as folder:
            for file, path in _fetched(store, manifest.files, Path(folder)):
                yield from _read(file, path, manifest, root, read)
                path.unlink()
    except OSError as error:
        raise UsageError(
            f"the files of {manifest.uri} cannot be kept for a moment: {error.strerror or error}",
            hint="give a folder with more room: --tmp DIR",
        ) from error


def _fetched(store: Store, files: Sequence[DataFile], folder: Path) -> Iterator[tuple[DataFile, Path]]:
    """The files, fetched and checked, in order; the next ones are fetched meanwhile."""
    waiting: deque[tuple[DataFile, Path, Future[None]]] = deque()
    remaining = iter(enumerate(files))
    stopped = Event()
    with ThreadPoolExecutor(_AHEAD) as threads:
        try:
            while True:
                while len(waiting) < _AHEAD and (following := next(remaining, None)) is not None:
                    number, file = following
                    path = folder / str(number)
                    waiting.append((file, path, threads.submit(_fetch, store, file, path, stopped)))
                if not waiting:
                    return
                file, path, fetched = waiting.popleft()
                fetched.result()
                yield file, path
        finally:
            stopped.set()


def _fetch(store: Store, file: DataFile, path: Path, stopped: Event) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    size = 0
    try:
        with path.open("wb") as target:
            for chunk in store.stream(file.address):
                digest.update(chunk)
                size += len(chunk)
                target.write(chunk)
                if stopped.is_set():
                    return
    except NotFoundError as error:
        raise NotFoundError(
            f"{file.address.uri}, a file of the inventory, does not exist",
            hint="old files may have been deleted by a lifecycle rule: take a newer inventory",
        ) from error
    if (size, digest.hexdigest()) != (file.size, file.md5):
        raise _damaged(file, "its size or its MD5 is not what the manifest says")


def _read(
    file: DataFile, path: Path, manifest: InventoryManifest, root: Root, read: _Reader
) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        for table in read(path, manifest):
            for batch in _objects(table, manifest, root).to_batches(max_chunksize=_ROWS):
                if batch.num_rows:
                    yield batch
    except (pa.ArrowException, ValueError, EOFError, zlib.error) as error:
        raise _damaged(file, str(error)) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise _damaged(file, str(error)) from error


def _objects(table: pa.Table, manifest: InventoryManifest, root: Root) -> pa.Table:
    """The current objects of `table` (columns by our names) below `root`, as `object_schema()`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if "is_latest" in table.column_names:
        current = pc.and_not(table["is_latest"], pc.fill_null(table["is_marker"], False))
        table = table.filter(current)
    if manifest.format == "CSV":
        table = table.set_column(table.column_names.index("key"), "key", _decoded(table["key"]))
    table = table.filter(pc.starts_with(table["key"].cast(pa.string()), root.prefix))
    for name, *_ in _COLUMNS:
        if table[name].null_count:
            raise ValueError(f"an object without {name}")
    columns = {
        "bucket": pa.repeat(pa.scalar(root.bucket), table.num_rows),
        "key": table["key"],
        "size": table["size"],
        "etag": pc.utf8_trim(table["etag"].cast(pa.string()), '"'),
        # Without a zone they are UTC; finer than microseconds is nothing that S3 tells.
        "last_modified": table["last_modified"].cast(pa.timestamp("us", tz="UTC"), safe=False),
    }
    return pa.table(columns).cast(object_schema())


def _decoded(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Keys of a CSV, which are URL-encoded, a space as `+`. Raises ValueError for one that is no UTF-8."""
    import pyarrow as pa
    import pyarrow.compute as pc

    encoded = pc.match_substring_regex(keys, "[%+]")
    if not pc.any(encoded).as_py():
        return keys
    plain = [unquote_plus(key, errors="strict") for key in keys.filter(encoded).to_pylist()]
    return pc.replace_with_mask(keys.combine_chunks(), encoded.combine_chunks(), pa.array(plain, pa.string()))


def _csv(path: Path, manifest: InventoryManifest) -> Iterator[pa.Table]:
    import pyarrow as pa
    from pyarrow import csv

    names = _names(manifest.fields, 1, manifest)
    types: dict[str, Any] = {
        "Key": pa.string(),
        "Size": pa.int64(),
        "ETag": pa.string(),
        "LastModifiedDate": pa.timestamp("us", tz="UTC"),
        "IsLatest": pa.bool_(),
        "IsDeleteMarker": pa.bool_(),
    }
    with gzip.open(path) as probe:
        if not probe.read(1):
            return
    with (
        pa.input_stream(str(path), compression="gzip") as stream,
        csv.open_csv(
            stream,
            read_options=csv.ReadOptions(column_names=manifest.fields, block_size=_BLOCK),
            convert_options=csv.ConvertOptions(
                column_types={field: types[field] for field in names},
                include_columns=list(names),
                null_values=[""],  # a key may well be `NULL`
                strings_can_be_null=True,
                quoted_strings_can_be_null=True,
            ),
        ) as batches,
    ):
        for batch in batches:
            yield _named(pa.Table.from_batches([batch]), names)


def _parquet(path: Path, manifest: InventoryManifest) -> Iterator[pa.Table]:
    import pyarrow as pa
    from pyarrow import parquet

    # Read ahead, the whole file would stay in memory to its end, and such a file may have gigabytes.
    with parquet.ParquetFile(path, pre_buffer=False) as file:
        names = _names(file.schema_arrow.names, 2, manifest)
        for batch in file.iter_batches(batch_size=_ROWS, columns=list(names)):
            yield _named(pa.Table.from_batches([batch]), names)


def _orc(path: Path, manifest: InventoryManifest) -> Iterator[pa.Table]:
    import pyarrow as pa
    from pyarrow import orc

    with path.open("rb") as stream:
        file = orc.ORCFile(stream)
        names = _names(file.schema.names, 2, manifest)
        for number in range(file.nstripes):
            stripe = file.read_stripe(number, columns=list(names))
            yield _named(pa.Table.from_batches([stripe]), names)


_Reader = Callable[[Path, InventoryManifest], "Iterator[pa.Table]"]

_READERS: dict[FileFormat, _Reader] = {"CSV": _csv, "Parquet": _parquet, "ORC": _orc}


def _names(fields: Sequence[str], spelling: int, manifest: InventoryManifest) -> dict[str, str]:
    """The columns that are needed: S3's name -> our name. Raises UsageError where the inventory lacks some."""
    missing = [column[3] for column in _COLUMNS if column[spelling] not in fields]
    if missing:
        named = ", ".join(repr(name) for name in missing)
        raise UsageError(
            f"{manifest.uri} lacks {named}",
            hint=f"switch on the metadata {named} in the inventory's configuration, and take the next one",
        )
    names = {str(column[spelling]): str(column[0]) for column in _COLUMNS}
    versions = {str(column[spelling]): str(column[0]) for column in _CURRENT}
    if _VERSION[spelling - 1] in fields or any(name in fields for name in versions):
        if not all(name in fields for name in versions):
            raise UsageError(
                f"{manifest.uri} lists all versions, and does not say which are the current ones",
                hint="let the inventory include current versions only, and take the next one",
            )
        names |= versions
    return names


def _named(table: pa.Table, names: dict[str, str]) -> pa.Table:
    return table.select(list(names)).rename_columns(list(names.values()))


def _damaged(file: DataFile, why: str) -> UnreadableError:
    return UnreadableError(
        f"{file.address.uri}, a file of the inventory, is damaged: {why}", hint=_OTHER_INVENTORY
    )
