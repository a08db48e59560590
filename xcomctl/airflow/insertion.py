"""Putting rows back: only where their task instance exists and nothing is in their place, all in one transaction."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from xcomctl.airflow.interface import InsertOutcome, RowRecord
from xcomctl.airflow.queries import Queries, quote, readable
from xcomctl.airflow.records import raw_of
from xcomctl.airflow.row_keys import as_text, expanding, in_parts
from xcomctl.airflow.stored_values import from_stored, same_value
from xcomctl.errors import RefusedError, SourceError
from xcomctl.models import digest_of

Place = tuple[Any, ...]
"""Where a row belongs: `(dag_run_id, task_id, map_index, key)`, or `(task_instance_id, key)` in xcom_v2."""

Task = tuple[str, str, str, int]
"""DAG, run, task and map index."""

_HEX = re.compile(r"[0-9a-f]{32}")

_OTHER_SHAPE = "restore into the generation of Airflow that the rows come from"


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
        """Put back what may come; one outcome per record, in order. Not `really`: only say what would become of them.

        Raises RefusedError where the rows are of another shape than the tables, SourceError where a row does not take.
        """
        outcomes: dict[int, InsertOutcome] = {}
        by_table: dict[str, list[int]] = defaultdict(list)
        for index, record in enumerate(records):
            self._require_shape(record)
            by_table[record.table].append(index)
        for table, indexes in by_table.items():
            for part in in_parts(indexes):
                planned = self._plan(table, [(index, records[index]) for index in part])
                homeless = set(part) - {one.index for one in planned}
                outcomes |= dict.fromkeys(homeless, "no_task_instance")
                outcomes |= self._insert(table, planned, really=really)
        return [outcomes[index] for index in range(len(records))]

    def _require_shape(self, record: RowRecord) -> None:
        if record.table not in self._queries.shape.live:
            raise RefusedError(
                f"the rows are of table {record.table}, which this database does not have", hint=_OTHER_SHAPE
            )
        known = self._queries.shape.columns[record.table]
        extra = [name for name, value in record.columns.items() if name not in known and value is not None]
        if extra:
            raise RefusedError(
                f"the rows have a column {extra[0]}, which table {record.table} of this database does not have",
                hint=_OTHER_SHAPE,
            )

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
        statement = (
            f"SELECT dag_id, run_id, id FROM {self._queries.table('dag_run')}"
            " WHERE dag_id IN :dags AND (dag_id, run_id) IN :runs"
        )
        found = self._ask(statement, dags=sorted({dag for dag, _ in wanted}), runs=sorted(wanted))
        # A column of MySQL may compare without regard to case.
        return {(dag, run): number for dag, run, number in found if (dag, run) in wanted}

    def _tasks(self, table: str, wanted: set[Task]) -> set[Task]:
        """Which tasks have an instance. Rows of xcom_v1 belong to an instance by an owner."""
        owner = "legacy_task_data_owner" if table == "xcom_v1" else "task_instance"
        columns = "dag_id, run_id, task_id, map_index"
        statement = (
            f"SELECT {columns} FROM {self._queries.table(owner)}"
            f" WHERE dag_id IN :dags AND ({columns}) IN :tasks"
        )
        found = self._ask(statement, dags=sorted({task[0] for task in wanted}), tasks=sorted(wanted))
        return {tuple(task) for task in found} & wanted

    def _attempts(self, records: Sequence[RowRecord]) -> dict[tuple[str, Task, int | None], str]:
        """The attempt to which each record belongs: the one that it had, or the current one of the same number."""
        select = (
            f"SELECT {as_text('id', self._queries)}, dag_id, run_id, task_id, region_index, try_number,"
            f" working_set IS NOT NULL FROM {self._queries.table('task_instance')} WHERE"
        )
        wanted = {_attempt(record) for record in records}
        tasks = {task for _, task, _ in wanted}
        own = self._ask(f"{select} id IN :ids", ids=self._spellings(identity for identity, _, _ in wanted))
        task_of = {_plain(identity): (str(identity), tuple(task)) for identity, *task, _, _ in own}
        current: dict[tuple[Task, int], list[str]] = defaultdict(list)
        statement = f"{select} dag_id IN :dags AND (dag_id, run_id, task_id, region_index) IN :tasks"
        same_task = self._ask(statement, dags=sorted({task[0] for task in tasks}), tasks=sorted(tasks))
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

    def _spellings(self, identities: Iterable[str]) -> list[str]:
        """Uuids as this engine may have them: PostgreSQL reads any spelling, in the others they are text."""
        plain = {one for one in map(_plain, identities) if _HEX.fullmatch(one)}
        dashed = set() if self._engine == "postgresql" else {str(UUID(one)) for one in plain}
        return sorted(plain | dashed)

    def _insert(self, table: str, planned: list[_Planned], *, really: bool) -> dict[int, InsertOutcome]:
        taken = self._values_at(table, [one.place for one in planned])
        outcomes = {one.index: self._compare(one, taken[one.place]) for one in planned if one.place in taken}
        new = [one for one in planned if one.index not in outcomes]
        if not new or not really:
            return outcomes | dict.fromkeys((one.index for one in new), "inserted")
        try:
            with self._connection.begin_nested():
                for statement, parameters in self._statements(table, new):
                    self._connection.execute(statement, parameters)
        except IntegrityError:
            # Somebody was faster with one of them, or a row is there twice: find out which.
            return outcomes | {one.index: self._insert_alone(table, one) for one in new}
        self._require_taken(table, new)
        return outcomes | dict.fromkeys((one.index for one in new), "inserted")

    def _insert_alone(self, table: str, one: _Planned) -> InsertOutcome:
        try:
            with self._connection.begin_nested():
                for statement, parameters in self._statements(table, [one]):
                    self._connection.execute(statement, parameters)
        except IntegrityError:
            taken = self._values_at(table, [one.place])
            if one.place in taken:
                return self._compare(one, taken[one.place])
            # Its task went meanwhile, or its id is another row's.
            return "conflict" if self._plan(table, [(one.index, one.record)]) else "no_task_instance"
        self._require_taken(table, [one])
        return "inserted"

    def _require_taken(self, table: str, inserted: Sequence[_Planned]) -> None:
        """Raise SourceError unless the rows are there as they were meant to be."""
        taken = self._values_at(table, [one.place for one in inserted])
        for one in inserted:
            if one.place not in taken or self._compare(one, taken[one.place]) != "identical":
                raise SourceError(
                    f"table {table} did not take the rows as they were; nothing was inserted",
                    hint="a trigger or a rule of the database stands in between",
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
        key = quote("key", self._engine)
        owner = as_text("task_instance_id", self._queries)
        value = readable(
            quote("value", self._engine), self._queries.shape.columns[table]["value"], self._engine
        )
        if table == "xcom_v2":
            selected, condition = f"{owner}, {key}", f"task_instance_id IN :owners AND {key} IN :keys"
            parameters = {"owners": [place[0] for place in places], "keys": [place[1] for place in places]}
        else:
            selected = f"dag_run_id, task_id, map_index, {key}"
            condition = f"dag_run_id IN :runs AND ({selected}) IN :places"
            parameters = {"runs": sorted({place[0] for place in places}), "places": list(places)}
        statement = f"SELECT {value}, {selected} FROM {self._queries.table(table)} WHERE {condition}"
        wanted = set(places)
        found = {tuple(place): raw_of(raw) for raw, *place in self._ask(statement, **parameters)}
        return {place: raw for place, raw in found.items() if place in wanted}

    def _statements(
        self, table: str, planned: Sequence[_Planned]
    ) -> Iterable[tuple[Any, list[dict[str, Any]]]]:
        """One statement for all rows that have the same columns, with their parameters."""
        grouped: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for one in planned:
            names = tuple(one.columns)
            grouped[names].append({f"c{number}": one.columns[name] for number, name in enumerate(names)})
        for names, parameters in grouped.items():
            columns = ", ".join(quote(name, self._engine) for name in names)
            kinds = self._queries.shape.columns[table]
            places = ", ".join(self._place(f":c{number}", kinds[name]) for number, name in enumerate(names))
            statement = f"INSERT INTO {self._queries.table(table)} ({columns}) VALUES ({places})"
            yield sa.text(statement), parameters

    def _place(self, parameter: str, kind: str) -> str:
        cast = self._engine == "postgresql" and ("json" in kind or kind == "uuid")
        return f"CAST({parameter} AS {kind})" if cast else parameter

    def _ask(self, statement: str, **parameters: Any) -> Iterable[Any]:
        return self._connection.execute(expanding(statement, parameters), parameters).fetchall()


def _task(record: RowRecord) -> Task:
    return record.dag_id, record.run_id, record.task_id, record.map_index


def _attempt(record: RowRecord) -> tuple[str, Task, int | None]:
    return str(record.columns.get("task_instance_id")), _task(record), record.try_number


def _plain(identity: object) -> str:
    """A uuid as 32 hex digits, however an engine writes it."""
    return str(identity).replace("-", "").lower()
