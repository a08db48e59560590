"""Deleting rows: only those that are still as judged, of runs that are over, all in one transaction."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.interface import RowOutcome, RowTarget
from xcomctl.airflow.queries import Queries, digest, quote, readable
from xcomctl.airflow.records import raw_of, time_of
from xcomctl.airflow.row_keys import Key, key_columns, keys_of, selected_key, with_keys
from xcomctl.airflow.row_sets import Column, by_index_only, in_parts, row_set
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

_ROWS_AT_MOST = 10_000
"""Rows of one transaction, whose runs are locked before the first of them goes."""

_SECONDS_OF_LOCKS = 2.0
"""How long others may have to wait for what a transaction has locked."""

_ROWS_AT_ONCE = 2_500
"""Rows of one statement; after each the time is looked at."""

# A rule in place of a deletion gives no rows back.
_DELETES_BY_DIGEST = """
SELECT to_regprocedure('pg_catalog.sha256(bytea)') IS NOT NULL AND NOT relhasrules
FROM pg_catalog.pg_class WHERE oid = to_regclass(:name)
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


class Deletion:
    """Judges and deletes rows inside one transaction that the caller opens and commits."""

    def __init__(self, connection: Connection, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries
        self._engine = queries.engine

    def run(self, targets: Sequence[RowTarget], *, active_runs: bool = False) -> list[RowOutcome]:
        """Delete what may go of the first targets; one outcome for each that it came to, at least one, in order.

        With `active_runs` whatever state the runs are in. Raises RefusedError for a target that this database cannot
        have, SourceError where a row withstands.
        """
        targets = targets[:_ROWS_AT_MOST]
        keys = keys_of(targets, self._queries)
        began = time.monotonic()
        # Runs before rows, in the order of their ids: the order in which Airflow locks them, too.
        kept = {} if active_runs else self._kept_by_runs(targets, keys)
        by_index_only(self._connection, self._queries)
        outcomes: list[RowOutcome] = []
        while len(outcomes) < len(keys) and (not outcomes or time.monotonic() - began < _SECONDS_OF_LOCKS):
            chosen = _without_repetition(targets, keys, len(outcomes))
            found = {
                table: self._of_table(table, wanted, kept.get(table, {})) for table, wanted in chosen.items()
            }
            count = sum(map(len, found.values()))
            for number in range(len(outcomes), len(outcomes) + count):
                outcomes.append(found[targets[number].table][keys[number]])
        return outcomes

    def _of_table(
        self, table: str, wanted: Mapping[Key, RowTarget], kept: Mapping[Key, RowOutcome]
    ) -> dict[Key, RowOutcome]:
        """What becomes of the rows of one table. Those that their runs keep may have changed, or be gone, as well."""
        free = {key: target for key, target in wanted.items() if key not in kept}
        outcomes: dict[Key, RowOutcome] = dict.fromkeys(self._delete_as_judged(table, free), "deleted")
        dead: list[Key] = []
        rest = [key for key in wanted if key not in outcomes]
        current = self._current(table, rest)
        for key in rest:
            target = wanted[key]
            if key not in current:
                outcomes[key] = "gone"
            elif current[key] != (target.written_at, target.digest):
                outcomes[key] = "changed"
            elif key in kept:
                outcomes[key] = kept[key]
            else:
                dead.append(key)
                outcomes[key] = "deleted"
        self._delete(table, dead)
        return outcomes

    def _kept_by_runs(
        self, targets: Sequence[RowTarget], keys: Sequence[Key]
    ) -> dict[str, dict[Key, RowOutcome]]:
        """The rows that stay as their run is not over, or ended anew since it was judged.

        No run can start again before this transaction ends.
        """
        attempts = [key for target, key in zip(targets, keys, strict=True) if target.table == "xcom_v2"]
        runs_of_attempts = self._runs(attempts)
        runs = [runs_of_attempts.get(key) if len(key) == 1 else key[0] for key in keys]
        ends = self._ends({run for run in runs if run is not None})
        kept: dict[str, dict[Key, RowOutcome]] = defaultdict(dict)
        for target, key, run in zip(targets, keys, runs, strict=True):
            end = ends.get(run)
            if end == "active":
                kept[target.table][key] = "run_active"
            elif target.run_ended_at not in ("whenever", end):
                kept[target.table][key] = "changed"
        return kept

    def _runs(self, keys: list[Key]) -> dict[Key, int]:
        """The runs of rows of xcom_v2, as far as there is one."""
        table = "xcom_v2"
        found: dict[Key, int] = {}
        for part in in_parts(list(dict.fromkeys(keys)), self._engine):
            wanted = with_keys(table, part, self._queries)
            source = wanted.of(
                f"{self._queries.table(table)} x"
                f" JOIN {self._queries.table('task_instance')} ti ON ti.id = x.task_instance_id"
                f" JOIN {self._queries.table('dag_run')} dr ON dr.dag_id = ti.dag_id AND dr.run_id = ti.run_id"
            )
            (identity,) = selected_key(table, self._queries)
            statement = wanted.statement(f"SELECT {identity}, dr.id FROM {source} WHERE {wanted.condition}")
            found |= {(record[0],): record[1] for record in self._ask(*statement)}
        return found

    def _ends(self, runs: set[int]) -> dict[int | None, datetime | str | None]:
        """When each run ended; `active` for those that are not over."""
        ends: dict[int | None, datetime | str | None] = {}
        dag_run = f"{self._queries.table('dag_run')} dr"
        current = " AND ti.working_set IS NOT NULL" if "xcom_v2" in self._queries.shape.live else ""
        for part in in_parts(sorted(runs), self._engine):
            wanted = row_set([Column("dr.id", "bigint")], [(run,) for run in part], self._engine)
            statement = wanted.statement(
                f"SELECT dr.id, dr.state, {self._queries.time('dr.end_date')} FROM {wanted.of(dag_run)}"
                f" WHERE {wanted.condition} ORDER BY dr.id{self._lock('SHARE', 'dr')}"
            )
            for run, state, ended_at in self._ask(*statement):
                ends[run] = time_of(ended_at) if state in TERMINAL_RUN_STATES else "active"
            source = wanted.of(
                f"{dag_run} JOIN {self._queries.table('task_instance')} ti"
                " ON ti.dag_id = dr.dag_id AND ti.run_id = dr.run_id"
            )
            statement = wanted.statement(
                f"SELECT DISTINCT dr.id FROM {source} WHERE {wanted.condition} AND ti.state IN :states{current}",
                states=ACTIVE_TASK_STATES,
            )
            ends |= {record[0]: "active" for record in self._ask(*statement)}
        return ends

    def _delete_as_judged(self, table: str, wanted: Mapping[Key, RowTarget]) -> Iterable[Key]:
        """Delete rows that are as judged in one statement, where the server can tell the digest of a value.

        Gives the keys of those that it deleted; whatever kept the others.
        """
        if not wanted or self._engine != "postgresql" or not self._deletes_by_digest(table):
            return ()
        kinds = self._queries.shape.columns[table]
        columns = [
            *key_columns(table, self._queries),
            Column("", "bigint"),
            Column("", "bigint"),
            Column(""),
        ]
        at = len(columns) - 3
        keys = list(wanted)
        judged = [
            (*key, number, _micros(target.written_at), target.digest)
            for number, (key, target) in enumerate(wanted.items())
        ]
        rows = row_set(columns, judged, self._engine, beside=3)
        statement = rows.statement(
            f"DELETE FROM {self._queries.table(table)} x USING {rows.before} WHERE {rows.condition}"
            f" AND {self._queries.time('x.' + quote('timestamp', self._engine))} IS NOT DISTINCT FROM t.c{at + 1}"
            f" AND {digest('x.' + quote('value', self._engine), kinds['value'], self._engine)} = t.c{at + 2}"
            f" RETURNING t.c{at}"
        )
        return [keys[number] for (number,) in self._ask(*statement)]

    def _deletes_by_digest(self, table: str) -> bool:
        name = self._queries.table(table).replace("\\:", ":")
        return bool(self._connection.execute(sa.text(_DELETES_BY_DIGEST), {"name": name}).scalar())

    def _current(self, table: str, keys: Sequence[Key]) -> dict[Key, tuple[datetime | None, str]]:
        """Time and digest of each row that is still there, locked against change."""
        kind = self._queries.shape.columns[table]["value"]
        column = f"x.{quote('value', self._engine)}"
        value = readable(column, kind, self._engine)
        found: dict[Key, tuple[datetime | None, str]] = {}
        if self._engine != "mysql":
            for written_at, raw, *key in self._locked(table, keys, value):
                found[tuple(key)] = (time_of(written_at), digest_of(raw_of(raw)))
            return found
        too_long = []
        for written_at, told, *key in self._locked(table, keys, digest(column, kind, self._engine)):
            found[tuple(key)] = (time_of(written_at), told)
            if told is None:
                too_long.append(tuple(key))
        for written_at, raw, *key in self._locked(table, too_long, value):
            found[tuple(key)] = (time_of(written_at), digest_of(raw_of(raw)))
        return found

    def _locked(self, table: str, keys: Sequence[Key], expression: str) -> Iterable[Any]:
        """Time, expression and key of each row, locked."""
        at = self._queries.time(f"x.{quote('timestamp', self._engine)}")
        for part in in_parts(keys, self._engine):
            rows = with_keys(table, part, self._queries)
            selected = ", ".join([at, expression, *selected_key(table, self._queries)])
            yield from self._ask(
                *rows.statement(
                    f"SELECT {selected} FROM {rows.of(self._queries.table(table) + ' x')}"
                    f" WHERE {rows.condition}{self._lock('UPDATE', 'x')}"
                )
            )

    def _delete(self, table: str, keys: Sequence[Key]) -> None:
        name = self._queries.table(table)
        for part in in_parts(keys, self._engine):
            rows = with_keys(table, part, self._queries)
            text = {
                "postgresql": f"DELETE FROM {name} x USING {rows.before} WHERE {rows.condition}",
                "mysql": f"DELETE x FROM {name} x WHERE {rows.condition}",
                "sqlite": f"DELETE FROM {name} WHERE rowid IN"
                f" (SELECT x.rowid FROM {rows.of(name + ' x')} WHERE {rows.condition})",
            }[self._engine]
            count = self._connection.execute(*rows.statement(text)).rowcount
            if count != len(part):
                raise SourceError(
                    f"table {table} let go of {count} rows instead of {len(part)}; nothing was deleted",
                    hint="a trigger or a rule of the database stands in between",
                )

    def _lock(self, kind: str, alias: str) -> str:
        if self._engine == "sqlite":
            return ""
        if self._engine == "postgresql":
            return f" FOR {kind} OF {alias}"
        # MariaDB has no FOR SHARE.
        return " LOCK IN SHARE MODE" if kind == "SHARE" else " FOR UPDATE"

    def _ask(self, statement: Any, parameters: Mapping[str, Any]) -> Sequence[Any]:
        return self._connection.execute(statement, parameters).fetchall()


def _without_repetition(
    targets: Sequence[RowTarget], keys: Sequence[Key], first: int
) -> dict[str, dict[Key, RowTarget]]:
    """The targets from the first on, by table and key, until one comes again: what becomes of that is another question."""
    chosen: dict[str, dict[Key, RowTarget]] = defaultdict(dict)
    for target, key in zip(targets[first : first + _ROWS_AT_ONCE], keys[first:], strict=False):
        if key in chosen[target.table]:
            break
        chosen[target.table][key] = target
    return chosen


def _micros(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // _MICROSECOND
