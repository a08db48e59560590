"""Every row of a table, or every row of some DAGs, as record batches: by ADBC where that is possible."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.adbc import AdbcSession
from xcomctl.airflow.arrow_rows import arrow_batches
from xcomctl.airflow.dag_scope import DagScope
from xcomctl.airflow.failures import translate_database_errors
from xcomctl.airflow.queries import Queries, TableQuery
from xcomctl.airflow.records import to_batches
from xcomctl.airflow.streaming import streamed
from xcomctl.airflow.url import DatabaseAddress
from xcomctl.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 20_000
BATCH_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class TableScan:
    """Reads tables in one view, whose transaction `connection` is in; faster by a session beside it."""

    connection: Connection
    queries: Queries
    address: DatabaseAddress
    session: AdbcSession | None

    def rows(self, name: str, scope: DagScope) -> Iterator[pa.RecordBatch]:
        """The rows of a live table or an archive, within the scope. Raises SourceError, also if they do not come whole."""
        table = _table(self.queries, name)
        condition, parameters = scope.condition(table)
        # Without the tables that are looked up beside it, unless the condition is about them.
        count = table.count(condition) if condition else f"SELECT count(*) FROM {self.queries.table(name)}"
        with translate_database_errors(self.address):
            counted = self.connection.execute(sa.text(count), parameters).scalar()
        given = 0
        for batch in self._batches(name, condition, parameters):
            given += batch.num_rows
            if (wanted := scope.filtered(batch)).num_rows:
                yield wanted
        if given != counted:
            raise SourceError(
                f"{self.address.label}: short result, table {name} gave {given} rows of {counted}",
                hint="run the command again; a result that is not whole is never used",
            )

    def _batches(self, name: str, condition: str, parameters: dict[str, Any]) -> Iterator[pa.RecordBatch]:
        limits = {"most_rows": BATCH_ROWS, "most_bytes": BATCH_BYTES}
        if self.session is not None:
            stored = _table(self.queries.by_stored_times(), name)
            with arrow_batches(self.session, stored, condition, parameters, **limits) as batches:
                if batches is not None:
                    yield from batches
                    return
        table = _table(self.queries, name)
        statement = table.select(self.queries.engine, condition)
        with streamed(self.connection, statement, parameters, self.address) as records:
            yield from to_batches(records, table, **limits)


def _table(queries: Queries, name: str) -> TableQuery:
    return queries.live(name) if name in queries.shape.live else queries.archive(name)
