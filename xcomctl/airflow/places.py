"""Places beside the XCom tables in which a metadata database can mention objects, and what they mention.

They hold secrets. Of a value only what may be part of a key leaves this module: uuids, and keys below the roots. PostgreSQL
finds these itself. MySQL, MariaDB and SQLite have no function that gives all matches, so there each value is looked
through as it comes, one after the other, and forgotten.
"""

# Names of tables and columns are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.failures import DENIED_HINT
from xcomctl.airflow.interface import Mention
from xcomctl.airflow.queries import Queries, quote
from xcomctl.airflow.records import clean, raw_of
from xcomctl.airflow.schema import TableShape
from xcomctl.airflow.streaming import streamed
from xcomctl.airflow.url import DatabaseAddress
from xcomctl.errors import SourceError, UsageError
from xcomctl.models import Root

_COLUMNS: dict[str, tuple[str, ...]] = {
    "asset": ("extra",),
    "asset_event": ("extra",),
    "asset_state_store": ("value",),
    "backfill": ("dag_run_conf",),
    "callback": ("data", "output"),
    "callback_request": ("callback_data",),
    "connection": ("extra",),
    "dag_run": ("conf",),
    "dataset": ("extra",),
    "dataset_event": ("extra",),
    "deadline": ("callback_kwargs",),
    "hitl_detail": ("options", "subject", "body", "defaults", "params", "chosen_options", "params_input"),
    "rendered_task_instance_fields": ("rendered_fields", "k8s_pod_yaml"),
    "rtif_v1": ("rendered_fields", "k8s_pod_yaml"),
    "rtif_v2": ("rendered_fields", "k8s_pod_yaml"),
    "serialized_dag": ("data",),
    "task_instance": ("next_kwargs",),
    "task_instance_history": ("next_kwargs",),
    "task_state_store": ("value",),
    "trigger": ("kwargs",),
    "variable": ("val",),
}
_COLUMNS["hitl_detail_history"] = _COLUMNS["hitl_detail"]

PLACES: tuple[str, ...] = tuple(sorted(_COLUMNS))
"""Tables that are looked through where a release has them."""

# What names a row to people, where it is not the primary key; then the primary keys of all releases.
_NAMED_BY = {"variable": ("key",), "connection": ("conn_id",)}
_KEYS: tuple[tuple[str, ...], ...] = (
    ("id",),
    ("ti_id",),
    ("ti_history_id",),
    ("task_instance_id",),
    ("dag_id", "run_id", "task_id", "map_index"),
    ("asset_id", "key"),
    ("dag_id",),
)


@dataclass(frozen=True, slots=True)
class Place:
    """A table, the columns that are looked through, and those that name a row of it."""

    table: str
    key: tuple[str, ...]
    columns: tuple[str, ...]


def places_in(shape: TableShape, ignored: Collection[str]) -> list[Place]:
    """The places that a database has, without the ignored tables. Raises UsageError for an ignored table that is none."""
    unknown = sorted(set(ignored) - set(PLACES))
    if unknown:
        raise UsageError(
            f"--ignore-places {','.join(ignored)}: {unknown[0]} is none that is looked through",
            hint=f"name tables with commas between them, of {', '.join(PLACES)}",
        )
    found = []
    for table in PLACES:
        present = shape.columns.get(table, {})
        columns = tuple(name for name in _COLUMNS[table] if name in present)
        if not columns or table in ignored:
            continue
        keys = (_NAMED_BY.get(table, ("id",)), *_KEYS)
        key = next((names for names in keys if set(names) <= set(present)), ())
        found.append(Place(table, key, columns))
    return found


def lacking_grants(connection: Connection, queries: Queries, places: Sequence[Place]) -> list[str]:
    """What to grant, as in `SELECT (id, conf) ON dag_run`, so that a PostgreSQL user may look through the places."""
    if queries.engine != "postgresql":
        return []
    lacking = []
    for place in places:
        names = (*place.key, *place.columns)
        allowed = "has_column_privilege(CAST(:name AS text), CAST(:column AS text), 'SELECT')"
        table = queries.table(place.table)
        missing = [
            column
            for column in names
            if not connection.execute(
                sa.text(f"SELECT {allowed}"), {"name": table.replace("\\:", ":"), "column": column}
            ).scalar()
        ]
        if missing:
            lacking.append(f"SELECT ({', '.join(names)}) ON {place.table}")
    return lacking


def require_rights(
    connection: Connection, queries: Queries, address: DatabaseAddress, places: Sequence[Place]
) -> None:
    """Raise SourceError where the user may not look through some of the places, with all that is to be granted."""
    if lacking := lacking_grants(connection, queries, places):
        tables = [grant.rpartition(" ")[2] for grant in lacking]
        raise _denied(address, tables, lacking)


def mentions(
    connection: Connection,
    queries: Queries,
    address: DatabaseAddress,
    places: Sequence[Place],
    roots: Sequence[Root],
) -> Iterator[Mention]:
    """What the places mention, of every value that holds a uuid or a key below a root. Raises SourceError."""
    pattern = mention_pattern(roots)
    for place in places:
        for column in place.columns:
            try:
                if queries.engine == "postgresql":
                    yield from _found_by_server(connection, queries, address, place, column, pattern)
                else:
                    yield from _found_here(connection, queries, address, place, column, pattern)
            except SourceError as error:
                if error.hint != DENIED_HINT:
                    raise
                names = ", ".join((*place.key, *place.columns))
                raise _denied(address, [place.table], [f"SELECT ({names}) ON {place.table}"]) from None


def mention_pattern(roots: Sequence[Root]) -> str:
    """What leaves a value, as a pattern that PostgreSQL and Python read alike; it has no groups.

    Runs of at least 32 hexadecimal digits and dashes, as a uuid is or lies in; and whatever stands behind the prefix of a
    root, or behind the name of a bucket that is a root as a whole, up to a quote or a blank. A slash may be escaped, and
    the prefix written as JSON writes it.
    """
    below = set()
    for root in roots:
        place = root.prefix or f"{root.bucket}/"
        for spelled in {place, json.dumps(place)[1:-1]}:
            below.add(r"\\*/".join(re.escape(part) for part in spelled.split("/")))
    return "|".join([*(f'{place}[^"\\s]+' for place in sorted(below)), "[0-9A-Fa-f-]{32,}"])


def _found_by_server(
    connection: Connection,
    queries: Queries,
    address: DatabaseAddress,
    place: Place,
    column: str,
    pattern: str,
) -> Iterator[Mention]:
    value = quote(column, "postgresql")
    kind = queries.shape.columns[place.table][column]
    # A pickle's texts are in it as they are; other bytes are written as \ooo.
    text = f"encode({value}, 'escape')" if kind == "bytea" else f"CAST({value} AS text)"
    keys = "".join(f", {quote(name, 'postgresql')}" for name in place.key)
    statement = (
        f"SELECT (SELECT string_agg(found[1], E'\\n') FROM regexp_matches(held, :pattern, 'g') AS found){keys}"
        f" FROM (SELECT {text} AS held{keys} FROM {queries.table(place.table)} WHERE {value} IS NOT NULL) x"
        " WHERE held ~ :pattern"
    )
    with streamed(connection, statement, {"pattern": pattern}, address) as records:
        for found, *key in records:
            yield Mention(place.table, column, _key(key), found)


def _found_here(
    connection: Connection,
    queries: Queries,
    address: DatabaseAddress,
    place: Place,
    column: str,
    pattern: str,
) -> Iterator[Mention]:
    looked_for = re.compile(pattern, re.ASCII)
    value = quote(column, queries.engine)
    names = ", ".join([value, *(quote(name, queries.engine) for name in place.key)])
    statement = f"SELECT {names} FROM {queries.table(place.table)} WHERE {value} IS NOT NULL"
    with streamed(connection, statement, {}, address) as records:
        for held, *key in records:
            text = (raw_of(held) or b"").decode("utf-8", "replace")
            found = looked_for.findall(text)
            if found:
                yield Mention(place.table, column, _key(key), "\n".join(found))


def _key(values: Sequence[object]) -> str:
    """What names a row, in words: `etl, run_1, load, -1`."""
    return ", ".join(
        str(clean(value.decode("utf-8", "replace") if isinstance(value, bytes) else value))
        for value in values
    )


def _denied(address: DatabaseAddress, tables: Sequence[str], grants: Sequence[str]) -> SourceError:
    user = address.url.username or "USER"
    typed = "; ".join(f"GRANT {grant} TO {user}" for grant in grants)
    return SourceError(
        f"{address.label}: the user may not look through {', '.join(tables)}, which can mention objects",
        hint=f"{typed}; or let them keep nothing: --ignore-places {','.join(tables)}",
    )
