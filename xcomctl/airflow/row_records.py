"""Rows with all their columns: read for a journal or a backup."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import Connection
from sqlalchemy.sql.elements import TextClause

from xcomctl.airflow.interface import RecordedRows, RowRecord, RowTarget
from xcomctl.airflow.queries import FIELDS, Queries, aliased, quote, readable
from xcomctl.airflow.record_arrays import record_table
from xcomctl.airflow.record_columns import documents, joined
from xcomctl.airflow.records import Record, raw_of, time_of, to_row
from xcomctl.airflow.row_keys import Key, keys_of, selected_key, with_keys
from xcomctl.airflow.row_sets import by_index_only, in_parts
from xcomctl.airflow.selection import SelectionFilter
from xcomctl.airflow.stored_values import is_time, to_stored
from xcomctl.airflow.streaming import streamed
from xcomctl.airflow.url import DatabaseAddress
from xcomctl.arrow_arrays import integers
from xcomctl.errors import SourceError
from xcomctl.models import digest_of

if TYPE_CHECKING:
    import pyarrow as pa

_RAW = FIELDS.index("raw")


class TableRecords:
    """Reads the records of one live table."""

    def __init__(self, name: str, queries: Queries) -> None:
        self.table = queries.live(name)
        self._engine = queries.engine
        self._kinds = queries.shape.columns[name]
        # The value is among the fields already, and can be large.
        self._others = [column for column in self._kinds if column != "value"]
        self._key_length = len(selected_key(name, queries))
        self._looked_up = [
            field
            for field in ("dag_id", "run_id", "task_id", "map_index", "try_number")
            if field not in self._kinds and not self.table.is_null(field)
        ]
        self._queries = queries

    def select(self, condition: str = "") -> str:
        """`SELECT` of all fields and then all columns; `condition` is SQL over the expressions of the table."""
        fields = {
            **self.table.expressions,
            "raw": readable(self.table.expressions["raw"], self.table.raw_type, self._engine),
        }
        others = ", ".join(self._column(name) for name in self._others)
        where = f" WHERE {condition}" if condition else ""
        return f"SELECT {aliased(fields)}, {others} FROM {self.table.source}{where}"

    def of(self, record: Record) -> RowRecord:
        """What `select` gave, as a record."""
        row = to_row(record[: len(FIELDS)], self.table)
        given = dict(zip(self._others, record[len(FIELDS) :], strict=True))
        given["value"] = record[_RAW]
        return RowRecord(
            table=row.table,
            row_key=row.row_key,
            columns={
                name: to_stored(given[name], name, kind, self._engine) for name, kind in self._kinds.items()
            },
            dag_id=row.dag_id or "",
            run_id=row.run_id or "",
            task_id=row.task_id or "",
            map_index=-1 if row.map_index is None else row.map_index,
            key=row.key,
            try_number=row.try_number,
            written_at=row.written_at,
            digest=digest_of(row.raw),
        )

    def by_keys(self, keys: Sequence[Key]) -> tuple[TextClause, dict[str, Any]]:
        """A statement that gives what `table_of` takes of the rows with these keys."""
        wanted = with_keys(self.table.name, keys, self._queries)
        value = readable(self.table.expressions["raw"], self.table.raw_type, self._engine)
        selected = [
            *selected_key(self.table.name, self._queries),
            *(value if name == "value" else self._column(name) for name in self._kinds),
            *(self.table.expressions[field] for field in self._looked_up),
        ]
        text = f"SELECT {', '.join(selected)} FROM {wanted.of(self.table.source)} WHERE {wanted.condition}"
        return wanted.statement(text)

    def table_of(
        self, records: Sequence[Record], row_keys: Mapping[Key, str]
    ) -> tuple[pa.Table, list[tuple[Key, datetime | None, str]]]:
        """What `by_keys` gave as a table of records; key, time and digest of each. `row_keys` are the keys as JSON."""
        names = [*range(self._key_length), *self._kinds, *(f"looked up {name}" for name in self._looked_up)]
        values = dict(zip(names, zip(*records, strict=True) if records else [()] * len(names), strict=True))
        keys = list(zip(*(values[number] for number in range(self._key_length)), strict=True))
        if not all(map(row_keys.__contains__, keys)):
            # Columns of MySQL may compare without regard to case.
            meant = [record for record, key in zip(records, keys, strict=True) if key in row_keys]
            return self.table_of(meant, row_keys)
        columns = {name: values[name] for name in self._kinds}
        digests = [digest_of(raw_of(value)) for value in columns["value"]]
        fields: dict[str, Sequence[Any]] = {"row_key": [row_keys[key] for key in keys], "digest": digests}
        fields |= {name: values[f"looked up {name}"] for name in self._looked_up}
        table = record_table(self.table.name, fields, columns, self._kinds, self._engine)
        return table, list(zip(keys, map(time_of, columns["timestamp"]), digests, strict=True))

    def _column(self, name: str) -> str:
        column = f"x.{quote(name, self._engine)}"
        kind = self._kinds[name]
        if is_time(kind):
            return self._queries.time(column)
        if self._engine == "postgresql" and ("json" in kind or kind == "uuid"):
            return f"CAST({column} AS text)"
        return column


def selected_records(
    connection: Connection, queries: Queries, address: DatabaseAddress, rows_filter: SelectionFilter
) -> Iterator[RowRecord]:
    """Every record of the live tables that the filter matches. Raises SourceError if they do not come whole."""
    for name in queries.shape.live:
        reader = TableRecords(name, queries)
        condition, parameters = rows_filter.condition(reader.table)
        with streamed(connection, reader.table.count(condition), parameters, address) as counts:
            ((counted,),) = counts
        given = 0
        with streamed(connection, reader.select(condition), parameters, address) as records:
            for record in records:
                given += 1
                if rows_filter.matches(to_row(record[: len(FIELDS)], reader.table)):
                    yield reader.of(record)
        if given != counted:
            raise SourceError(
                f"{address.label}: short result, table {name} gave {given} rows of {counted}",
                hint="run the command again; a result that is not whole is never used",
            )


def recorded_rows(connection: Connection, queries: Queries, targets: Sequence[RowTarget]) -> RecordedRows:
    """The records of the rows that are still as judged.

    Raises RefusedError for a target that this database cannot have.
    """
    keys = keys_of(targets, queries)
    by_table: dict[str, dict[Key, str]] = defaultdict(dict)
    for target, key in zip(targets, keys, strict=True):
        by_table[target.table].setdefault(key, target.row_key)
    by_index_only(connection, queries)
    tables: list[pa.Table] = []
    found: dict[str, dict[Key, tuple[int, datetime | None, str]]] = {}
    first = 0
    for name, wanted in by_table.items():
        reader = TableRecords(name, queries)
        rows: list[Record] = []
        for part in in_parts(list(wanted), queries.engine):
            rows += connection.execute(*reader.by_keys(part)).fetchall()
        table, there = reader.table_of(rows, wanted)
        found[name] = {key: (number, at, digest) for number, (key, at, digest) in enumerate(there, first)}
        tables.append(table)
        first += len(table)
    places = [
        _place_if_as_judged(found[target.table].get(key), target)
        for target, key in zip(targets, keys, strict=True)
    ]
    return _only_as_judged(joined(tables), places)


def _place_if_as_judged(found: tuple[int, datetime | None, str] | None, target: RowTarget) -> int | None:
    if found is None or found[1:] != (target.written_at, target.digest):
        return None
    return found[0]


def _only_as_judged(table: pa.Table, places: Sequence[int | None]) -> RecordedRows:
    """Without those rows that are in no place."""
    import numpy as np

    kept = sorted({place for place in places if place is not None})
    if len(kept) == len(table):
        return RecordedRows(table, places)
    moved = {place: number for number, place in enumerate(kept)}
    return RecordedRows(
        table.take(integers(np.array(kept))), [None if place is None else moved[place] for place in places]
    )


def targeted_records(
    connection: Connection, queries: Queries, targets: Sequence[RowTarget]
) -> list[RowRecord | None]:
    """The records of rows that are still as judged, in order; None for the others. Raises as `recorded_rows` does."""
    recorded = recorded_rows(connection, queries, targets)
    records = [RowRecord.of(document) for document in documents(recorded.table)]
    return [None if place is None else records[place] for place in recorded.places]
