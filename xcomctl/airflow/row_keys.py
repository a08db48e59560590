"""Rows by their primary keys: read from the compact JSON of `Row.row_key`, and turned into SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from xcomctl.airflow.interface import RowTarget
from xcomctl.airflow.queries import Queries, quote
from xcomctl.airflow.row_sets import Column, RowSet, row_set
from xcomctl.errors import RefusedError

Key = tuple[Any, ...]
"""`(dag_run_id, task_id, map_index, key)`, or `(uuid,)` of an xcom_v2 row."""

_COORDINATES: list[type] = [int, str, int, str]

# Of `json.loads` this is the part that reads; the rest would take as long again.
_read = json.JSONDecoder().raw_decode


def keys_of(targets: Iterable[RowTarget], queries: Queries) -> list[Key]:
    """The primary keys that targets name, in order. Raises RefusedError for one that this database cannot have."""
    kinds = {name: [str] if name == "xcom_v2" else _COORDINATES for name in queries.shape.live}
    keys = []
    for target in targets:
        wanted = kinds.get(target.table)
        if wanted is None:
            raise RefusedError(
                f"the plan names table {target.table}, which this database does not have",
                hint="Airflow was migrated meanwhile, or it is another database: make a new plan",
            )
        row_key = target.row_key
        try:
            parts, end = _read(row_key)
        except (ValueError, RecursionError):
            parts, end = None, 0
        if (
            type(parts) is not list
            or [*map(type, parts)] != wanted
            or end != len(row_key)
            # No server has such a text.
            or "\\u0000" in row_key
        ):
            raise RefusedError(
                f"the plan names a row of {target.table} by something that is no key of it",
                hint="make a new plan",
            )
        keys.append(tuple(parts))
    return keys


def key_columns(table: str, queries: Queries) -> list[Column]:
    """The columns of the primary key, of the table under the name `x`."""
    if table == "xcom_v2":
        return [uuid_column("x.id", queries)]
    key = f"x.{quote('key', queries.engine)}"
    return [
        Column("x.dag_run_id", "bigint"),
        Column("x.task_id"),
        Column("x.map_index", "bigint"),
        Column(key),
    ]


def selected_key(table: str, queries: Queries) -> list[str]:
    """SQL that gives the key of each row, as `key_of` does."""
    return [
        as_text(column.expression, queries) if column.kind == "uuid" else column.expression
        for column in key_columns(table, queries)
    ]


def with_keys(table: str, keys: Sequence[Key], queries: Queries) -> RowSet:
    """The rows with these keys, of the table under the name `x`."""
    return row_set(key_columns(table, queries), keys, queries.engine)


def uuid_column(expression: str, queries: Queries) -> Column:
    """A column of uuids, which only PostgreSQL has a type for."""
    return Column(expression, "uuid" if queries.engine == "postgresql" else "text")


def as_text(expression: str, queries: Queries) -> str:
    """SQL for a uuid as text, which PostgreSQL's driver would make an object of."""
    return f"CAST({expression} AS text)" if queries.engine == "postgresql" else expression
