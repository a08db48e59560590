"""Putting rows back: only where their task instance exists and nothing is in their place, all in one transaction.

Rows go in set by set. Where a set does not take, it is halved until it is known which row is the odd one.
"""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import UUID

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InterfaceError, ProgrammingError

from xcomctl.airflow.interface import InsertOutcome, RowRecord
from xcomctl.airflow.queries import Queries, quote, readable
from xcomctl.airflow.records import raw_of
from xcomctl.airflow.row_keys import as_text, key_columns, uuid_column
from xcomctl.airflow.row_sets import Column, by_index_only, in_parts, row_set
from xcomctl.airflow.stored_values import from_stored, same_value
from xcomctl.errors import RefusedError
from xcomctl.models import digest_of

Place = tuple[Any, ...]
"""Where a row belongs: `(dag_run_id, task_id, map_index, key)`, or `(task_instance_id, key)` in xcom_v2."""

Task = tuple[str, str, str, int]
"""DAG, run, task and map index."""

_HEX = re.compile(r"[0-9a-f]{32}")

_ROWS_PER_STATEMENT = 1_000

_MYSQL_JSON = range(3140, 3160)
"""Errors about a text that is no JSON."""


class _AlteredError(ValueError):
    """The database took rows otherwise than they were meant."""


@dataclass(frozen=True, slots=True)
class _Planned:
    """A row on its way: where it belongs, and its columns as parameters."""

    index: int
    record: RowRecord
    place: Place
    columns: dict[str, Any]


class Insertion:
    """Inserts records inside one transaction that the caller opens and commits."""

    def __init__(self, connection: Connection, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries
        self._engine = queries.engine

    def run(self, records: Sequence[RowRecord], *, really: bool = True) -> list[InsertOutcome]:
        """Put back what may come; one outcome per record, in order. Not `really`: only say what would become of them."""
        outcomes: dict[int, InsertOutcome] = {}
        by_table: dict[str, list[int]] = defaultdict(list)
        for index, record in enumerate(records):
            if self._fits(record):
                by_table[record.table].append(index)
            else:
                outcomes[index] = "misfit"
        by_index_only(self._connection, self._queries)
        for table, indexes in by_table.items():
            for part in in_parts(indexes, self._engine):
                planned = self._plan(table, [(index, records[index]) for index in part])
                homeless = set(part) - {one.index for one in planned}
                outcomes |= dict.fromkeys(homeless, "no_task_instance")
                outcomes |= self._insert(table, planned, really=really)
        return [outcomes[index] for index in range(len(records))]

    def _fits(self, record: RowRecord) -> bool:
        """Whether the tables of this database can hold such a row."""
        if record.table not in self._queries.shape.live:
            return False
        known = self._queries.shape.columns[record.table]
        if any(name not in known and value is not None for name, value in record.columns.items()):
            return False
        try:
            self._parameters(record)
        except RefusedError:
            return False
        return True

    def _plan(self, table: str, records: Sequence[tuple[int, RowRecord]]) -> list[_Planned]:
        """Those records whose task instance exists, with the numbers that this database has for it."""
        if table == "xcom_v2":
            owners = self._attempts([record for _, record in records])
            found: dict[int, Any] = {index: owners.get(_attempt(record)) for index, record in records}
            name = "task_instance_id"
        else:
            tasks = self._tasks(table, {_task(record) for _, record in records})
            runs = self._runs({(record.dag_id, record.run_id) for _, record in records})
            found = {
                index: runs.get((record.dag_id, record.run_id)) if _task(record) in tasks else None
                for index, record in records
            }
            name = "dag_run_id"
        planned = []
        for index, record in records:
            owner = found[index]
            if owner is None:
                continue
            columns = self._parameters(record)
            columns[name] = owner
            place = (
                (owner, record.key)
                if table == "xcom_v2"
                else (owner, record.task_id, record.map_index, record.key)
            )
            planned.append(_Planned(index, record, place, columns))
        return planned

    def _parameters(self, record: RowRecord) -> dict[str, Any]:
        kinds = self._queries.shape.columns[record.table]
        return {
            name: from_stored(record.columns[name], name, kind, self._engine)
            for name, kind in kinds.items()
            if name in record.columns
        }

    def _runs(self, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
        rows = row_set([Column("dr.dag_id"), Column("dr.run_id")], sorted(wanted), self._engine)
        source = rows.of(f"{self._queries.table('dag_run')} dr")
        statement = f"SELECT dr.dag_id, dr.run_id, dr.id FROM {source} WHERE {rows.condition}"
        found = self._ask(*rows.statement(statement))
        # A column of MySQL may compare without regard to case.
        return {(dag, run): number for dag, run, number in found if (dag, run) in wanted}

    def _tasks(self, table: str, wanted: set[Task]) -> set[Task]:
        """Which tasks have an instance. Rows of xcom_v1 belong to an instance by an owner."""
        owner = "legacy_task_data_owner" if table == "xcom_v1" else "task_instance"
        names = ("o.dag_id", "o.task_id", "o.run_id", "o.map_index")
        tuples = sorted((dag, task, run, index) for dag, run, task, index in wanted)
        columns = [*map(Column, names[:3]), Column(names[3], "bigint")]
        rows = row_set(columns, tuples, self._engine)
        source = rows.of(f"{self._queries.table(owner)} o")
        found = self._ask(*rows.statement(f"SELECT {', '.join(names)} FROM {source} WHERE {rows.condition}"))
        return {(dag, run, task, index) for dag, task, run, index in found} & wanted

    def _attempts(self, records: Sequence[RowRecord]) -> dict[tuple[str, Task, int | None], str]:
        """The attempt to which each record belongs: the one that it had, or the current one of the same number."""
        wanted = {_attempt(record) for record in records}
        spellings = self._spellings(identity for identity, _, _ in wanted)
        own = self._instances([uuid_column("ti.id", self._queries)], [(one,) for one in spellings])
        task_of = {_plain(identity): (str(identity), tuple(task)) for identity, *task, _, _ in own}
        current: dict[tuple[Task, int], list[str]] = defaultdict(list)
        columns = [
            *map(Column, ("ti.dag_id", "ti.run_id", "ti.task_id")),
            Column("ti.region_index", "bigint"),
        ]
        same_task = self._instances(columns, sorted({task for _, task, _ in wanted}))
        for identity, dag, run, task, index, number, working in same_task:
            if working:
                current[(dag, run, task, index), number].append(str(identity))
        found: dict[tuple[str, Task, int | None], str] = {}
        for identity, task, number in wanted:
            kept = task_of.get(_plain(identity))
            if kept is not None and kept[1] == task:
                found[identity, task, number] = kept[0]
                continue
            candidates = current.get((task, number), []) if number is not None else []
            # Tasks of several regions share their coordinates: none of them is surely the one.
            if len(candidates) == 1:
                found[identity, task, number] = candidates[0]
        return found

    def _instances(self, columns: Sequence[Column], tuples: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
        """Id, coordinates and try of each attempt that these tuples mean, and whether it is the current one."""
        if not tuples:
            return ()
        rows = row_set(columns, tuples, self._engine)
        told = (
            f"{as_text('ti.id', self._queries)}, ti.dag_id, ti.run_id, ti.task_id, ti.region_index,"
            " ti.try_number, ti.working_set IS NOT NULL"
        )
        source = rows.of(f"{self._queries.table('task_instance')} ti")
        return self._ask(*rows.statement(f"SELECT {told} FROM {source} WHERE {rows.condition}"))

    def _spellings(self, identities: Iterable[str]) -> list[str]:
        """Uuids as this engine may have them: PostgreSQL reads any spelling, in the others they are text."""
        plain = {one for one in map(_plain, identities) if _HEX.fullmatch(one)}
        dashed = set() if self._engine == "postgresql" else {str(UUID(one)) for one in plain}
        return sorted(plain | dashed)

    def _insert(self, table: str, planned: list[_Planned], *, really: bool) -> dict[int, InsertOutcome]:
        taken = self._values_at(table, [one.place for one in planned])
        outcomes = {one.index: self._compare(one, taken[one.place]) for one in planned if one.place in taken}
        new = [one for one in planned if one.index not in outcomes]
        if not really:
            return outcomes | dict.fromkeys((one.index for one in new), "inserted")
        return outcomes | self._insert_new(table, new)

    def _insert_new(self, table: str, new: Sequence[_Planned]) -> dict[int, InsertOutcome]:
        """Insert what is not there yet: all at once, or by halves where something stands against that."""
        if not new:
            return {}
        try:
            with self._connection.begin_nested():
                for statement, parameters in self._statements(table, new):
                    self._connection.exec_driver_sql(statement, parameters)
                if self._are_taken(table, new):
                    return dict.fromkeys((one.index for one in new), "inserted")
                raise _AlteredError
        except (DBAPIError, ValueError, OverflowError, TypeError) as error:
            if not _is_of_a_row(error):
                raise
            if len(new) == 1:
                return {new[0].index: self._why_not(table, new[0], error)}
        half = len(new) // 2
        return self._insert_new(table, new[:half]) | self._insert_new(table, new[half:])

    def _why_not(self, table: str, one: _Planned, error: Exception) -> InsertOutcome:
        """Why the database did not take a row."""
        if not isinstance(error, IntegrityError):
            return "misfit"
        # Somebody was faster, or the row is there twice.
        taken = self._values_at(table, [one.place])
        if one.place in taken:
            return self._compare(one, taken[one.place])
        # Its task went meanwhile.
        if not self._plan(table, [(one.index, one.record)]):
            return "no_task_instance"
        # Its id is another row's; otherwise there is nothing but its own columns that could be wrong.
        return "conflict" if table == "xcom_v2" else "misfit"

    def _are_taken(self, table: str, inserted: Sequence[_Planned]) -> bool:
        """Whether the rows are there as they were meant to be: a trigger or a rule may stand in between."""
        taken = self._values_at(table, [one.place for one in inserted])
        return all(
            one.place in taken and self._compare(one, taken[one.place]) == "identical" for one in inserted
        )

    def _compare(self, one: _Planned, raw: bytes | None) -> InsertOutcome:
        if digest_of(raw) == one.record.digest:
            return "identical"
        mine = raw_of(one.columns.get("value"))
        kind = self._queries.shape.columns[one.record.table]["value"]
        return "identical" if same_value(raw, mine, kind) else "conflict"

    def _values_at(self, table: str, places: Sequence[Place]) -> dict[Place, bytes | None]:
        """The raw values of the rows that are at these places."""
        if not places:
            return {}
        kinds = self._queries.shape.columns[table]
        key = f"x.{quote('key', self._engine)}"
        value = readable(f"x.{quote('value', self._engine)}", kinds["value"], self._engine)
        if table == "xcom_v2":
            columns = [uuid_column("x.task_instance_id", self._queries), Column(key)]
            selected = f"{as_text('x.task_instance_id', self._queries)}, {key}"
        else:
            columns = key_columns(table, self._queries)
            selected = ", ".join(column.expression for column in columns)
        wanted = set(places)
        rows = row_set(columns, sorted(wanted), self._engine)
        source = rows.of(f"{self._queries.table(table)} x")
        statement = f"SELECT {value}, {selected} FROM {source} WHERE {rows.condition}"
        found = {tuple(place): raw_of(raw) for raw, *place in self._ask(*rows.statement(statement))}
        return {place: raw for place, raw in found.items() if place in wanted}

    def _statements(
        self, table: str, planned: Sequence[_Planned]
    ) -> Iterator[tuple[str, tuple[Any, ...] | list[tuple[Any, ...]]]]:
        """Statements as the driver takes them, for rows that have the same columns, with their parameters."""
        grouped: dict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for one in planned:
            grouped[tuple(one.columns)].append(tuple(one.columns.values()))
        for names, rows in grouped.items():
            kinds = self._queries.shape.columns[table]
            columns = ", ".join(quote(name, self._engine) for name in names)
            into = f"INSERT INTO {self._queries.table(table)} ({columns}) VALUES ".replace("\\:", ":")
            if self._engine == "sqlite":
                yield f"{into}({', '.join('?' * len(names))})", rows
                continue
            into = into.replace("%", "%%")
            values = f"({', '.join(self._place(kinds[name]) for name in names)})"
            if self._engine == "mysql":
                # The driver itself makes few statements of many rows, as long as the server takes them.
                yield into + values, rows
                continue
            for start in range(0, len(rows), _ROWS_PER_STATEMENT):
                part = rows[start : start + _ROWS_PER_STATEMENT]
                yield into + ", ".join([values] * len(part)), tuple(chain.from_iterable(part))

    def _place(self, kind: str) -> str:
        cast = self._engine == "postgresql" and ("json" in kind or kind == "uuid")
        return f"CAST(%s AS {kind})" if cast else "%s"

    def _ask(self, statement: Any, parameters: dict[str, Any]) -> Sequence[Any]:
        return self._connection.execute(statement, parameters).fetchall()


def _is_of_a_row(error: Exception) -> bool:
    """Whether an error is about what a row holds, and not about the server, the session, or a right."""
    if not isinstance(error, DBAPIError) or isinstance(error, (DataError, IntegrityError)):
        return True
    # SQLite and psycopg2 have no form for some values; a server may not have the type, or not the room.
    code = getattr(error.orig, "pgcode", None) or next(iter(getattr(error.orig, "args", ())), None)
    if isinstance(error.orig, sqlite3.Error):
        return isinstance(error, (InterfaceError, ProgrammingError))
    return str(code).startswith(("42804", "54")) or code in _MYSQL_JSON


def _task(record: RowRecord) -> Task:
    return record.dag_id, record.run_id, record.task_id, record.map_index


def _attempt(record: RowRecord) -> tuple[str, Task, int | None]:
    return str(record.columns.get("task_instance_id")), _task(record), record.try_number


def _plain(identity: object) -> str:
    """A uuid as 32 hex digits, however an engine writes it."""
    return str(identity).replace("-", "").lower()
