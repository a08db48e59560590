"""Parquet: the footer, and of the data only the pages that the first rows are in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from xcomctl.codecs.cells import format_epoch, format_fraction, json_ready
from xcomctl.codecs.columns import chosen_columns
from xcomctl.codecs.compression import seekable
from xcomctl.codecs.interface import FramePreview, Payload, PreviewOptions
from xcomctl.codecs.statistics import Tally
from xcomctl.errors import UnreadableError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAGIC = b"PAR1"

_BUFFER = 1 << 16
"""Bytes that are read at once within a column; without a buffer a column chunk would be read whole."""
_BATCH = 8192
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


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
        statistics = _statistics(file, wanted) if options.describe else ()
    written_by_pandas = b"pandas" in (schema.metadata or {})
    return FramePreview(
        kind=kind or ("pandas.DataFrame" if written_by_pandas else "parquet"),
        rows=rows,
        columns=tuple((column.name, _type_name(column.type)) for column in schema),
        head=head,
        head_columns=tuple(schema.names[place] for place in wanted),
        statistics=statistics,
    )


def _type_name(kind: pa.DataType) -> str:
    """Arrow's name of a type; a dictionary (a category of pandas) by what it holds, whatever its indices are."""
    import pyarrow as pa

    return f"dictionary<{kind.value_type}>" if pa.types.is_dictionary(kind) else str(kind)


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
            found.setdefault(name, []).append(_plain(column))
        yield [found[names[place]][names[:place].count(names[place])] for place in wanted]


def _plain(column: pa.Array) -> pa.Array:
    """The column without what only encodes it: extension types, dictionaries."""
    import pyarrow as pa

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def cells(column: pa.Array) -> list[Any]:
    """The values of a column as JSON types. Times are formatted here: nanoseconds would need pandas, zones a database."""
    import pyarrow as pa

    if not _is_counted(column.type):
        return [json_ready(value) for value in column.to_pylist()]
    form = _form_of(column.type)
    return [None if count is None else form(count) for count in column.cast(pa.int64()).to_pylist()]


def _is_counted(kind: pa.DataType) -> bool:
    """Whether values of the type are integers that count parts of a second."""
    import pyarrow as pa

    return bool(pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind))


def _form_of(kind: pa.DataType) -> Callable[[int], str]:
    """How a value of such a type is written."""
    import pyarrow as pa

    per_second = _PER_SECOND[kind.unit]
    if pa.types.is_timestamp(kind):
        aware = kind.tz is not None
        return lambda count: format_epoch(count, per_second=per_second, aware=aware)
    form = _format_duration if pa.types.is_duration(kind) else _format_time
    return lambda count: form(count, per_second)


def _format_duration(count: int, per_second: int) -> str:
    """ISO 8601 in seconds: `PT90.500S`."""
    seconds, rest = divmod(abs(count), per_second)
    return f"{'-' if count < 0 else ''}PT{seconds}{format_fraction(rest, per_second)}S"


def _format_time(count: int, per_second: int) -> str:
    seconds, rest = divmod(count, per_second)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return clock + format_fraction(rest, per_second)


def _statistics(file: pq.ParquetFile, wanted: tuple[int, ...]) -> tuple[dict[str, Any], ...]:
    """Statistics of the wanted columns over all rows, batch by batch."""
    schema = file.schema_arrow
    tallies = [Tally(schema.names[place], _type_name(schema.types[place])) for place in wanted]
    for columns in _batches(file, wanted, batch_size=_BATCH * 8) if wanted else ():
        for tally, column in zip(tallies, columns, strict=True):
            _count(tally, column)
    for tally, place in zip(tallies, wanted, strict=True):
        kind = schema.types[place]
        if _is_counted(kind) and tally.least is not None:
            form = _form_of(kind)
            tally.least, tally.greatest = form(tally.least), form(tally.greatest)
    return tuple(tally.as_dict() for tally in tallies)


def _count(tally: Tally, column: pa.Array) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    # pandas means "no value" by a NaN as much as by a null.
    floating = pa.types.is_float32(kind) or pa.types.is_float64(kind)
    present = column.filter(pc.invert(pc.is_nan(column))) if floating else column.drop_null()
    least = greatest = total = None
    if len(present):
        if _is_counted(kind):
            present = present.cast(pa.int64())
        if _is_ordered(present.type):
            bounds = pc.min_max(present)
            least, greatest = bounds["min"].as_py(), bounds["max"].as_py()
        if pa.types.is_integer(kind) or floating or pa.types.is_decimal(kind):
            total = pc.sum(present.cast(pa.float64())).as_py()
    tally.add(
        count=len(present), nulls=len(column) - len(present), least=least, greatest=greatest, total=total
    )


def _is_ordered(kind: pa.DataType) -> bool:
    import pyarrow as pa

    of = pa.types
    tests = (
        of.is_integer,
        of.is_float32,
        of.is_float64,
        of.is_decimal,
        of.is_string,
        of.is_large_string,
        of.is_date,
        of.is_boolean,
    )
    return any(test(kind) for test in tests)
