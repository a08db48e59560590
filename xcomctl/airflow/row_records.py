"""Rows with all their columns: read for a journal or a backup."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence

from sqlalchemy.engine import Connection

from xcomctl.airflow.interface import RowRecord, RowTarget
from xcomctl.airflow.queries import FIELDS, Queries, aliased, quote, readable
from xcomctl.airflow.records import Record, to_row
from xcomctl.airflow.row_keys import Key, expanding, in_parts, key_condition, key_of
from xcomctl.airflow.selection import SelectionFilter
from xcomctl.airflow.stored_values import is_time, to_stored
from xcomctl.airflow.streaming import streamed
from xcomctl.airflow.url import DatabaseAddress
from xcomctl.errors import SourceError
from xcomctl.models import digest_of

_RAW = FIELDS.index("raw")


class TableRecords:
    """Reads the records of one live table."""

    def __init__(self, name: str, queries: Queries) -> None:
        self.table = queries.live(name)
        self._engine = queries.engine
        self._kinds = queries.shape.columns[name]
        # The value is among the fields already, and can be large.
        self._others = [column for column in self._kinds if column != "value"]
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


def targeted_records(
    connection: Connection, queries: Queries, targets: Sequence[RowTarget]
) -> list[RowRecord | None]:
    """The records of rows that are still as judged, in order; None for the others.

    Raises RefusedError for a target that this database cannot have.
    """
    keys = [key_of(target, queries) for target in targets]
    by_table: dict[str, dict[Key, None]] = defaultdict(dict)
    for target, key in zip(targets, keys, strict=True):
        by_table[target.table][key] = None
    found: dict[tuple[str, Key], RowRecord] = {}
    for name, wanted in by_table.items():
        reader = TableRecords(name, queries)
        for part in in_parts(list(wanted)):
            condition, parameters = key_condition(name, part, queries, alias="x")
            statement = expanding(reader.select(condition), parameters)
            for record in connection.execute(statement, parameters).fetchall():
                one = reader.of(record)
                found[name, tuple(json.loads(one.row_key))] = one
    return [
        _if_as_judged(found.get((target.table, key)), target)
        for target, key in zip(targets, keys, strict=True)
    ]


def _if_as_judged(record: RowRecord | None, target: RowTarget) -> RowRecord | None:
    if record is None or (record.written_at, record.digest) != (target.written_at, target.digest):
        return None
    return record
