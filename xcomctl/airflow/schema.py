"""Which tables of a database hold XComs, told by tables and columns, never by version numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.relations import require_tables, visible_schema
from xcomctl.airflow.url import DatabaseAddress
from xcomctl.errors import SourceError, UsageError

ShapeName = Literal["airflow-2", "airflow-3", "airflow-3.4"]
Columns = Mapping[str, str]
"""Types of a table's columns by name, both in lower case."""

_COORDINATE_TABLES = ("xcom_v1", "xcom")
_LIVE_TABLES = ("xcom_v2", *_COORDINATE_TABLES)
# `airflow db clean` writes `_airflow_deleted__xcom__...`, upgrades `_airflow_moved__2_3__dangling__xcom` and others; where
# names of tables lose their case they may come in capitals.
_ARCHIVE = re.compile(r"_xcom_archive.*|_airflow_.*xcom.*", re.DOTALL | re.IGNORECASE)
_ANY_LIVE = re.compile(r"xcom(?:_v\d+)?", re.IGNORECASE)

_COORDINATE_COLUMNS = ("dag_run_id", "dag_id", "run_id", "task_id", "map_index", "key", "value", "timestamp")
_ATTEMPT_COLUMNS = ("id", "task_instance_id", "key", "value", "timestamp")
_RUN_COLUMNS = ("id", "dag_id", "run_id", "state", "end_date")
_TASK_COLUMNS = ("dag_id", "task_id", "run_id", "state")

_CHECK_URL = "check --db: `airflow config get-value database sql_alchemy_conn` prints Airflow's; --db-schema names a schema"
_TOO_OLD = "Airflow 2.3 is the oldest that is supported: upgrade, or name another database with --db"
_TOO_NEW = "this release of xcomctl does not know this Airflow: `pip install -U xcomctl`"
_HIDDEN = "let the user read the whole table, not some of its columns: GRANT SELECT; or drop it if it is none of Airflow's"


@dataclass(frozen=True, slots=True)
class TableShape:
    """The tables that a database has, as far as they matter here."""

    name: ShapeName
    schema: str | None
    """Schema (PostgreSQL) or database (MySQL) that holds the tables; None where there is only one place."""
    live: tuple[str, ...]
    archives: tuple[str, ...]
    columns: Mapping[str, Columns]


def read_shape(connection: Connection, address: DatabaseAddress, schema: str | None) -> TableShape:
    """Find the XCom tables and check that they can be read. Raises SourceError where the shape is not known."""
    if address.engine == "postgresql":
        schema = schema or visible_schema(connection, address)
        columns = _postgresql_columns(connection, schema)
    elif address.engine == "mysql":
        schema = schema or address.url.database
        columns = _mysql_columns(connection, schema)
    else:
        if schema not in (None, "main"):
            raise UsageError("a SQLite database has no schemas", hint="leave out --db-schema")
        schema = None
        columns = _sqlite_columns(connection)
    require_tables(connection, address, schema, _matters)
    return _recognise(columns, schema, address.label)


def _matters(name: str) -> bool:
    """Whether rows of a table of that name are read to tell what is kept, or until when."""
    return (
        _ANY_LIVE.fullmatch(name) is not None
        or _ARCHIVE.fullmatch(name) is not None
        or name in ("dag_run", "task_instance", "legacy_task_data_owner")
    )


def _recognise(columns: Mapping[str, Columns], schema: str | None, label: str) -> TableShape:
    live = tuple(name for name in _LIVE_TABLES if name in columns)
    if not live:
        found = ", ".join(sorted(columns)[:6]) if columns else "no tables at all"
        more = f" and {len(columns) - 6} more" if len(columns) > 6 else ""
        raise SourceError(
            f"{label} is not a metadata database of Airflow: expected a table xcom, or xcom_v1 and xcom_v2; "
            f"found {found}{more}",
            hint=_CHECK_URL,
        )
    for name in sorted(columns):
        # A table of XComs that is not read would make live objects look orphaned.
        if _ANY_LIVE.fullmatch(name) and name not in live:
            expected = ", ".join(_LIVE_TABLES)
            raise SourceError(f"{label} has a table {name}; expected only {expected}", hint=_TOO_NEW)
    for name in live:
        _require(columns, name, _ATTEMPT_COLUMNS if name == "xcom_v2" else _COORDINATE_COLUMNS, label)
    _require(columns, "dag_run", _RUN_COLUMNS, label)
    if not {"execution_date", "logical_date"} & set(columns["dag_run"]):
        raise SourceError(f"{label}: dag_run has neither execution_date nor logical_date", hint=_TOO_NEW)
    _require(columns, "task_instance", _TASK_COLUMNS, label)
    if "xcom_v2" in live:
        _require(columns, "task_instance", ("id", "region_index", "working_set", "try_number"), label)
    if "xcom_v1" in live:
        owner = ("dag_id", "task_id", "run_id", "map_index", "task_instance_id")
        _require(columns, "legacy_task_data_owner", owner, label)
    archives = sorted(name for name in columns if _ARCHIVE.fullmatch(name))
    for name in archives:
        # MySQL hides the columns that the user may not read.
        _require(columns, name, ("value",), label, hint=_HIDDEN)
    return TableShape(_name(columns, live, label), schema, live, tuple(archives), columns)


def _require(
    columns: Mapping[str, Columns],
    table: str,
    expected: tuple[str, ...],
    label: str,
    hint: str = "",
) -> None:
    if table not in columns:
        raise SourceError(f"{label}: expected a table {table} beside the XComs; found none", hint=_CHECK_URL)
    missing = [name for name in expected if name not in columns[table]]
    if missing:
        found = ", ".join(columns[table])
        too_old = table == "xcom" and "execution_date" in columns[table]
        raise SourceError(
            f"{label}: table {table} has no {', '.join(missing)}; expected {', '.join(expected)}; found {found}",
            hint=hint or (_TOO_OLD if too_old else _TOO_NEW),
        )


def _name(columns: Mapping[str, Columns], live: tuple[str, ...], label: str) -> ShapeName:
    if "xcom_v2" in live:
        return "airflow-3.4"
    kind = columns[live[0]]["value"]
    if re.search("blob|bytea|binary", kind):
        return "airflow-2"
    if re.search("json|text", kind):
        return "airflow-3"
    cause = f"{label}: {live[0]}.value is of type {kind or 'none'}; expected binary (Airflow 2) or JSON (Airflow 3)"
    raise SourceError(cause, hint=_TOO_NEW)


def _postgresql_columns(connection: Connection, schema: str | None) -> dict[str, dict[str, str]]:
    statement = sa.text(
        "SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE n.nspname = :schema AND c.relkind IN ('r', 'p') ORDER BY c.relname, a.attnum"
    )
    return _columns_by_table(connection.execute(statement, {"schema": schema}).fetchall())


def _mysql_columns(connection: Connection, schema: str | None) -> dict[str, dict[str, str]]:
    statement = sa.text(
        "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c "
        "JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name "
        "WHERE c.table_schema = :schema AND t.table_type = 'BASE TABLE' ORDER BY c.table_name, c.ordinal_position"
    )
    return _columns_by_table(connection.execute(statement, {"schema": schema}).fetchall())


def _sqlite_columns(connection: Connection) -> dict[str, dict[str, str]]:
    statement = sa.text(
        "SELECT m.name, c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c "
        "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY m.name, c.cid"
    )
    return _columns_by_table(connection.execute(statement).fetchall())


def _columns_by_table(records: object) -> dict[str, dict[str, str]]:
    columns: dict[str, dict[str, str]] = {}
    for table, column, kind in records:  # type: ignore[attr-defined]  # rows of either SQLAlchemy generation
        table_columns = columns.setdefault(_text(table), {})
        if column is not None:
            table_columns[_text(column).lower()] = _text(kind).lower()
    return columns


def _text(value: object) -> str:
    # Some MySQL servers give names of the information schema as bytes.
    return value.decode() if isinstance(value, bytes) else str(value)
