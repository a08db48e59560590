"""URLs of metadata databases: every form that Airflow accepts, turned into the one that we connect with.

Airflow names drivers that suit its own processes (asyncpg, mysqlclient ...). One driver per engine is enough here:
psycopg2 for PostgreSQL, PyMySQL for MySQL and MariaDB, the standard library for SQLite.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from xcomctl.airflow.settings import NO_DATABASE_SCHEME
from xcomctl.errors import UsageError

EngineName = Literal["postgresql", "mysql", "sqlite"]

_HINT = "write postgresql://user@host:5432/airflow, mysql://user@host:3306/airflow or sqlite:////path/to/airflow.db"

_POSTGRESQL_DRIVERS = ("psycopg2", "psycopg", "psycopg_async", "asyncpg")
_MYSQL_DRIVERS = ("mysqldb", "pymysql", "mysqlconnector", "mariadbconnector", "aiomysql", "asyncmy")
_ENGINES: dict[str, tuple[EngineName, tuple[str, ...]]] = {
    "postgresql": ("postgresql", _POSTGRESQL_DRIVERS),
    "postgres": ("postgresql", _POSTGRESQL_DRIVERS),
    "mysql": ("mysql", _MYSQL_DRIVERS),
    "mariadb": ("mysql", _MYSQL_DRIVERS),
    "sqlite": ("sqlite", ("pysqlite", "aiosqlite")),
}

# Settings of Airflow's own drivers that have no meaning for ours and change nothing about what is read.
_NO_MEANING = {
    "async_fallback",
    "auth_plugin",
    "autocommit",
    "binary_prefix",
    "local_infile",
    "prepare_threshold",
    "prepared_statement_cache_size",
    "prepared_statement_name_func",
    "statement_cache_size",
    "use_pure",
    "use_unicode",
}
_ASYNCPG_SSL = {"true": "require", "1": "require", "false": "disable", "0": "disable"}

_MYSQL_PLAIN = {
    "bind_address",
    "charset",
    "connect_timeout",
    "init_command",
    "read_default_file",
    "read_default_group",
    "read_timeout",
    "sql_mode",
    "unix_socket",
    "write_timeout",
}
_MYSQL_SSL = {
    "ssl_ca": "ca",
    "ssl_capath": "capath",
    "ssl_cert": "cert",
    "ssl_cipher": "cipher",
    "ssl_key": "key",
}
_MYSQL_SSL_SWITCHES = {
    "ssl_check_hostname": "check_hostname",
    "ssl_verify_cert": "verify_mode",
    "ssl_verify_identity": "check_hostname",
}
_MYSQL_SSL_MODES: dict[str, dict[str, Any]] = {
    "DISABLED": {},
    "PREFERRED": {},
    "REQUIRED": {"check_hostname": False},
    "VERIFY_CA": {"verify_mode": True, "check_hostname": False},
    "VERIFY_IDENTITY": {"verify_mode": True, "check_hostname": True},
}


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where a metadata database is: what SQLAlchemy connects with, and what the driver is told besides."""

    engine: EngineName
    url: URL
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """The address for people: engine, user, host, port and database; never a password or a parameter."""
        url = self.url
        if self.engine == "sqlite":
            return f"sqlite:///{url.database}"
        host = (
            url.host or _first(url.query.get("host")) or _first(url.query.get("unix_socket")) or "localhost"
        )
        if url.host and ":" in url.host:
            host = f"[{host}]"
        user = f"{url.username}@" if url.username else ""
        port = f":{url.port}" if url.port else ""
        return f"{self.engine}://{user}{host}{port}/{url.database or ''}"


def parse_url(text: str) -> DatabaseAddress:
    """Read any URL that Airflow accepts as `sql_alchemy_conn`; query parameters are kept or translated.

    Raises UsageError: not a URL, an engine that Airflow does not have, a parameter that our driver does not know.
    The message never shows the URL, which may hold a password.
    """
    stripped = text.strip()
    if stripped.lower().startswith(NO_DATABASE_SCHEME):
        raise UsageError(
            "airflow-db-not-allowed:/// is what Airflow 3 tells its task processes: they may not use the database",
            hint="give the URL of the metadata database with --db or XCOMCTL_DB",
        )
    try:
        url = make_url(stripped)
    except (ArgumentError, ValueError):
        raise UsageError("the metadata database is not given as a URL that can be read", hint=_HINT) from None
    engine, driver = _engine_and_driver(url.drivername)
    if engine == "sqlite":
        return DatabaseAddress(engine, URL.create("sqlite+pysqlite", database=_sqlite_path(url)))
    query = {name: value for name, value in url.query.items() if name not in _NO_MEANING}
    if engine == "mysql":
        arguments = _take_mysql_ssl(query)
        return DatabaseAddress(engine, url.set(drivername="mysql+pymysql").set(query=query), arguments)
    if driver == "asyncpg" and "ssl" in query:
        mode = _first(query.pop("ssl")) or ""
        query["sslmode"] = _ASYNCPG_SSL.get(mode.lower(), mode)
    return DatabaseAddress(engine, url.set(drivername="postgresql+psycopg2").set(query=query))


def _engine_and_driver(drivername: str) -> tuple[EngineName, str]:
    backend, _, driver = drivername.lower().partition("+")
    if backend not in _ENGINES:
        raise UsageError(f"{backend}:// is not a database that Airflow can use", hint=_HINT)
    engine, drivers = _ENGINES[backend]
    if driver and driver not in drivers:
        known = ", ".join(f"{backend}+{name}" for name in drivers)
        raise UsageError(
            f"{backend}+{driver}:// names an unknown driver", hint=f"known are {backend}, {known}"
        )
    return engine, driver


def _sqlite_path(url: URL) -> str:
    database = url.database or ""
    if database.startswith("file:"):
        database = database[len("file:") :].partition("?")[0]
    if database in ("", ":memory:"):
        raise UsageError(
            "the SQLite URL names no file", hint="write sqlite:////path/to/airflow.db, with four slashes"
        )
    return str(Path(database).absolute())


def _take_mysql_ssl(query: dict[str, Any]) -> dict[str, Any]:
    """Take the TLS settings, in the spelling of any MySQL driver, out of `query`; give PyMySQL's arguments for them.

    Raises UsageError for a setting that PyMySQL does not have: one about security must not be dropped in silence.
    """
    tls: dict[str, Any] = {}
    disabled = False
    for name in [name for name in query if name.startswith("ssl")]:
        value = _first(query[name]) or ""
        if name in ("ssl_mode", "ssl-mode"):
            if value.upper() not in _MYSQL_SSL_MODES:
                raise UsageError(
                    f"{value!r} is not an ssl_mode", hint=f"known are {', '.join(_MYSQL_SSL_MODES)}"
                )
            tls = {**_MYSQL_SSL_MODES[value.upper()], **tls}
            disabled = value.upper() == "DISABLED"
        elif name == "ssl_disabled":
            disabled = _is_true(value)
        elif name in _MYSQL_SSL:
            tls[_MYSQL_SSL[name]] = value
        elif name in _MYSQL_SSL_SWITCHES:
            tls[_MYSQL_SSL_SWITCHES[name]] = _is_true(value)
        else:
            continue
        del query[name]
    for name in sorted(set(query) - _MYSQL_PLAIN):
        known = sorted(
            _MYSQL_PLAIN | set(_MYSQL_SSL) | set(_MYSQL_SSL_SWITCHES) | {"ssl_mode", "ssl_disabled"}
        )
        raise UsageError(
            f"the URL of the metadata database has ?{name}=, which the MySQL driver does not know",
            hint=f"leave it out; known are {', '.join(known)}",
        )
    if disabled:
        return {"ssl_disabled": True}
    return {"ssl": tls} if tls else {}


def _is_true(value: str) -> bool:
    return value.lower() in ("1", "true", "yes", "on")


def _first(value: object) -> str | None:
    """The first of the values that a query parameter was given."""
    if isinstance(value, (tuple, list)):
        return str(value[0]) if value else None
    return None if value is None else str(value)
