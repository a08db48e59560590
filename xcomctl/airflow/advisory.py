"""Locks of the database server: they keep two writers apart where the object store cannot, and die with their connection."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.connections import Connections
from xcomctl.airflow.failures import translate_database_errors
from xcomctl.errors import LockedError, RefusedError, SourceError

_LOST_HINT = "xcomctl log shows what was done; run the same command again to finish"


@contextmanager
def advisory_lock(connections: Connections, name: str) -> Iterator[Callable[[], None]]:
    """Hold the lock of this name on a connection of its own; gives what makes sure that it is still held.

    Raises LockedError where another session holds it, RefusedError where the engine has no such locks; SourceError.
    """
    engine = connections.address.engine
    if engine == "sqlite":
        raise RefusedError(
            f"nothing can keep a second writer away from {name}: its store does not look at conditions of a PUT, and"
            " SQLite has no locks that outlive a transaction",
            hint="update the store, or use one with conditional writes",
        )
    locking = _postgresql if engine == "postgresql" else _mysql
    with locking(connections, name) as is_held:

        def check() -> None:
            try:
                held = is_held()
            except SourceError as error:
                raise RefusedError(
                    f"the lock of {name} was lost with its connection to the database ({error})",
                    hint=_LOST_HINT,
                ) from error
            if not held:
                raise RefusedError(f"the database does not hold the lock of {name} any more", hint=_LOST_HINT)

        check()
        yield check


@contextmanager
def _postgresql(connections: Connections, name: str) -> Iterator[Callable[[], bool]]:
    # A lock of the transaction, which stays open: a pooler that hands out connections by the transaction, as PgBouncer
    # does, leaves us this one for as long as it lasts. It reads nothing, so that it holds back no vacuum.
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)
    with connections.writing() as connection:
        with translate_database_errors(connections.address):
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            taken = _first(connection, "SELECT pg_try_advisory_xact_lock(:key)", key=key)
        if not taken:
            raise _refused(connections, name)

        def is_held() -> bool:
            with translate_database_errors(connections.address):
                found = _first(
                    connection,
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()"
                    " AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = :key",
                    key=key,
                )
            return bool(found)

        yield is_held


@contextmanager
def _mysql(connections: Connections, name: str) -> Iterator[Callable[[], bool]]:
    # Names of more than 64 characters are refused.
    key = f"xcomctl-{hashlib.sha256(name.encode()).hexdigest()[:40]}"
    with connections.observing() as connection:
        with translate_database_errors(connections.address):
            # We ask again before each batch only, and a batch of large objects takes its time.
            connection.exec_driver_sql("SET SESSION wait_timeout = 86400")
            taken = _first(connection, "SELECT GET_LOCK(:key, 0)", key=key)
        if not taken:
            raise _refused(connections, name)

        def is_held() -> bool:
            with translate_database_errors(connections.address):
                return bool(_first(connection, "SELECT IS_USED_LOCK(:key) = CONNECTION_ID()", key=key))

        yield is_held


def _first(connection: Connection, statement: str, **parameters: Any) -> Any:
    return connection.execute(sa.text(statement), parameters).scalar()


def _refused(connections: Connections, name: str) -> LockedError:
    return LockedError(
        f"{name} is locked by another xcomctl, in the database {connections.address.label}",
        hint="wait until that is done; if its process is dead, its connection and the lock will be gone soon",
    )
