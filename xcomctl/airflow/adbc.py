"""A second session of PostgreSQL, by ADBC, in the snapshot of the first one: its answers come as Arrow.

It only saves work. Where it cannot be had (no wheel of the driver, a parameter that its libpq does not know, a pool
without a second place, another server behind the same address), there is none, and the first session reads the rows.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.connections import connection_string
from xcomctl.airflow.failures import broken_answer, translate_database_errors
from xcomctl.airflow.url import DatabaseAddress

if TYPE_CHECKING:
    import adbc_driver_manager
    import pyarrow as pa

_PLACE_SECONDS = 3
"""How long a pool may take to make room for a second session of ours. It may never, as the first one stays."""

_LOCK_SECONDS = 5
"""How long a lock is waited for. Whoever holds up this session may itself wait for the first one, which has its locks."""

_MAY_EXPORT = """
SELECT bool_and(coalesce(has_function_privilege(CAST(to_regprocedure(name) AS oid), 'EXECUTE'), false)), pg_backend_pid()
FROM unnest(ARRAY['pg_catalog.pg_export_snapshot()', 'pg_catalog.pg_postmaster_start_time()']) AS name
"""
# Which server it is, and which transactions its snapshot sees.
_VIEW = "CAST(EXTRACT(EPOCH FROM pg_postmaster_start_time()) AS text) || ' ' || CAST(txid_current_snapshot() AS text)"

# The query lasts as long as its rows are looked at, which is not what `statement_timeout` is meant for.
_SET_LOCAL = f"""
SELECT {_VIEW} AS view, set_config('statement_timeout', '0', true),
    set_config('lock_timeout', '{_LOCK_SECONDS}s', true), set_config('row_security', 'off', true)
"""


@contextmanager
def session_beside(connection: Connection, address: DatabaseAddress) -> Iterator[AdbcSession | None]:
    """A session with the same view as `connection`, whose read-only transaction is the view; None without one.

    Raises SourceError where `connection` itself fails.
    """
    with ExitStack() as stack:
        yield _opened(connection, address, stack)


class AdbcSession:
    """A session that reads the snapshot of the one `beside` it. One answer at a time."""

    def __init__(
        self, session: adbc_driver_manager.AdbcConnection, beside: Connection, address: DatabaseAddress
    ) -> None:
        self.address = address
        self._session = session
        self._beside = beside
        self._usable = True

    def with_values(self, statement: str, parameters: dict[str, Any]) -> str:
        """A statement with its parameters written into it by the other driver: there are none in a COPY, as this is."""
        compiled = sa.text(statement).bindparams(**parameters).compile(dialect=self._beside.dialect)
        with translate_database_errors(self.address), closing(self._beside.connection.cursor()) as cursor:
            literal: Any = cursor
            return str(literal.mogrify(str(compiled), dict(compiled.params)).decode())

    def schema(self, query: str) -> pa.Schema | None:
        """The columns that a query would give; None where this session cannot tell."""
        import adbc_driver_manager as adbc
        import pyarrow as pa

        if not self._usable:
            return None
        try:
            with adbc.AdbcStatement(self._session) as statement:
                statement.set_sql_query(query)
                return pa.schema(statement.execute_schema())
        except adbc.Error:
            self._usable = False
            return None

    @contextmanager
    def answer(self, query: str, most_bytes: int) -> Iterator[Iterator[pa.RecordBatch] | None]:
        """What a query gives, in batches of about so many bytes; None where the server does not begin to answer.

        From then on all that goes wrong is a SourceError. Who leaves before the end ends the query and the session.
        """
        import adbc_driver_manager as adbc
        import pyarrow as pa

        with adbc.AdbcStatement(self._session) as statement:
            statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(most_bytes)})
            statement.set_sql_query(query)
            # Only an answer that came to its end leaves the session as it was.
            self._usable = False
            try:
                handle, _ = statement.execute_query()
            except adbc.Error:
                yield None
                return
            with closing(pa.RecordBatchReader.from_stream(handle)) as reader:
                yield self._batches(reader)

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa

        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                self._usable = True
                return
            except (pa.ArrowException, OSError) as error:
                raise broken_answer(error, self.address) from error
            yield batch
            # A transaction that looks idle may be ended, by the server or by what is in between.
            with translate_database_errors(self.address):
                self._beside.execute(sa.text("SELECT 1"))


def _opened(connection: Connection, address: DatabaseAddress, stack: ExitStack) -> AdbcSession | None:
    if connection.dialect.driver != "psycopg2":
        return None
    try:
        import adbc_driver_manager as adbc
        import adbc_driver_postgresql
    except ImportError:
        return None
    # A statement that is refused would end the transaction that is the view, so its rights are asked for first.
    with translate_database_errors(address):
        ((may_export, process),) = connection.execute(sa.text(_MAY_EXPORT)).fetchall()
        if not may_export:
            return None
        told: Any = connection.connection.dbapi_connection
        target = connection_string(address)
        # A pooler makes up the number of the process.
        if told.info.backend_pid != process and not _has_room(target):
            return None
        ((snapshot, view),) = connection.execute(sa.text(f"SELECT pg_export_snapshot(), {_VIEW}")).fetchall()
    with ExitStack() as opening:
        try:
            database = opening.enter_context(adbc_driver_postgresql.connect(target))
            session = opening.enter_context(adbc.AdbcConnection(database))
            session.set_autocommit(False)
            _execute(session, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            _execute(session, f"SET TRANSACTION SNAPSHOT '{snapshot}'")
            # Two servers behind one address number their snapshots alike.
            if _first_value(session, _SET_LOCAL) != view:
                return None
        except adbc.Error:
            return None
        stack.push(opening.pop_all())
    return AdbcSession(session, connection, address)


def _has_room(target: str) -> bool:
    """Whether a pooler lets one more session in within a moment. ADBC would wait for as long as the pooler lets it."""
    import psycopg2

    deadline = time.monotonic() + _PLACE_SECONDS
    try:
        with closing(psycopg2.connect(target, async_=True)) as trial:
            if not _is_done(trial, deadline):
                return False
            # The connection drops the answer of a cursor that nobody holds.
            cursor = trial.cursor()
            cursor.execute("SELECT 1")
            return _is_done(trial, deadline) and cursor.fetchone() is not None
    except psycopg2.Error:
        return False


def _is_done(trial: Any, deadline: float) -> bool:
    """Wait until what was asked of an asynchronous connection is done; False if it is not in time."""
    from psycopg2 import extensions

    while (state := trial.poll()) != extensions.POLL_OK:
        wants_to_write = [trial] if state == extensions.POLL_WRITE else []
        left = deadline - time.monotonic()
        if left <= 0 or not any(select.select([trial], wants_to_write, [], left)):
            return False
    return True


def _execute(session: adbc_driver_manager.AdbcConnection, command: str) -> None:
    import adbc_driver_manager as adbc

    with adbc.AdbcStatement(session) as statement:
        statement.set_sql_query(command)
        statement.execute_update()


def _first_value(session: adbc_driver_manager.AdbcConnection, query: str) -> Any:
    import adbc_driver_manager as adbc
    import pyarrow as pa

    with adbc.AdbcStatement(session) as statement:
        statement.set_sql_query(query)
        handle, _ = statement.execute_query()
        with closing(pa.RecordBatchReader.from_stream(handle)) as reader:
            return reader.read_all()[0][0].as_py()
