"""Rows by their primary keys: read from the compact JSON of `Row.row_key`, and turned into SQL conditions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from xcomctl.airflow.interface import RowTarget
from xcomctl.airflow.queries import Queries, quote
from xcomctl.errors import RefusedError

Key = tuple[Any, ...]
"""`(dag_run_id, task_id, map_index, key)`, or `(uuid,)` of an xcom_v2 row."""

# Four parameters a row, and SQLite may allow no more than 999 in one statement.
_KEYS_PER_STATEMENT = 150


def key_of(target: RowTarget, queries: Queries) -> Key:
    """The primary key that a target names. Raises RefusedError for one that this database cannot have."""
    if target.table not in queries.shape.live:
        raise RefusedError(
            f"the plan names table {target.table}, which this database does not have",
            hint="Airflow was migrated meanwhile, or it is another database: make a new plan",
        )
    try:
        parts = json.loads(target.row_key)
    except ValueError:
        parts = None
    kinds: tuple[type, ...] = (str,) if target.table == "xcom_v2" else (int, str, int, str)
    if not isinstance(parts, list) or [type(part) for part in parts] != list(kinds):
        raise RefusedError(
            f"the plan names a row of {target.table} by something that is no key of it",
            hint="make a new plan",
        )
    return tuple(parts)


def key_columns(table: str, queries: Queries, alias: str = "") -> list[str]:
    """The columns of the primary key, quoted; with `alias` those of that table in a join."""
    names = ("id",) if table == "xcom_v2" else ("dag_run_id", "task_id", "map_index", "key")
    return [
        f"{alias}.{quote(name, queries.engine)}" if alias else quote(name, queries.engine) for name in names
    ]


def key_condition(
    table: str, keys: Sequence[Key], queries: Queries, alias: str = ""
) -> tuple[str, dict[str, Any]]:
    """SQL that holds for the rows with these keys, and its expanding parameters."""
    columns = key_columns(table, queries, alias)
    if table == "xcom_v2":
        return f"{columns[0]} IN :ids", {"ids": [key[0] for key in keys]}
    # The runs again on their own: not every engine uses the index for a list of tuples.
    return (
        f"{columns[0]} IN :runs AND ({', '.join(columns)}) IN :keys",
        {"runs": sorted({key[0] for key in keys}), "keys": list(keys)},
    )


def as_text(expression: str, queries: Queries) -> str:
    """SQL for a uuid as text, which PostgreSQL's driver would make an object of."""
    return f"CAST({expression} AS text)" if queries.engine == "postgresql" else expression


def expanding(statement: str, parameters: dict[str, Any]) -> sa.sql.elements.TextClause:
    """A statement whose parameters are lists."""
    return sa.text(statement).bindparams(*(sa.bindparam(name, expanding=True) for name in parameters))


def in_parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """As many of the items at a time as one statement can take."""
    for start in range(0, len(items), _KEYS_PER_STATEMENT):
        yield items[start : start + _KEYS_PER_STATEMENT]
