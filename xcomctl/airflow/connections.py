"""Connections to the metadata database: how they are opened, and how they are kept from writing."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import NullPool

from xcomctl.airflow.failures import (
    missing_driver,
    translate_database_errors,
    translate_errors_around_callers,
)
from xcomctl.airflow.url import DatabaseAddress
from xcomctl.errors import SourceError

# SQLAlchemy logs, with a traceback, that a cursor of a lost connection cannot be closed. We raise the loss itself;
# without a handler the record would go to stderr.
logging.getLogger("sqlalchemy").addHandler(logging.NullHandler())

_CONNECT_SECONDS = 10
_LOCK_SECONDS = 30


class Connections:
    """Opens connections to one database: each is made when it is needed and closed after its one transaction.

    All that a driver raises inside the blocks comes out as SourceError.
    """

    def __init__(self, address: DatabaseAddress) -> None:
        self.address = address
        self._engines: dict[bool, Engine] = {}

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read-only transaction that sees one state of the database, from its first statement on."""
        with translate_errors_around_callers(self.address), self._connect(writable=False) as connection:
            if self.address.engine == "postgresql":
                options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
                connection = connection.execution_options(**options)
                with connection.begin():
                    yield connection
            elif self.address.engine == "mysql":
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                # The server may wait long for us to take the next row of a scan: we do things in between.
                connection.exec_driver_sql(
                    "SET SESSION time_zone = '+00:00', SESSION net_write_timeout = 600"
                )
                connection.exec_driver_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
                yield connection
            else:
                connection.exec_driver_sql("BEGIN")
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction that is committed at the end of the block, and rolled back if the block raises."""
        with translate_errors_around_callers(self.address), self._connect(writable=True) as connection:
            if self.address.engine == "postgresql":
                connection = connection.execution_options(isolation_level="READ COMMITTED")
                with connection.begin():
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
                    yield connection
            elif self.address.engine == "mysql":
                settings = f"SESSION time_zone = '+00:00', SESSION innodb_lock_wait_timeout = {_LOCK_SECONDS}"
                connection = connection.execution_options(isolation_level="READ COMMITTED")
                with connection.begin():
                    connection.exec_driver_sql(f"SET {settings}")
                    yield connection
            else:
                # The one writer that SQLite allows, from here on: nothing that is read below can change.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                connection.exec_driver_sql("COMMIT")

    @contextmanager
    def observing(self) -> Iterator[Connection]:
        """A connection outside of any transaction, to ask a server about itself."""
        with translate_errors_around_callers(self.address), self._connect(writable=False) as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Let go of everything."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()

    def _connect(self, *, writable: bool) -> Connection:
        engine = self._engine(writable=writable)
        with translate_database_errors(self.address):
            return engine.connect()

    def _engine(self, *, writable: bool) -> Engine:
        # Only SQLite tells a connection for reading from one for writing; servers do it per transaction.
        writable = writable and self.address.engine == "sqlite"
        if writable not in self._engines:
            self._engines[writable] = _create_engine(self.address, writable=writable)
        return self._engines[writable]


def _create_engine(address: DatabaseAddress, *, writable: bool) -> Engine:
    options: dict[str, Any] = {}
    if address.engine == "sqlite":
        options["creator"] = _sqlite_connector(address, writable=writable)
    else:
        options["connect_args"] = {**_settings(address), **address.arguments}
    try:
        return sa.create_engine(address.url, poolclass=NullPool, future=True, **options)
    except ModuleNotFoundError as error:
        if error.name == "pymysql":
            raise missing_driver() from None
        raise


def connection_string(address: DatabaseAddress) -> str:
    """What a libpq connects with to where psycopg2 does for this address, but for texts in UTF-8 whatever it says."""
    from psycopg2.extensions import make_dsn

    arguments, options = address.url.get_dialect()().create_connect_args(address.url)
    return str(make_dsn(*arguments, **{**options, **_settings(address), "client_encoding": "utf8"}))


def _settings(address: DatabaseAddress) -> dict[str, Any]:
    """What a driver is told unless the address says it."""
    settings = _POSTGRESQL if address.engine == "postgresql" else _MYSQL
    return {name: value for name, value in settings.items() if name not in address.url.query}


_POSTGRESQL = {
    "connect_timeout": _CONNECT_SECONDS,
    "client_encoding": "utf8",
    "application_name": "xcomctl",
    # A server that vanished in the middle of a scan is noticed after a minute, not after two hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}
_MYSQL = {"connect_timeout": _CONNECT_SECONDS, "charset": "utf8mb4"}


def _sqlite_connector(address: DatabaseAddress, *, writable: bool) -> Callable[[], sqlite3.Connection]:
    path = Path(str(address.url.database))
    # Never mode=rwc: a mistyped path must not become an empty database.
    uri = f"file:{quote(str(path))}?mode={'rw' if writable else 'ro'}"

    def connect() -> sqlite3.Connection:
        if not path.exists():
            hint = "check the path in --db; an absolute one has four slashes: sqlite:////path/to/airflow.db"
            raise SourceError(f"{address.label}: no such file", hint=hint)
        if not path.is_file():
            raise SourceError(
                f"{address.label}: not a file", hint="name the database file itself, such as airflow.db"
            )
        connection = sqlite3.connect(
            uri, uri=True, timeout=_LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        # A text column of SQLite can hold any bytes; encoded again the same way they are what they were.
        connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        return connection

    return connect
