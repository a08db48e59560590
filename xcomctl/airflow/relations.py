"""What stands under the names of Airflow's tables: anything but an ordinary table may show only a part of the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.url import DatabaseAddress
from xcomctl.errors import SourceError

# Names of tables: views and foreign tables among them, and tables with a part elsewhere. A temporary table is never
# looked at, since no schema of the search path but its own holds it.
_POSTGRESQL = """
SELECT c.relname, CASE c.relkind
    WHEN 'v' THEN 'a view' WHEN 'm' THEN 'a materialized view' WHEN 'f' THEN 'a foreign table'
    ELSE 'a table that keeps rows on another server' END
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND (c.relkind IN ('v', 'm', 'f') OR (c.relkind IN ('r', 'p') AND EXISTS (
    WITH RECURSIVE parts AS (
        SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = c.oid
        UNION SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN parts p ON i.inhparent = p.inhrelid
    )
    SELECT 1 FROM parts JOIN pg_catalog.pg_class f ON f.oid = parts.inhrelid WHERE f.relkind = 'f'
)))
"""
# In a transaction these engines show one state of their rows, and the rows are in this server.
_MYSQL = """
SELECT table_name, CASE
    WHEN table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') THEN concat('a table of the engine ', engine)
    ELSE concat('a ', lower(table_type)) END
FROM information_schema.tables
WHERE table_schema = :schema
  AND (table_type NOT IN ('BASE TABLE', 'SYSTEM VERSIONED') OR coalesce(engine, '') NOT IN ('InnoDB', 'ndbcluster'))
"""
_SQLITE = """
SELECT name, CASE type WHEN 'view' THEN 'a view' ELSE 'a virtual table' END FROM sqlite_master
WHERE type = 'view' OR (type = 'table' AND upper(sql) LIKE 'CREATE VIRTUAL%')
"""
_VISIBLE = """
SELECT DISTINCT n.nspname, p.place FROM unnest(current_schemas(false)) WITH ORDINALITY AS p (name, place)
JOIN pg_catalog.pg_namespace n ON n.nspname = p.name
JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname IN ('xcom', 'xcom_v1', 'xcom_v2')
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY p.place
"""


def require_tables(
    connection: Connection, address: DatabaseAddress, schema: str | None, matters: Callable[[str], bool]
) -> None:
    """Raise SourceError if what stands under a name that matters is no ordinary table of this server."""
    for name, kind in sorted(_others(connection, address, schema).items()):
        if matters(name):
            raise SourceError(
                f"{address.label}: {name} is {kind}, not a table of Airflow's own: it may show a part of the rows",
                hint="name the place of Airflow's own tables: --db as Airflow has it, --db-schema for a schema",
            )


def visible_schema(connection: Connection, address: DatabaseAddress) -> str:
    """The PostgreSQL schema in which this session finds the XComs by their bare name, so by its search path.

    Raises SourceError if there are several: which of them Airflow writes to hangs on who asks.
    """
    found = [str(name) for name, _ in connection.execute(sa.text(_VISIBLE)).fetchall()]
    if len(found) > 1:
        raise SourceError(
            f"{address.label}: several schemas of the search path have XComs: {', '.join(found)}",
            hint=f"say in which one Airflow's tables are: --db-schema {found[-1]}",
        )
    return found[0] if found else str(connection.execute(sa.text("SELECT current_schema()")).scalar())


def _others(connection: Connection, address: DatabaseAddress, schema: str | None) -> Mapping[str, str]:
    """What is no ordinary table, by name, in words."""
    statement = {"postgresql": _POSTGRESQL, "mysql": _MYSQL, "sqlite": _SQLITE}[address.engine]
    parameters = {} if address.engine == "sqlite" else {"schema": schema}
    records = connection.execute(sa.text(statement), parameters).fetchall()
    # Some MySQL servers give names of the information schema as bytes.
    return {_text(name): _text(kind) for name, kind in records}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
