"""The actions of a plan: there can be as many as there are rows and objects, so that only a few of them are in memory."""

from __future__ import annotations

import hashlib
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from xcomctl.arrow_arrays import text
from xcomctl.errors import XcomctlError

if TYPE_CHECKING:
    import pyarrow as pa

    from xcomctl.inventory import Inventory

ActionKind = Literal["restore_object", "delete_row", "delete_object", "purge_object"]
"""In the order in which they are done: what is needed comes back first, what is of no use to anybody goes last."""

ACTION_KINDS: tuple[ActionKind, ...] = get_args(ActionKind)

PUBLIC_COLUMNS = ("action", "uri", "dag_id", "run_id", "task_id", "map_index", "key", "size", "reason")
"""What a plan tells of each action; the other columns of `action_schema` are what applying it needs."""

_BATCH = 10_000

_RECORDS_AT_A_TIME = 1000

_IN_MEMORY = 16 << 20
"""Bytes, packed. Beyond them all is in a file."""

_CODEC = "lz4_raw"


def action_schema() -> pa.Schema:
    """Columns of an action. Times are UTC without zone, microseconds."""
    import pyarrow as pa

    string, time = pa.string(), pa.timestamp("us")
    return pa.schema(
        [
            ("action", string),
            ("uri", string),
            ("dag_id", string),
            ("run_id", string),
            ("task_id", string),
            ("map_index", pa.int64()),
            ("key", string),
            ("size", pa.int64()),
            ("reason", string),
            # Of a row:
            ("source_table", string),
            ("row_key", string),
            ("written_at", time),
            ("digest", string),
            ("run_ended_at", time),  # as it was when the row was judged
            # Of an object:
            ("bucket", string),
            ("object_key", string),
            ("etag", string),
            ("last_modified", time),
            ("reusable", pa.bool_()),  # a writer may put this very key again
            # Of an object in the trash, whose own key is `object_key`; etag and time are those of what is there:
            ("trash_key", string),  # the key of the copy, or of the ledger that tells the version
            ("version_id", string),  # where the bucket keeps versions: the one that was hidden ...
            ("marker_id", string),  # ... and the delete marker that hides it
        ]
    )


@dataclass(frozen=True, slots=True)
class _Packed:
    """Where a batch of actions of one kind is, and the bytes that it has unpacked."""

    start: int
    length: int
    unpacked: int


class Actions:
    """The actions of a plan, in the order of `ACTION_KINDS`, and among those of a kind in that in which they were added.

    They are in a temporary file below `folder` (the system's if None) that has no name, and goes with its process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        # Closed by `finalize`, since a plan is a value, and has no end of its own.
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY, dir=None if folder is None else str(folder))  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._packed: dict[ActionKind, list[_Packed]] = {kind: [] for kind in ACTION_KINDS}
        self._counts: dict[ActionKind, int] = dict.fromkeys(ACTION_KINDS, 0)
        self._bytes: dict[ActionKind, int] = dict.fromkeys(ACTION_KINDS, 0)
        self._end = 0

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add batches that have the columns of `action_schema`. Raises XcomctlError where they find no room."""
        import pyarrow as pa
        import pyarrow.compute as pc

        schema = action_schema()
        for batch in batches:
            table = pa.Table.from_batches([batch]).select(schema.names).cast(schema)
            for kind in ACTION_KINDS:
                chosen = table.filter(pc.equal(table["action"], text(kind))).combine_chunks()
                for part in chosen.to_batches(max_chunksize=_BATCH):
                    self._counts[kind] += part.num_rows
                    self._bytes[kind] += pc.sum(part["size"]).as_py() or 0
                    self._packed[kind].append(self._pack(part))

    def __len__(self) -> int:
        return sum(self._counts.values())

    @property
    def counts(self) -> dict[ActionKind, int]:
        """How many there are of each kind."""
        return dict(self._counts)

    def size(self, kind: ActionKind) -> int:
        """Bytes of all that the actions of a kind are about."""
        return self._bytes[kind]

    def batches(self, *kinds: ActionKind) -> Iterator[pa.RecordBatch]:
        """The actions of these kinds, or of all."""
        schema = action_schema()
        for kind in ACTION_KINDS:
            if not kinds or kind in kinds:
                for packed in self._packed[kind]:
                    yield self._unpack(packed, schema)

    def records(self, *kinds: ActionKind, columns: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """The same, one after the other, with all columns or with these."""
        for batch in self.batches(*kinds):
            chosen = batch if columns is None else batch.select(columns)
            for start in range(0, chosen.num_rows, _RECORDS_AT_A_TIME):
                yield from chosen.slice(start, _RECORDS_AT_A_TIME).to_pylist()

    def digest(self) -> bytes:
        """SHA-256 of all that they say, however they are cut into batches.

        Of each column it takes which values there are, how long they are where they are text, and what they are; to
        write every action as text would take ten times as long.
        """
        columns = [_ColumnDigest() for _ in action_schema()]
        for batch in self.batches():
            for column, digest in zip(batch.columns, columns, strict=True):
                digest.update(column)
        whole = hashlib.sha256()
        for digest in columns:
            whole.update(digest.digest())
        return whole.digest()

    def _pack(self, batch: pa.RecordBatch) -> _Packed:
        import pyarrow as pa

        message = batch.serialize()
        packed = pa.compress(message, _CODEC, asbytes=True)
        try:
            self._file.seek(self._end)
            self._file.write(packed)
        except OSError as error:
            place = tempfile.gettempdir() if self._folder is None else self._folder
            raise XcomctlError(
                f"the actions of the plan cannot be written to {place}: {error.strerror or error}",
                hint="--tmp DIR, or TMPDIR in the environment, names a folder with more room",
            ) from error
        place_of = _Packed(self._end, len(packed), message.size)
        self._end += len(packed)
        return place_of

    def _unpack(self, packed: _Packed, schema: pa.Schema) -> pa.RecordBatch:
        import pyarrow as pa

        self._file.seek(packed.start)
        message = pa.decompress(self._file.read(packed.length), packed.unpacked, _CODEC)
        return pa.ipc.read_record_batch(message, schema)


class _ColumnDigest:
    """Of one column, whose values come in any number of arrays."""

    def __init__(self) -> None:
        self._parts = (hashlib.sha256(), hashlib.sha256(), hashlib.sha256())

    def update(self, column: pa.Array) -> None:
        """Take more of its values."""
        import pyarrow as pa
        import pyarrow.compute as pc

        absent, lengths, values = self._parts
        absent.update(_bytes(column.is_null().cast(pa.uint8())))
        # What stands in the place of a value that is not there is not defined.
        present = column.drop_null()
        if pa.types.is_string(present.type):
            lengths.update(_bytes(pc.binary_length(present)))
            _, offsets, content = present.buffers()
            first, last = _edges(present, offsets)
            values.update(memoryview(content)[first:last] if content is not None else b"")
        else:
            values.update(_bytes(present.cast(pa.int64())))

    def digest(self) -> bytes:
        """Of all values."""
        return b"".join(part.digest() for part in self._parts)


def _edges(texts: pa.Array, offsets: pa.Buffer) -> tuple[int, int]:
    """Where the bytes of an array of strings begin and end."""
    if not len(texts):
        return 0, 0
    places = memoryview(offsets).cast("i")
    return places[texts.offset], places[texts.offset + len(texts)]


def _bytes(numbers: pa.Array) -> memoryview | bytes:
    """The bytes of numbers, little-endian, of an array without NULL."""
    if not len(numbers):
        return b""
    width = numbers.type.bit_width // 8
    return memoryview(numbers.buffers()[1])[numbers.offset * width : (numbers.offset + len(numbers)) * width]


def planned_actions(inventory: Inventory, *, orphans: bool) -> Iterator[pa.RecordBatch]:
    """What a classified inventory lets go, as batches of `action_schema`."""
    inventory.run_script("actions.sql", {"orphans": orphans})
    yield from inventory.batches("FROM row_actions ORDER BY place")
    yield from inventory.batches("FROM object_actions ORDER BY bucket, object_key")
