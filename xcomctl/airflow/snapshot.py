"""One consistent view of the database, from which every row is read."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.adbc import session_beside
from xcomctl.airflow.connections import Connections
from xcomctl.airflow.dag_scope import DagScope
from xcomctl.airflow.directory import known_dag_ids, run_history, run_ids
from xcomctl.airflow.failures import translate_database_errors
from xcomctl.airflow.interface import Mention, RowRecord, RunHistory, Selection
from xcomctl.airflow.places import Place, mentions, require_rights
from xcomctl.airflow.queries import Queries
from xcomctl.airflow.records import time_of
from xcomctl.airflow.row_records import selected_records
from xcomctl.airflow.scanning import TableScan
from xcomctl.airflow.selection import SelectionFilter
from xcomctl.airflow.url import DatabaseAddress, EngineName
from xcomctl.errors import SourceError
from xcomctl.models import Root

if TYPE_CHECKING:
    import pyarrow as pa

_CLOCK: dict[EngineName, str] = {
    "postgresql": "CAST(EXTRACT(EPOCH FROM transaction_timestamp()) * 1000000 AS bigint)",
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', 'now')",
}
REPLICA: dict[EngineName, str] = {
    "postgresql": "CASE WHEN pg_is_in_recovery() THEN 1 ELSE 0 END",
    "mysql": "@@global.read_only",
    "sqlite": "0",
}
"""SQL that is 1 on a read replica."""

# Without the right to see other users' sessions their times are NULL, and are left out.
_OLDEST_TRANSACTION = """
SELECT CAST(EXTRACT(EPOCH FROM least(
    (SELECT min(xact_start) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
        AND (backend_xid IS NOT NULL OR state <> 'idle')),
    (SELECT min(prepared) FROM pg_prepared_xacts WHERE database = current_database())
)) * 1000000 AS bigint)
"""


class DatabaseSnapshot:
    """`airflow.interface.Snapshot` on a connection whose read-only transaction is the view."""

    def __init__(
        self,
        connection: Connection,
        queries: Queries,
        address: DatabaseAddress,
        oldest: datetime | None,
        places: Sequence[Place],
    ) -> None:
        self._connection = connection
        self._queries = queries
        self._address = address
        self._oldest = oldest
        self._places = places
        if queries.engine == "postgresql":
            # Rows that a policy hides would be missing without a word, and their objects look orphaned.
            connection.execute(sa.text("SET LOCAL row_security = off"))
        self._taken_at = clock_of(connection, queries.engine)
        self._is_replica = bool(_scalar(connection, f"SELECT {REPLICA[queries.engine]}"))

    @property
    def taken_at(self) -> datetime:
        """When the view was taken, by the clock of the database."""
        return self._taken_at

    @property
    def oldest_transaction_at(self) -> datetime | None:
        """Start of the oldest transaction that was open just before the view was taken; None if there is no telling."""
        return self._oldest

    @property
    def is_replica(self) -> bool:
        """Whether the server says that it is a read replica."""
        return self._is_replica

    def batches(
        self, *, include_archives: bool = True, dag_ids: Collection[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every row of every XCom table, or those of some DAGs; see `airflow.interface.Snapshot.batches`."""
        scope = DagScope.of(dag_ids, self._queries.engine)
        shape = self._queries.shape
        with session_beside(self._connection, self._address) as session:
            scan = TableScan(self._connection, self._queries, self._address, session)
            for name in (*shape.live, *(shape.archives if include_archives else ())):
                yield from scan.rows(name, scope)

    def mentions(self, roots: Sequence[Root]) -> Iterator[Mention]:
        """What other places of the database mention; see `airflow.interface.Snapshot.mentions`."""
        with translate_database_errors(self._address):
            require_rights(self._connection, self._queries, self._address, self._places)
        yield from mentions(self._connection, self._queries, self._address, self._places, roots)

    def dag_ids(self) -> set[str]:
        """Every DAG that this database knows of."""
        with translate_database_errors(self._address):
            return known_dag_ids(self._connection, self._queries)

    def newest_run(self) -> int | None:
        """The highest number that any DAG run has; None if there is no run."""
        with translate_database_errors(self._address):
            newest = _scalar(self._connection, f"SELECT max(id) FROM {self._queries.table('dag_run')}")
        return None if newest is None else int(newest)

    def run_history(self) -> RunHistory:
        """How far back the runs reach; see `airflow.interface.Snapshot.run_history`."""
        with translate_database_errors(self._address):
            return run_history(self._connection, self._queries)

    def run_ids(self, dag_ids: Collection[str]) -> Iterator[list[tuple[str, str]]]:
        """DAG and run id of every run of these DAGs, in parts."""
        with translate_database_errors(self._address):
            yield from run_ids(self._connection, self._queries, dag_ids)

    def records(self, selection: Selection) -> Iterator[RowRecord]:
        """Every row of the live tables that is meant, with all columns; see `airflow.interface.Snapshot.records`."""
        chosen = SelectionFilter.of(selection, self._queries.engine)
        return selected_records(self._connection, self._queries, self._address, chosen)


def oldest_transaction(connections: Connections) -> datetime | None:
    """Start of the oldest open transaction of the database, asked before a view is taken.

    Asked afterwards it would miss one that commits in between, whose rows the view does not show.
    """
    if connections.address.engine != "postgresql":
        return None
    with connections.observing() as connection:
        return time_of(_scalar(connection, _OLDEST_TRANSACTION))


def clock_of(connection: Connection, engine: EngineName) -> datetime:
    """The database's time: that of the transaction where the engine has one."""
    at = time_of(_scalar(connection, f"SELECT {_CLOCK[engine]}"))
    if at is None:
        raise SourceError("the database does not tell the time")
    return at


def _scalar(connection: Connection, statement: str) -> Any:
    return connection.execute(sa.text(statement)).scalar()
