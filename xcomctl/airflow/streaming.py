"""Answers of the database as streams: nothing is held in memory whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, CursorResult

from xcomctl.airflow.failures import translate_database_errors
from xcomctl.airflow.records import Record
from xcomctl.airflow.url import DatabaseAddress
from xcomctl.errors import SourceError

_FETCH_ROWS = 500
"""Rows that a server hands over at once: a value can take megabytes, so not a whole batch of them."""


@contextmanager
def streamed(
    connection: Connection, statement: str, parameters: dict[str, Any], address: DatabaseAddress
) -> Iterator[Iterator[Record]]:
    """Records of a query as the server hands them over, never all at once in memory. Raises SourceError."""
    with translate_database_errors(address):
        result = connection.execute(sa.text(statement).execution_options(stream_results=True), parameters)
    with closing(result):
        yield _records(result, address)


def _records(result: CursorResult[Any], address: DatabaseAddress) -> Iterator[Record]:
    cursor: Any = result.cursor
    while True:
        try:
            with translate_database_errors(address):
                records = result.fetchmany(_FETCH_ROWS)
        except SourceError:
            # PyMySQL reads the rest of an answer when it lets go of it, also from a connection that is lost; the
            # second failure would be printed. There is nothing left to read.
            unread = getattr(cursor, "_result", None)
            if unread is not None:
                unread.unbuffered_active = False
            raise
        if not records:
            return
        yield from records
