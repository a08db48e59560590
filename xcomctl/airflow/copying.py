"""Answers of PostgreSQL by `COPY ... TO STDOUT` in its binary format: the cheapest way out of it by far.

psycopg2 runs a COPY to its end and calls for each message. Here a thread runs it, which stands still while somebody
looks at what came: the two take turns, since two threads that want the interpreter would wait for each other at every
message.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.failures import lost, source_error
from xcomctl.airflow.url import DatabaseAddress

_LOCK_SECONDS = 30

# The statement lasts as long as we look at what it gives: no limit of the server is meant for that. Nobody is waited
# for without end.
_LIFT = f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"
_LIMIT_AGAIN = "SET LOCAL statement_timeout TO DEFAULT; SET LOCAL lock_timeout TO DEFAULT"


def copied(
    connection: Connection,
    statement: str,
    parameters: dict[str, Any],
    address: DatabaseAddress,
    *,
    most_rows: int,
    most_bytes: int,
) -> Iterator[list[bytes]]:
    """Messages of a COPY of this query, one record in each, up to these limits at a time. Raises SourceError.

    Nothing else can be asked of the connection until the last came; who stops before, or meets an error, loses it.
    """
    with closing(connection.connection.cursor()) as cursor, _line_of(cursor.connection) as line:
        dialect: Any = connection.dialect
        broken = False
        try:
            query = cursor.mogrify(*_compiled(connection, statement, parameters)).decode()
            cursor.execute(_LIFT)
            copy = f"COPY ({query}) TO STDOUT (FORMAT binary)"
            yield from _Copy(cursor, copy, most_rows, most_bytes).run(line)
            cursor.execute(_LIMIT_AGAIN)
        # Where the server ends the session, psycopg2 may lose its own error over a second one, and raise SystemError.
        except (dialect.dbapi.Error, SystemError) as error:
            broken = getattr(error, "pgcode", None) is None
            raise (lost(address) if broken else source_error(error, address)) from error
        finally:
            if broken or cursor.connection.closed or line.fileno() < 0:
                # The rest of the answer is not waited for, and a transaction that is lost is not ended.
                connection.invalidate()


@contextmanager
def _line_of(raw: Any) -> Iterator[socket.socket]:
    """The socket of a driver's connection, by a handle of our own: that of the driver may be another's by tomorrow."""
    with socket.socket(fileno=socket.dup(raw.fileno())) as line:
        yield line


def _compiled(
    connection: Connection, statement: str, parameters: dict[str, Any]
) -> tuple[str, dict[str, Any]]:
    # With the names of parameters, and the quotes of `%`, that the driver wants.
    compiled = sa.text(statement).bindparams(**parameters).compile(dialect=connection.dialect)
    return str(compiled), dict(compiled.params)


class _StoppedError(Exception):
    """Ends a COPY that nobody waits for any more."""


class _Copy:
    """One COPY, and the file that it is written to."""

    def __init__(self, cursor: Any, statement: str, most_rows: int, most_bytes: int) -> None:
        self._cursor = cursor
        self._statement = statement
        self._most_rows = most_rows
        self._most_bytes = most_bytes
        self._messages: list[bytes] = []
        self._size = 0
        self._turn = Semaphore(0)
        self._handed: SimpleQueue[list[bytes] | BaseException | None] = SimpleQueue()
        self._stopped = False
        self._usual_hook = sys.excepthook

    def run(self, line: socket.socket) -> Iterator[list[bytes]]:
        """Give the messages. If somebody stops before the end, `line` is closed."""
        thread = Thread(target=self._work, name="xcomctl-copy", daemon=True)
        thread.start()
        ended = False
        try:
            while not ended:
                self._turn.release()
                handed = self._handed.get()
                if isinstance(handed, BaseException):
                    ended = True
                    raise handed
                if handed is None:
                    ended = True
                else:
                    yield handed
        finally:
            if not ended:
                self._stopped = True
                with suppress(OSError):
                    # Also wakes a thread that waits for the server.
                    line.shutdown(socket.SHUT_RDWR)
                line.close()
                self._turn.release()
            thread.join()

    def write(self, message: bytes) -> None:
        """Called by the driver."""
        self._messages.append(message)
        self._size += len(message)
        if self._size >= self._most_bytes or len(self._messages) >= self._most_rows:
            self._hand_over()

    def _hand_over(self) -> None:
        sys.excepthook = self._usual_hook
        self._handed.put(self._messages)
        self._messages, self._size = [], 0
        self._take_turn()

    def _take_turn(self) -> None:
        self._turn.acquire()
        if self._stopped:
            raise _StoppedError
        # Where a server ends the session in the middle, psycopg2 prints an error of its own and raises another one.
        self._usual_hook, sys.excepthook = sys.excepthook, _print_nothing

    def _work(self) -> None:
        end: BaseException | None = None
        try:
            self._take_turn()
            self._cursor.copy_expert(self._statement, self)
            if self._messages:
                self._hand_over()
        except BaseException as error:
            end = error
        sys.excepthook = self._usual_hook
        self._handed.put(end)


def _print_nothing(*_: object) -> None:
    """Stands in for what prints an error, while nobody but the driver runs."""
