"""Entries of a step about rows as Parquet: thousands of them in a fraction of the time that lines of JSON take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xcomctl.airflow.record_columns import SCHEMA, documents, schema_of
from xcomctl.arrow_arrays import texts
from xcomctl.errors import RefusedError
from xcomctl.models import ObjectAddress
from xcomctl.s3.documents import damaged
from xcomctl.state.journal.records import JournalEntry

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_ENTRIES = 1_000_000
"""More than any step has: a few bytes could else stand for as many rows as fill the memory."""


def outcome_table(rows: pa.Table, results: Sequence[str]) -> pa.Table:
    """What came of recorded rows, one result each."""
    return rows.select(["table", "row_key"]).append_column("result", texts(results)).replace_schema_metadata()


def table_of(entries: Sequence[JournalEntry]) -> pa.Table:
    """Entries that have the same members, all of them texts."""
    import pyarrow as pa

    names = list(entries[0]) if entries else []
    return pa.table({name: texts([entry[name] for entry in entries]) for name in names})


def pack(entries: pa.Table) -> bytes:
    """Entries as the bytes of one object. The same ones are the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(entries, sink, compression="zstd", write_page_checksum=True)
    return bytes(sink.getvalue().to_pybytes())


def unpack(raw: bytes, address: ObjectAddress) -> list[JournalEntry]:
    """The entries that an object holds. Raises RefusedError for what is damaged or cut off, and for a newer schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(pa.BufferReader(raw), page_checksum_verification=True) as file:
            if file.metadata.num_rows > _MOST_ENTRIES:
                raise damaged(address)
            table = file.read()
        schema = schema_of(table)
        if schema is None:
            return list(table.to_pylist())
        if schema == SCHEMA:
            return list(documents(table))
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise damaged(address) from None
    raise RefusedError(
        f"{address.uri} was written by another release of xcomctl ({schema})",
        hint="pip install --upgrade xcomctl",
    )
