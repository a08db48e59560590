"""What the drivers raise, told as one line and what to do about it. Nothing else of them leaves this package."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from xcomctl.airflow.url import DatabaseAddress
from xcomctl.errors import SourceError, UsageError

_UNREACHABLE = "check host and port of --db, and that the database may be reached from here"
_LOST = "nothing was taken from the incomplete answer; run the command again"
_BUSY = "another session holds a lock; run the command again, later if need be"
DENIED_HINT = (
    "grant the user SELECT on dag, dag_run, task_instance and the XCom tables; "
    "for gc also UPDATE (to lock) and DELETE on the XCom tables, and UPDATE on dag_run; for undo and restore INSERT"
)
"""What is said where a right is missing."""
_READ_ONLY = "point --db at the primary, with a user that may delete"
_CHANGED = "the tables were changed meanwhile (a migration or `airflow db clean`?); run the command again when it is done"
_REPLICA = (
    "the replica could not wait any longer; run the command again, or raise its max_standby_streaming_delay"
)
_URL_PARAMETER = "check the parameters behind the ? of --db"

_HIDDEN_ROWS = (
    "let the user see every row: ALTER ROLE ... BYPASSRLS, or ALTER TABLE ... DISABLE ROW LEVEL SECURITY"
)

# By SQLSTATE (PostgreSQL) and by error number (MySQL, MariaDB). A key that is a prefix stands for its class.
_BY_CODE: dict[str | int, str] = {
    "08": _LOST,
    "25006": _READ_ONLY,
    "28": "check user and password in --db",
    "3D000": "check the database name in --db",
    "40": _BUSY,
    "42501": DENIED_HINT,
    "42P01": _CHANGED,
    "42703": _CHANGED,
    "53300": "the server has no free connection; run the command again later",
    "55P03": _BUSY,
    "57014": "the server's statement_timeout is too short for this database; raise it for this user",
    "57P": _LOST,
    1040: "the server has no free connection; run the command again later",
    1044: DENIED_HINT,
    1045: "check user and password in --db",
    1049: "check the database name in --db",
    1054: _CHANGED,
    1142: DENIED_HINT,
    1143: DENIED_HINT,
    1146: _CHANGED,
    1205: _BUSY,
    1213: _BUSY,
    1290: _READ_ONLY,
    1412: _CHANGED,
    1792: _READ_ONLY,
    1836: _READ_ONLY,
    2002: _UNREACHABLE,
    2003: _UNREACHABLE,
    2005: _UNREACHABLE,
    2006: _LOST,
    2013: _LOST,
}
# libpq gives no code for a connection that never came to be, and SQLite has none in Python 3.10.
_BY_TEXT: tuple[tuple[str, str], ...] = (
    ("authentication failed", "check user and password in --db"),
    ("no password supplied", "put the password into the URL, or into PGPASSFILE"),
    ("no pg_hba.conf entry", "the server does not let this user in from here; ask its administrator"),
    ("role .* does not exist", "check the user in --db"),
    ("database .* does not exist", "check the database name in --db"),
    ("could not translate host name", _UNREACHABLE),
    ("could not connect|connection refused|timeout expired|timed out|no such file or directory", _UNREACHABLE),
    ("root certificate|certificate verify|ssl|tls", "check the TLS parameters of --db (sslmode, sslrootcert, ssl_ca)"),
    ("invalid connection option|invalid uri|invalid dsn|invalid sslmode|invalid .* value", _URL_PARAMETER),
    ("terminating connection|server closed|connection already closed|connection not open|ssl syscall", _LOST),
    ("conflict with recovery", _REPLICA),
    ("database is locked|database table is locked", _BUSY),
    ("readonly database|read-only", _READ_ONLY),
    ("file is not a database|malformed", "check that --db names Airflow's SQLite file; `sqlite3 FILE .recover` may save it"),
    ("unable to open database", "check the rights on the file; in WAL mode also its folder must be writable, or use a copy"),
    ("cryptography", "pip install cryptography"),
)  # fmt: skip


@contextmanager
def translate_database_errors(address: DatabaseAddress) -> Iterator[None]:
    """Run a block of our own that asks the database; whatever its driver raises becomes a SourceError."""
    try:
        yield
    # Drivers also raise bare errors of the operating system, of missing libraries and of decoding.
    except (SQLAlchemyError, sqlite3.Error, OSError, RuntimeError, UnicodeError) as error:
        raise source_error(error, address) from error


@contextmanager
def translate_errors_around_callers(address: DatabaseAddress) -> Iterator[None]:
    """The same around a block of the caller, whose own errors are left alone."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise source_error(error, address) from error


def source_error(error: Exception, address: DatabaseAddress) -> SourceError:
    """What an error of a driver, bare or as SQLAlchemy wraps it, is told as."""
    original: Any = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    cause = _cause(original)
    for secret in _secrets(address):
        cause = cause.replace(secret, "***")
    return SourceError(f"{address.label}: {cause}", hint=_hint(_code(original), cause))


def _code(original: Any) -> str | int | None:
    state = getattr(original, "pgcode", None)
    if state is not None:
        return str(state)
    arguments: tuple[Any, ...] = getattr(original, "args", ())
    # PyMySQL puts the error number first; the errors of the other drivers start with their text.
    return arguments[0] if arguments and isinstance(arguments[0], int) else None


def _hint(code: str | int | None, cause: str) -> str | None:
    # It has the code of a right that is missing.
    if "row-level security" in cause:
        return _HIDDEN_ROWS
    for known, hint in _BY_CODE.items():
        if code == known or (isinstance(code, str) and isinstance(known, str) and code.startswith(known)):
            return hint
    for pattern, hint in _BY_TEXT:
        if re.search(pattern, cause, re.IGNORECASE):
            return hint
    return None


def _cause(original: Any) -> str:
    """The line that tells: the server's message without the driver's preamble. Details could quote a value."""
    arguments: tuple[Any, ...] = getattr(original, "args", ())
    if len(arguments) > 1 and isinstance(arguments[0], int):
        text = str(arguments[1])
    elif isinstance(original, UnicodeError):
        # Its text would quote the bytes.
        text = "the database sent text that is not UTF-8"
    else:
        text = str(original)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return f"the connection failed ({type(original).__name__})"
    line = re.sub(r"^\[libpq\] Execution error \[\w+\]: ", "", lines[0])
    line = re.sub(r"^connection to server (?:at|on socket) .*? failed: ", "", line)
    return re.sub(r"^(?:FATAL|ERROR):\s*", "", line)


def _secrets(address: DatabaseAddress) -> list[str]:
    password = address.url.password
    secrets = {password, quote(password), quote_plus(password)} if password else set()
    for name in ("password", "passfile", "sslpassword"):
        value = address.url.query.get(name)
        if isinstance(value, str):
            secrets.add(value)
    return sorted((secret for secret in secrets if secret), key=len, reverse=True)


def broken_answer(error: Exception, address: DatabaseAddress) -> SourceError:
    """What to say of an answer by ADBC that broke off: the server's word, if it had one, comes in the text alone."""
    if "Execution error" not in str(error):
        return SourceError(f"{address.label}: the connection was lost in the middle of an answer", hint=_LOST)
    told = source_error(error, address)
    return told if told.hint else SourceError(str(told), hint=_LOST)


def missing_driver() -> UsageError:
    """What to say when a MySQL URL is given and PyMySQL is not installed."""
    return UsageError(
        "reading a MySQL or MariaDB database needs PyMySQL", hint="pip install 'xcomctl[mysql]'"
    )
