"""Deleting rows: only those that are still as judged, of runs that are over, all in one transaction."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Connection

from xcomctl.airflow.interface import RowOutcome, RowTarget
from xcomctl.airflow.queries import Queries, quote, readable
from xcomctl.airflow.records import raw_of, time_of
from xcomctl.airflow.row_keys import Key, as_text, expanding, in_parts, key_columns, key_condition, key_of
from xcomctl.errors import SourceError
from xcomctl.models import TERMINAL_RUN_STATES, digest_of

ACTIVE_TASK_STATES = (
    "scheduled",
    "queued",
    "running",
    "restarting",
    "up_for_retry",
    "up_for_reschedule",
    "deferred",
    "awaiting_input",
)
"""States of a task that will still read or write XComs, whatever its run says: a cleared task in a finished run."""


class Deletion:
    """Judges and deletes rows inside one transaction that the caller opens and commits."""

    def __init__(self, connection: Connection, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries
        self._engine = queries.engine

    def run(self, targets: Sequence[RowTarget], *, active_runs: bool = False) -> list[RowOutcome]:
        """Delete what may go; one outcome per target, in order. With `active_runs` whatever state the runs are in.

        Raises RefusedError for a target that this database cannot have, SourceError where a row withstands.
        """
        by_table: dict[str, dict[Key, None]] = defaultdict(dict)
        keys = [key_of(target, self._queries) for target in targets]
        for target, key in zip(targets, keys, strict=True):
            by_table[target.table][key] = None
        # Runs before rows, in the order of their ids: the order in which Airflow locks them, too.
        runs: dict[str, dict[Key, int]] = defaultdict(dict)
        active: set[int] = set()
        ends: dict[int | None, datetime | None] = {}
        if not active_runs:
            runs |= {table: self._runs(table, list(wanted)) for table, wanted in by_table.items()}
            active, ends = self._active_runs({run for found in runs.values() for run in found.values()})
        rows = {table: self._rows(table, list(wanted)) for table, wanted in by_table.items()}

        outcomes: list[RowOutcome] = []
        chosen: dict[str, dict[Key, None]] = defaultdict(dict)
        for target, key in zip(targets, keys, strict=True):
            current, run = rows[target.table].get(key), runs[target.table].get(key)
            if current is None or key in chosen[target.table]:
                outcomes.append("gone")
            elif current != (target.written_at, target.digest):
                outcomes.append("changed")
            elif run in active:
                outcomes.append("run_active")
            elif not active_runs and target.run_ended_at not in ("whenever", ends.get(run)):
                outcomes.append("changed")
            else:
                chosen[target.table][key] = None
                outcomes.append("deleted")
        for table, dead in chosen.items():
            self._delete(table, list(dead))
        return outcomes

    def _runs(self, table: str, keys: list[Key]) -> dict[Key, int]:
        """The run of each row, as far as there is one."""
        if table != "xcom_v2":
            return {key: key[0] for key in keys}
        found: dict[Key, int] = {}
        for part in in_parts(keys):
            statement = (
                f"SELECT {as_text('x.id', self._queries)}, dr.id FROM {self._queries.table('xcom_v2')} x"
                f" JOIN {self._queries.table('task_instance')} ti ON ti.id = x.task_instance_id"
                f" JOIN {self._queries.table('dag_run')} dr ON dr.dag_id = ti.dag_id AND dr.run_id = ti.run_id"
                " WHERE x.id IN :ids"
            )
            found |= {
                (record[0],): record[1] for record in self._ask(statement, ids=[key[0] for key in part])
            }
        return found

    def _active_runs(self, runs: set[int]) -> tuple[set[int], dict[int | None, datetime | None]]:
        """Those runs that are not over, and when each ended; none can start again before this transaction ends."""
        active: set[int] = set()
        ends: dict[int | None, datetime | None] = {}
        for part in in_parts(sorted(runs)):
            statement = (
                f"SELECT id, state, {self._queries.time('end_date')} FROM {self._queries.table('dag_run')}"
                f" WHERE id IN :ids ORDER BY id{self._lock('SHARE')}"
            )
            for run, state, ended_at in self._ask(statement, ids=part):
                ends[run] = time_of(ended_at)
                if state not in TERMINAL_RUN_STATES:
                    active.add(run)
            current = " AND ti.working_set IS NOT NULL" if "xcom_v2" in self._queries.shape.live else ""
            statement = (
                f"SELECT DISTINCT dr.id FROM {self._queries.table('dag_run')} dr"
                f" JOIN {self._queries.table('task_instance')} ti ON ti.dag_id = dr.dag_id AND ti.run_id = dr.run_id"
                f" WHERE dr.id IN :ids AND ti.state IN :states{current}"
            )
            active |= {record[0] for record in self._ask(statement, ids=part, states=ACTIVE_TASK_STATES)}
        return active, ends

    def _rows(self, table: str, keys: list[Key]) -> dict[Key, tuple[Any, str]]:
        """Time and digest of each row that is still there, locked against change."""
        columns = key_columns(table, self._queries)
        value = readable(
            quote("value", self._engine), self._queries.shape.columns[table]["value"], self._engine
        )
        found: dict[Key, tuple[Any, str]] = {}
        for part in in_parts(keys):
            condition, parameters = key_condition(table, part, self._queries)
            selected = [as_text("id", self._queries)] if table == "xcom_v2" else columns
            statement = (
                f"SELECT {self._queries.time(quote('timestamp', self._engine))}, {value}, {', '.join(selected)}"
                f" FROM {self._queries.table(table)} WHERE {condition}{self._lock('UPDATE')}"
            )
            for written_at, raw, *key in self._ask(statement, **parameters):
                found[tuple(key)] = (time_of(written_at), digest_of(raw_of(raw)))
        return found

    def _delete(self, table: str, keys: list[Key]) -> None:
        for part in in_parts(keys):
            condition, parameters = key_condition(table, part, self._queries)
            statement = f"DELETE FROM {self._queries.table(table)} WHERE {condition}"
            count = self._connection.execute(expanding(statement, parameters), parameters).rowcount
            if count != len(part):
                raise SourceError(
                    f"table {table} let go of {count} rows instead of {len(part)}; nothing was deleted",
                    hint="a trigger or a rule of the database stands in between",
                )

    def _lock(self, kind: str) -> str:
        if self._engine == "sqlite":
            return ""
        # MariaDB has no FOR SHARE.
        return " LOCK IN SHARE MODE" if (self._engine, kind) == ("mysql", "SHARE") else f" FOR {kind}"

    def _ask(self, statement: str, **parameters: Any) -> Iterable[Any]:
        return self._connection.execute(expanding(statement, parameters), parameters).fetchall()
