"""The first rows of a long list without reading all rows: those of the runs that can hold them, found by index.

No index of Airflow's is in the order of `ls`. But a run bounds its rows: they are of its DAG and have its id, and none
is written long after it ended. So the runs are looked at in order, and the rows of the first of them are read until no
run that is left can hold a row that belongs before the last one found.
"""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.interface import Selection, SortField
from xcomctl.airflow.listing_query import listing_query
from xcomctl.airflow.queries import FIELDS, Queries
from xcomctl.airflow.records import Record, micros_of
from xcomctl.airflow.selection import SelectionFilter
from xcomctl.globs import only_name

DEAR = 50_000.0
"""What PostgreSQL may think a list costs before its runs are asked for: about half a second of work."""

_RUNS = (50, 500, 5_000)
"""Runs whose rows are read: more, if the first do not do."""

_LATE = 3_600 * 1_000_000
"""Microseconds that a row may be written after its run ended: a task that is told to stop does not stop at once."""

_OF_RUNS = ("dag", "run", "state")
"""Options of a selection that choose runs, all rows of which are then meant."""

_RunField = Literal["end_date", "run_id", "dag_id"]
_ORDERS: dict[SortField, tuple[_RunField, bool]] = {
    "written_at": ("end_date", True),
    "run_id": ("run_id", False),
    "dag_id": ("dag_id", False),
}
"""What bounds the rows of a run in the orders that runs bound, and whether it falls."""


@dataclass(frozen=True, slots=True)
class FirstPage:
    """A list of which PostgreSQL is to give `limit` rows."""

    queries: Queries
    selection: Selection
    sort: SortField
    descending: bool
    limit: int

    def pays_off(self, connection: Connection) -> bool:
        """Whether the runs tell where the first rows are, and the database would read much to tell by itself."""
        return self._possible() and self._cost(connection) > DEAR

    def records(self, connection: Connection) -> list[Record] | None:
        """The first records of the list, in order; None if too many runs would have to be looked at."""
        for number in _RUNS:
            runs = self._runs(connection, number + 1)
            statement, parameters = self._listing([run[0] for run in runs[:number]])
            records = connection.execute(sa.text(statement), parameters).fetchall()
            if len(runs) <= number:
                return list(records)
            if len(records) == self.limit and self._is_behind(runs[number], records[-1]):
                return list(records)
        return None

    def _possible(self) -> bool:
        order = _ORDERS.get(self.sort)
        others = [one.name for one in fields(Selection) if one.name not in (*_OF_RUNS, "all_attempts")]
        return (
            self.queries.engine == "postgresql"
            and SelectionFilter.of(self.selection, "postgresql").exact
            and order is not None
            and order[1] == self.descending
            and all(getattr(self.selection, name) is None for name in others)
        )

    def _cost(self, connection: Connection) -> float:
        statement, parameters = self._listing(None)
        plan = connection.execute(sa.text(f"EXPLAIN (FORMAT JSON) {statement}"), parameters).scalar()
        (one,) = plan if isinstance(plan, list) else json.loads(str(plan))
        return float(one["Plan"]["Total Cost"])

    def _runs(self, connection: Connection, number: int) -> list[Any]:
        """The number and the end of the first runs in the order of the list; those that are not over have none."""
        field, _ = _ORDERS[self.sort]
        globs = self.selection.globs
        # Here each glob names one: see `_possible`.
        named = {
            column: only_name(glob) for column in ("dag_id", "run_id") if (glob := globs[column]) is not None
        }
        chosen = named if self.selection.state is None else {**named, "state": self.selection.state}
        conditions = [f"dr.{column} = :{column}" for column in chosen]
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        direction = "DESC NULLS FIRST" if self.descending else "ASC"
        statement = (
            f"SELECT dr.id, {self.queries.time('dr.end_date')} FROM {self.queries.table('dag_run')} dr{where}"
            f" ORDER BY dr.{field} {direction}, dr.id {'DESC' if self.descending else 'ASC'} LIMIT :runs_limit"
        )
        return list(connection.execute(sa.text(statement), {**chosen, "runs_limit": number}).fetchall())

    def _is_behind(self, run: Any, last: Record) -> bool:
        """Whether every row of a run comes after the last record of the runs before it."""
        if self.sort != "written_at":
            # The rows are in the order of their runs.
            return True
        ended, written = micros_of(run[1]), micros_of(last[FIELDS.index("written_at")])
        return ended is not None and written is not None and ended + _LATE < written

    def _listing(self, run_numbers: list[int] | None) -> tuple[str, dict[str, Any]]:
        return listing_query(
            self.queries,
            SelectionFilter.of(self.selection, "postgresql"),
            sort=self.sort,
            descending=self.descending,
            limit=self.limit,
            run_numbers=run_numbers,
        )
