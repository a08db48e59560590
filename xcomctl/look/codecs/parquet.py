"""Parquet: the footer, and of the data only the pages that the first rows are in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from xcomctl.errors import UnreadableError
from xcomctl.look.codecs.arrow_cells import cells, plain, type_name
from xcomctl.look.codecs.compression import seekable
from xcomctl.look.codecs.interface import ColumnTaker, FramePreview, Payload, PreviewOptions, chosen_columns
from xcomctl.look.codecs.statistics import Statistics

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAGIC = b"PAR1"

_BUFFER = 1 << 16
"""Bytes that are read at once within a column; without a buffer a column chunk would be read whole."""
_BATCH = 8192


class ParquetCodec:
    """Parquet files, as pandas, Arrow, Spark and DuckDB write them."""

    name = "parquet"

    def sniff(self, start: bytes, payload: Payload) -> bool:
        """Whether the first bytes are the magic number."""
        return start.startswith(MAGIC)

    def preview(self, payload: Payload, options: PreviewOptions) -> FramePreview:
        """Shape, types and first rows. Raises UnreadableError (truncated, corrupt), UsageError (no such column)."""
        return preview_parquet(seekable(payload), options)


def preview_parquet(stream: BinaryIO, options: PreviewOptions, *, kind: str | None = None) -> FramePreview:
    """Preview the Parquet file in `stream` (seekable); `kind` is what wrote it, if that is known from elsewhere.

    Raises UnreadableError (truncated, corrupt) and UsageError (no such column).
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _translated():
        file = pq.ParquetFile(pa.PythonFile(stream, mode="r"), pre_buffer=False, buffer_size=_BUFFER)
        schema = file.schema_arrow
        rows = file.metadata.num_rows
    wanted = chosen_columns(schema.names, options)
    with _translated():
        head = _head(file, wanted, options.head)
    names = [schema.names[place] for place in wanted]
    types = [type_name(schema.types[place]) for place in wanted]
    statistics = Statistics(names, types) if options.describe else None
    takers = [taker for taker in (statistics, options.sink) if taker is not None]
    if takers:
        for taker in takers:
            taker.begin(names, types)
        _pass_on(file, wanted, takers, rows if options.rows is None else min(rows, options.rows))
    written_by_pandas = b"pandas" in (schema.metadata or {})
    return FramePreview(
        kind=kind or ("pandas.DataFrame" if written_by_pandas else "parquet"),
        rows=rows,
        columns=tuple((column.name, type_name(column.type)) for column in schema),
        head=head,
        head_columns=tuple(names),
        statistics=() if statistics is None else statistics.columns(),
        described=None if statistics is None else statistics.rows,
    )


@contextmanager
def _translated() -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        cause = str(error).strip().partition("\n")[0]
        raise UnreadableError(
            f"the Parquet file is truncated or corrupt: {cause}",
            hint="--raw writes the bytes as they are stored",
        ) from error


def _head(file: pq.ParquetFile, wanted: tuple[int, ...], count: int) -> tuple[tuple[Any, ...], ...]:
    if not wanted:
        return tuple(() for _ in range(min(count, file.metadata.num_rows)))
    rows: list[tuple[Any, ...]] = []
    for columns in _batches(file, wanted, batch_size=max(1, min(count, _BATCH)), rows=count):
        rows += zip(*(cells(column[: count - len(rows)]) for column in columns), strict=True)
        if len(rows) >= count:
            break
    return tuple(rows)


def _batches(
    file: pq.ParquetFile, wanted: tuple[int, ...], *, batch_size: int, rows: int | None = None
) -> Iterator[list[pa.Array]]:
    """The wanted columns, batch by batch, of the row groups that hold the first `rows` rows (of all if None)."""
    names = file.schema_arrow.names
    groups: list[int] = []
    covered = 0
    for group in range(file.metadata.num_row_groups):
        if rows is not None and covered >= rows:
            break
        groups.append(group)
        covered += file.metadata.row_group(group).num_rows
    if not groups:
        return
    chosen = sorted({names[place] for place in wanted})
    for batch in file.iter_batches(
        batch_size=batch_size, row_groups=groups, columns=chosen, use_threads=False
    ):
        # pyarrow selects by name and keeps the order of the file: columns of one name come together.
        found: dict[str, list[pa.Array]] = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            found.setdefault(name, []).append(plain(column))
        yield [found[names[place]][names[:place].count(names[place])] for place in wanted]


def _pass_on(file: pq.ParquetFile, wanted: tuple[int, ...], takers: list[ColumnTaker], rows: int) -> None:
    """Give the takers the first `rows` rows. What they raise is theirs, and not taken for a corrupt file."""
    left = rows
    batches = _batches(file, wanted, batch_size=_BATCH * 8, rows=rows) if wanted else iter(())
    while left:
        with _translated():
            columns = next(batches, None)
        if columns is None:
            break
        part = [column[:left] for column in columns]
        left -= len(part[0])
        for taker in takers:
            taker.take(part)
