"""Rows of one table by COPY, as batches of `interface.row_schema()`: the same that `records.to_batches` makes of records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.binary_tuples import WIDTHS, BinaryTuples, Kind
from xcomctl.airflow.copying import copied
from xcomctl.airflow.failures import translate_database_errors
from xcomctl.airflow.interface import row_schema
from xcomctl.airflow.queries import FIELDS, TableQuery
from xcomctl.airflow.url import DatabaseAddress
from xcomctl.arrow_arrays import flags, integers, text

if TYPE_CHECKING:
    import pyarrow as pa

# By the number that the type has in every release of PostgreSQL.
_KINDS: dict[int, Kind] = {
    17: "bytes",  # bytea
    20: "int8",
    21: "int2",
    23: "int4",
    25: "text",
    1043: "text",  # varchar
    1114: "time",  # timestamp, which Airflow keeps in UTC
    1184: "time",  # timestamptz
}
_WANTED: dict[str, tuple[Kind, ...]] = {
    **dict.fromkeys(("dag_run_id", "map_index", "try_number", "superseded"), ("int2", "int4", "int8")),
    **dict.fromkeys(("written_at", "run_at", "run_ended_at"), ("time",)),
    "raw": ("text", "bytes"),
}
_TEXT: tuple[Kind, ...] = ("text",)

# What JSON writes in another way, or json.dumps does.
_TO_ESCAPE = r"[^ !#-\[\]-~]"


@dataclass(frozen=True, slots=True)
class CopiedRows:
    """A table of PostgreSQL that COPY can read. The times of `table` are as they are stored."""

    connection: Connection
    table: TableQuery
    address: DatabaseAddress
    kinds: Mapping[str, Kind]
    """Of the fields that the table has something to say of, in the order in which they are asked for."""

    @classmethod
    def of(cls, connection: Connection, table: TableQuery, address: DatabaseAddress) -> CopiedRows | None:
        """The table, if this connection can copy it and its columns are of Airflow's types; otherwise None."""
        if connection.dialect.driver != "psycopg2":
            return None
        fields = [field for field in FIELDS if field != "table_index" and not table.is_null(field)]
        nothing = table.select("postgresql", "1 = 0", fields)
        with translate_database_errors(address):
            result = connection.execute(sa.text(nothing))
            cursor: Any = result.cursor
            types = [int(column[1]) for column in cursor.description]
            encoding = cursor.connection.encoding
            result.close()
        kinds = {field: _KINDS.get(number) for field, number in zip(fields, types, strict=True)}
        known = [(field, kind) for field, kind in kinds.items() if kind in _WANTED.get(field, _TEXT)]
        # A URL may ask for another encoding, in which only the driver reads texts.
        if len(known) < len(kinds) or encoding != "UTF8":
            return None
        return cls(connection, table, address, dict(sorted(known, key=lambda one: one[1] not in WIDTHS)))

    def batches(
        self, condition: str, parameters: dict[str, Any], *, most_rows: int, most_bytes: int
    ) -> Iterator[pa.RecordBatch]:
        """Rows for which the condition holds. Raises SourceError."""
        tuples = BinaryTuples(self.kinds)
        statement = self.table.select("postgresql", condition, list(self.kinds))
        first = 0
        for messages in copied(
            *(self.connection, statement, parameters, self.address),
            most_rows=most_rows,
            most_bytes=most_bytes,
        ):
            columns = tuples.columns(messages)
            if columns:
                batch = self._batch(columns, first)
                yield batch
                first += batch.num_rows
        tuples.close()

    def _batch(self, columns: dict[str, pa.Array], first: int) -> pa.RecordBatch:
        import pyarrow as pa

        schema = row_schema()
        rows = len(next(iter(columns.values())))
        for field, kind in self.kinds.items():
            if kind == "text" and field != "raw":
                columns[field] = self._checked(columns[field])
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

    def _checked(self, texts: pa.Array) -> pa.Array:
        """Bytes as text. A database that has no encoding holds any bytes."""
        import pyarrow as pa

        try:
            return texts.cast(pa.string())
        except pa.ArrowInvalid:
            with translate_database_errors(self.address):
                raise UnicodeError from None
            raise

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
