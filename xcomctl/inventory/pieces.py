"""Batches as they come, in pieces of the size and the shape in which DuckDB works on them with all its threads."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 100_000
_BYTES = 32 << 20
_ROWS_PER_THREAD = 8_192


def pieces(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same records in fewer, larger tables, cut into chunks that threads can share. Times lose their zone, UTC."""
    held: list[pa.RecordBatch] = []
    rows = size = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        size += batch.nbytes
        if rows >= _ROWS or size >= _BYTES:
            piece = _table(held)
            held, rows, size = [], 0, 0
            del batch
            yield piece
            del piece
    if rows:
        yield _table(held)


def with_text(table: pa.Table, first_row: int) -> pa.Table:
    """The table with the columns `row_id` and `text`: the column `raw` where it is UTF-8, NULL where it is not."""
    import pyarrow as pa

    raw = table.column("raw")
    text = pa.chunked_array([_text(chunk) for chunk in raw.chunks], pa.string())
    row_ids = pa.chunked_array(_numbers(first_row, [len(chunk) for chunk in raw.chunks]), pa.int64())
    return table.append_column("row_id", row_ids).append_column("text", text)


def done_meanwhile(tables: Iterable[pa.Table], work: Callable[[pa.Table], None]) -> Iterator[int]:
    """Do `work` on one table after the other while the next one is read; the records of each when it is done.

    The tables are read in the caller's thread, the work is done in another one.
    """
    with ThreadPoolExecutor(1, "xcomctl-inventory") as thread:
        under_way: Future[None] | None = None
        rows = 0
        for table in tables:
            if under_way is not None:
                under_way.result()
                yield rows
            under_way, rows = thread.submit(work, table), table.num_rows
            # Whoever works on it holds it no longer than that.
            del table
        if under_way is not None:
            under_way.result()
            yield rows


def _table(batches: list[pa.RecordBatch]) -> pa.Table:
    import pyarrow as pa

    table = pa.Table.from_batches(batches)
    for index, field in enumerate(table.schema):
        # DuckDB would need its ICU extension to compare times with a zone.
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            table = table.set_column(index, field.name, table.column(index).cast(pa.timestamp("us")))
    return pa.Table.from_batches(table.to_batches(max_chunksize=_ROWS_PER_THREAD), schema=table.schema)


def _numbers(first: int, lengths: list[int]) -> list[pa.Array]:
    import pyarrow as pa

    arrays = []
    for length in lengths:
        # To make an array of a range takes ten times as long, and imports pandas.
        numbers = pa.py_buffer(array("q", range(first, first + length)))
        arrays.append(pa.Array.from_buffers(pa.int64(), length, [None, numbers]))
        first += length
    return arrays


def _text(raw: pa.Array) -> pa.Array:
    import pyarrow as pa

    try:
        return raw.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_decoded(value) for value in raw.to_pylist()], pa.string())


def _decoded(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None
