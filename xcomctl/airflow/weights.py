"""What the XCom tables weigh in their own database: bytes of table and indexes, and rows."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.interface import TableWeight
from xcomctl.airflow.queries import Queries

_COUNTED = 64 << 20
"""Bytes up to which the rows of a table are counted, which takes a moment; of larger ones the server has an estimate."""

_Found = tuple[int | None, int | None, int | None]
"""Bytes of the table, bytes of its indexes, and how many rows the server thinks it has."""

# A partitioned table has nothing of its own: its parts do. What is stored out of line (TOAST) counts as the table's.
# The rows are those of the last vacuum or analyze; before the first one, as far as the statistics followed the changes.
_POSTGRESQL = """
WITH RECURSIVE part AS (
    SELECT to_regclass(:name)::oid AS oid
    UNION ALL
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part p ON i.inhparent = p.oid
)
SELECT
    CAST(sum(pg_table_size(c.oid)) AS bigint), CAST(sum(pg_indexes_size(c.oid)) AS bigint),
    CAST(sum(CASE WHEN c.reltuples > 0 THEN c.reltuples ELSE coalesce(s.n_live_tup, 0) END) AS bigint)
FROM part p
JOIN pg_catalog.pg_class c ON c.oid = p.oid
LEFT JOIN pg_catalog.pg_stat_all_tables s ON s.relid = c.oid
"""
_MYSQL = """
SELECT data_length, index_length, table_rows
FROM information_schema.tables WHERE table_schema = :schema AND table_name = :name
"""
_HAS_DBSTAT = "SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'"
_SQLITE = """
SELECT
    coalesce(sum(s.pgsize) FILTER (WHERE m.type = 'table'), 0),
    coalesce(sum(s.pgsize) FILTER (WHERE m.type = 'index'), 0),
    NULL
FROM sqlite_master m JOIN dbstat s ON s.name = m.name AND s.aggregate = TRUE
WHERE m.tbl_name = :name
"""


def weights_of(connection: Connection, queries: Queries, *, counted: int = _COUNTED) -> list[TableWeight]:
    """The weight of each XCom table, live ones first, then archives; see `airflow.interface.Source.weights`.

    The rows of tables of at most `counted` bytes are counted, those of larger ones are estimated.
    """
    measure = {"postgresql": _in_postgresql, "mysql": _in_mysql, "sqlite": _in_sqlite}[queries.engine]
    return [
        _weight(connection, queries, name, measure(connection, queries, name), counted=counted)
        for name in (*queries.shape.live, *queries.shape.archives)
    ]


def _weight(
    connection: Connection, queries: Queries, name: str, found: _Found, *, counted: int
) -> TableWeight:
    table_bytes, index_bytes, rows = found
    exact = rows is None or table_bytes is None or table_bytes <= counted
    if exact:
        rows = connection.execute(sa.text(f"SELECT count(*) FROM {queries.table(name)}")).scalar()
    archived = name in queries.shape.archives
    return TableWeight(name, archived, int(rows or 0), exact, table_bytes, index_bytes)


def _in_postgresql(connection: Connection, queries: Queries, name: str) -> _Found:
    # to_regclass reads the name as SQL does, so it is given in quotes; a colon has no meaning in a value.
    told = queries.table(name).replace("\\:", ":")
    return _numbers(connection, _POSTGRESQL, name=told)


def _in_mysql(connection: Connection, queries: Queries, name: str) -> _Found:
    return _numbers(connection, _MYSQL, schema=queries.shape.schema, name=name)


def _in_sqlite(connection: Connection, _queries: Queries, name: str) -> _Found:
    # Not every build of SQLite can say which pages are whose; a file as a whole says nothing of its XComs.
    if connection.execute(sa.text(_HAS_DBSTAT)).scalar() is None:
        return None, None, None
    return _numbers(connection, _SQLITE, name=name)


def _numbers(connection: Connection, statement: str, **parameters: str | None) -> _Found:
    found = connection.execute(sa.text(statement), parameters).fetchone()
    # A table that went meanwhile has none; the count that follows says so.
    first, second, third = (None, None, None) if found is None else found
    return _integer(first), _integer(second), _integer(third)


def _integer(value: object) -> int | None:
    return None if value is None else int(str(value))
