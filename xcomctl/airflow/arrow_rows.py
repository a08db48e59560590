"""Rows of one table by ADBC, as batches of `interface.row_schema()`: the same that `records.to_batches` makes of records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xcomctl.airflow.adbc import AdbcSession
from xcomctl.airflow.failures import translate_database_errors
from xcomctl.airflow.interface import row_schema
from xcomctl.airflow.queries import FIELDS, TableQuery
from xcomctl.airflow.url import DatabaseAddress
from xcomctl.arrow_arrays import flags, integers, text
from xcomctl.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBERS = ("dag_run_id", "map_index", "try_number", "superseded")
_TIMES = ("written_at", "run_at", "run_ended_at")

_EARLIEST = -210_866_803_200_000_000
"""4713 BC in microseconds since 1970, the first time that PostgreSQL has. The infinite ones overflow to below it."""

# What JSON writes in another way, or json.dumps does.
_TO_ESCAPE = r"[^ !#-\[\]-~]"


@contextmanager
def arrow_batches(
    session: AdbcSession,
    table: TableQuery,
    condition: str,
    parameters: dict[str, Any],
    *,
    most_rows: int,
    most_bytes: int,
) -> Iterator[Iterator[pa.RecordBatch] | None]:
    """Rows for which the condition holds; None where the session does not begin to answer, or not in Airflow's types.

    The times of `table` are as they are stored. Raises SourceError.
    """
    fields = [field for field in FIELDS if not (table.is_null(field) or table.expressions[field].isdigit())]
    query = session.with_values(table.select("postgresql", condition, fields), parameters)
    schema = session.schema(query)
    if schema is None or not all(map(_is_expected, fields, schema.types)):
        yield None
        return
    with session.answer(query, most_bytes) as answer:
        yield None if answer is None else _Rows(table, session.address, fields).batches(answer, most_rows)


def _is_expected(field: str, kind: pa.DataType) -> bool:
    import pyarrow as pa

    if field in _NUMBERS:
        return bool(pa.types.is_integer(kind))
    if field in _TIMES:
        return bool(pa.types.is_timestamp(kind) and kind.unit == "us")
    return bool(pa.types.is_string(kind) or (field == "raw" and pa.types.is_binary(kind)))


@dataclass(frozen=True, slots=True)
class _Rows:
    """Makes rows of the columns that a table was asked for."""

    table: TableQuery
    address: DatabaseAddress
    fields: Sequence[str]

    def batches(self, answer: Iterator[pa.RecordBatch], most_rows: int) -> Iterator[pa.RecordBatch]:
        """The rows, at most so many at a time."""
        first = 0
        for found in answer:
            batch = self._batch(found, first)
            for start in range(0, batch.num_rows, most_rows):
                yield batch.slice(start, most_rows)
            first += batch.num_rows

    def _batch(self, found: pa.RecordBatch, first: int) -> pa.RecordBatch:
        import pyarrow as pa

        schema = row_schema()
        rows = found.num_rows
        columns = {
            field: self._column(field, column)
            for field, column in zip(self.fields, found.columns, strict=True)
        }
        columns["source_table"] = pa.repeat(text(self.table.name), rows)
        columns["archived"] = flags([self.table.archived] * rows)
        columns["row_key"] = self._row_keys(columns, first, rows)
        columns["superseded"] = _flags(columns.get("superseded"), rows)
        return pa.RecordBatch.from_arrays(
            [
                columns[field.name] if field.name in columns else pa.nulls(rows, field.type)
                for field in schema
            ],
            schema=schema,
        )

    def _column(self, field: str, column: pa.Array) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        if field in _NUMBERS:
            return column.cast(pa.int64())
        if field == "raw":
            return column.view(pa.binary())
        if field not in _TIMES:
            return self._checked(column)
        earliest = pc.min(column.view(pa.int64())).as_py()
        if earliest is not None and earliest < _EARLIEST:
            raise SourceError(
                f"the database holds a {field} that is infinite",
                hint="mend or remove that row; nothing is judged while a row cannot be read",
            )
        # Airflow keeps times without a zone in UTC.
        return column.view(pa.timestamp("us", tz="UTC"))

    def _checked(self, texts: pa.Array) -> pa.Array:
        """The texts, if they are UTF-8. A database that has no encoding holds any bytes."""
        import pyarrow as pa

        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            with translate_database_errors(self.address):
                raise UnicodeError from None
        return texts

    def _row_keys(self, columns: Mapping[str, pa.Array], first: int, rows: int) -> pa.Array:
        """As `records.row_key_of` writes them."""
        import numpy as np

        if self.table.identity == "none":
            return _json_arrays([integers(np.arange(first, first + rows))])
        names = (
            ("row_id",) if self.table.identity == "uuid" else ("dag_run_id", "task_id", "map_index", "key")
        )
        return _json_arrays([columns[name] for name in names])


def _flags(numbers: pa.Array | None, rows: int) -> pa.Array:
    """0, 1 and NULL as truth values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    false = flags([False] * rows)
    return false if numbers is None else pc.coalesce(numbers.cast(pa.bool_()), false)


def _json_arrays(columns: Sequence[pa.Array]) -> pa.Array:
    """For each row the JSON array of its numbers and texts, as `json.dumps` writes it without spaces."""
    import pyarrow as pa
    import pyarrow.compute as pc

    parts: list[Any] = []
    before = "["
    for number, column in enumerate(columns):
        mark = "" if pa.types.is_integer(column.type) else '"'
        parts += [text(before + ("," if number else "") + mark), column.cast(pa.string())]
        before = mark
    written = pc.binary_join_element_wise(*parts, text(before + "]"), text(""))
    rest = pc.is_null(written)
    for column in columns:
        if not _is_plain(column):
            # Where the column is null, `written` is as well.
            rest = pc.or_kleene(rest, pc.match_substring_regex(column, _TO_ESCAPE))
    if not pc.any(rest).as_py():
        return written
    records = zip(*(column.filter(rest).to_pylist() for column in columns), strict=True)
    return pc.replace_with_mask(
        written,
        rest,
        pa.array([json.dumps(record, separators=(",", ":")) for record in records], pa.string()),
    )


def _is_plain(column: pa.Array) -> bool:
    """Whether no value has a character to escape: by all bytes at once, which is a fraction of a search in each."""
    import numpy as np
    import pyarrow as pa

    if pa.types.is_integer(column.type):
        return True
    held = np.frombuffer(column.buffers()[2] or b"", np.uint8)
    return not ((held < ord(" ")) | (held > ord("~")) | (held == ord('"')) | (held == ord("\\"))).any()
