"""Many tuples of values as one side of a statement: arrays on PostgreSQL, JSON on SQLite, lists on MySQL.

One statement finds thousands of rows. It needs no temporary table, so neither a right for one nor a session that stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from xcomctl.airflow.queries import Queries
from xcomctl.airflow.url import EngineName

_TUPLES_AT_ONCE: dict[EngineName, int] = {"postgresql": 5_000, "sqlite": 5_000, "mysql": 1_000}
"""MySQL weighs every range of a list before it takes an index, and gives up where they need more than 8 MB."""

_INDEXES_ONLY = (
    "SELECT set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)"
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the tuples: the SQL that they are compared with, and the type of their values in PostgreSQL."""

    expression: str
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class RowSet:
    """Tuples as parameters of one statement, which finds rows as `SELECT ... FROM {of(source)} WHERE {condition}`."""

    before: str
    """What comes before the table in FROM; '' where the condition says all."""
    condition: str
    parameters: dict[str, Any]

    def of(self, source: str) -> str:
        """A FROM clause, whose first table is looked up by these tuples."""
        return f"{self.before} CROSS JOIN {source}" if self.before else source

    def statement(self, text: str, **more: Any) -> tuple[sa.sql.elements.TextClause, dict[str, Any]]:
        """A statement with all its parameters; those that are sequences are expanded to lists."""
        parameters = {**self.parameters, **more}
        lists = [name for name, value in parameters.items() if isinstance(value, (list, tuple))]
        return sa.text(text).bindparams(*(sa.bindparam(name, expanding=True) for name in lists)), parameters


def row_set(
    columns: Sequence[Column], tuples: Sequence[Sequence[Any]], engine: EngineName, *, beside: int = 0
) -> RowSet:
    """Some tuples, no two of them equal. The last `beside` of their columns are not compared, only carried.

    In the statement these are `t.c3` and so on, which MySQL does not have.
    """
    compared = len(columns) - beside
    if engine == "postgresql":
        names = [f"c{number}" for number in range(len(columns))]
        arrays = ", ".join(
            f"CAST(:{name} AS {column.kind}[])" for name, column in zip(names, columns, strict=True)
        )
        return RowSet(
            f"unnest({arrays}) AS t({', '.join(names)})",
            " AND ".join(f"{columns[number].expression} = t.c{number}" for number in range(compared)),
            {
                name: _array(values, column.kind)
                for name, column, values in zip(names, columns, zip(*tuples, strict=True), strict=True)
            },
        )
    if engine == "sqlite":
        # Not in ASCII: what is no UTF-8 is an error then, and not another text.
        return RowSet(
            "json_each(:tuples) AS t",
            " AND ".join(
                f"{columns[number].expression} = json_extract(t.value, '$[{number}]')"
                for number in range(compared)
            ),
            {"tuples": json.dumps(tuples, ensure_ascii=False)},
        )
    first = columns[0].expression
    firsts = {"firsts": sorted({one[0] for one in tuples})}
    if compared == 1:
        return RowSet("", f"{first} IN :firsts", firsts)
    # The first ones again on their own: not every server uses the index for a list of tuples.
    listed = ", ".join(column.expression for column in columns[:compared])
    return RowSet(
        "",
        f"{first} IN :firsts AND ({listed}) IN :tuples",
        {**firsts, "tuples": [tuple(one) for one in tuples]},
    )


def in_parts(items: Sequence[Any], engine: EngineName) -> Iterator[Sequence[Any]]:
    """As many of the items at a time as one statement takes well."""
    size = _TUPLES_AT_ONCE[engine]
    for start in range(0, len(items), size):
        yield items[start : start + size]


def by_index_only(connection: Connection, queries: Queries) -> None:
    """For the rest of this transaction rows are looked up one by one in an index, however few the table has.

    PostgreSQL would read a whole table of a million for every few thousand of them.
    """
    if queries.engine == "postgresql":
        connection.execute(sa.text(_INDEXES_ONLY))


def _array(values: Sequence[Any], kind: str) -> str:
    """The literal of an array: half of the time that the driver takes for a list, and a tenth of the server's."""
    if kind == "bigint":
        return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"
    listed = '","'.join(values)
    if "\\" in listed or listed.count('"') > 2 * (len(values) - 1):
        listed = '","'.join([text.replace("\\", "\\\\").replace('"', '\\"') for text in values])
    return f'{{"{listed}"}}'
