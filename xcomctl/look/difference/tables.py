"""Tables compared in DuckDB, which keeps to its limit of memory: both sides are read once, part by part."""

# Names are quoted; all values come as columns.
# ruff: noqa: S608

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal

from xcomctl.arrow_arrays import texts
from xcomctl.errors import UsageError
from xcomctl.look.codecs.arrow_cells import cells
from xcomctl.look.codecs.cells import json_ready
from xcomctl.look.codecs.shapes import member
from xcomctl.look.difference.model import Change, ChangeKind, ColumnChange

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

SideName = Literal["old", "new"]
_ROW = "row_number"
_NUMBERS = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "FLOAT",
    "DOUBLE",
)


class LoadedTable:
    """One side, as a table of the database: its columns are `c0`, `c1`, ... A `codecs.interface.ColumnTaker`."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, name: SideName) -> None:
        self._connection = connection
        self.name = name
        self.rows = 0
        self.columns: dict[tuple[str, int], str] = {}
        """The column in the database, by name; the number tells columns of one name apart."""
        self.types: dict[tuple[str, int], str] = {}
        """Their types as the payload names them."""
        self.kinds: dict[str, str] = {}
        """Types of the columns in the database."""

    def begin(self, names: Sequence[str], types: Sequence[str]) -> None:
        """Learn of the columns."""
        for place, (name, kind) in enumerate(zip(names, types, strict=True)):
            key = (name, list(names[:place]).count(name))
            self.columns[key], self.types[key] = f"c{place}", kind
        self.kinds = dict.fromkeys(self.columns.values(), "VARCHAR")
        declared = "".join(f", {column} VARCHAR" for column in self.kinds)
        self._connection.execute(f"CREATE TABLE {self.name} ({_ROW} BIGINT{declared})")

    def take(self, columns: Sequence[pa.Array]) -> None:
        """Insert rows."""
        import pyarrow as pa

        part = pa.table(
            [pa.array(range(self.rows, self.rows + len(columns[0])), pa.int64()), *map(_loadable, columns)],
            names=[_ROW, *self.kinds],
        )
        self._connection.register("part", part)
        try:
            if self.rows:
                self._connection.execute(f"INSERT INTO {self.name} SELECT * FROM part")
            else:
                # Only the first part tells of what types the columns are.
                self._connection.execute(f"CREATE OR REPLACE TABLE {self.name} AS SELECT * FROM part")
                described = self._connection.execute(f"DESCRIBE {self.name}").fetchall()
                self.kinds = {str(column[0]): str(column[1]) for column in described if column[0] != _ROW}
        finally:
            self._connection.unregister("part")
        self.rows += len(columns[0])


class TableComparison:
    """Two loaded tables and how their rows belong together. Raises UsageError where `on` does not tell."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, old: LoadedTable, new: LoadedTable, on: Sequence[str]
    ) -> None:
        self._connection = connection
        self._old, self._new = old, new
        self._on = on
        self._shared = [key for key in old.columns if key in new.columns]
        for table in (old, new):
            self._check_key(table)
        pairs = [((name, 0), (name, 0)) for name in on]
        conditions = [
            f"{self._text('o', old, left)} IS NOT DISTINCT FROM {self._text('n', new, right)}"
            for left, right in pairs
        ]
        self._joined = f"old o FULL JOIN new n ON {' AND '.join(conditions) or f'o.{_ROW} = n.{_ROW}'}"
        self._differs = {key: self._condition(key) for key in self._shared if key[0] not in on or key[1]}

    def columns(self) -> tuple[ColumnChange, ...]:
        """Columns that are on one side only, or of another type."""
        old, new = self._old.types, self._new.types
        found = [
            ColumnChange(key[0], "removed" if key not in new else "changed", kind, new.get(key))
            for key, kind in old.items()
            if new.get(key) != kind
        ]
        return (*found, *(ColumnChange(key[0], "added", None, new[key]) for key in new if key not in old))

    def counts(self) -> tuple[dict[ChangeKind, int], dict[str, int]]:
        """Rows that were added, removed, changed; changed cells by column."""
        each = list(self._differs.values())
        asked = [
            f"count(*) FILTER (o.{_ROW} IS NULL)",
            f"count(*) FILTER (n.{_ROW} IS NULL)",
            f"count(*) FILTER ({self._any()})",
            *(f"count(*) FILTER ({self._both()} AND {condition})" for condition in each),
        ]
        counted = self._connection.execute(f"SELECT {', '.join(asked)} FROM {self._joined}").fetchone() or ()
        added, removed, changed, *cells_of = (int(count) for count in counted)
        by_column: dict[str, int] = {}
        for key, count in zip(self._differs, cells_of, strict=True):
            if count:
                by_column[key[0]] = by_column.get(key[0], 0) + count
        return {"added": added, "removed": removed, "changed": changed}, by_column

    def changes(self, limit: int | None) -> Iterator[Change]:
        """Rows and cells that differ, in the order of the rows; a row with the columns that both sides have."""
        keys = [(name, 0) for name in self._on]
        chosen = [f"o.{_ROW}", f"n.{_ROW}"]
        chosen += [
            f"coalesce({self._text('n', self._new, key)}, {self._text('o', self._old, key)})" for key in keys
        ]
        for key, condition in self._differs.items():
            chosen += [condition, f"o.{self._old.columns[key]}", f"n.{self._new.columns[key]}"]
        asked = self._connection.execute(
            f"SELECT {', '.join(chosen)} FROM {self._joined} WHERE o.{_ROW} IS NULL OR n.{_ROW} IS NULL"
            f" OR {self._any()} ORDER BY coalesce(n.{_ROW}, o.{_ROW}), o.{_ROW}"
            + ("" if limit is None else f" LIMIT {int(limit)}")
        )
        while record := asked.fetchone():
            old_row, new_row, *rest = record
            values = rest[: len(keys)]
            named = ", ".join(f"{name}={value}" for name, value in zip(self._on, values, strict=True))
            path = f".[{named or (old_row if new_row is None else new_row)}]"
            compared = [
                (key[0], differs, _cell(old, self._old.types[key]), _cell(new, self._new.types[key]))
                for key, (differs, old, new) in zip(self._differs, _threes(rest[len(keys) :]), strict=True)
            ]
            if old_row is None:
                yield Change(path, "added", new={name: new for name, _, _, new in compared})
            elif new_row is None:
                yield Change(path, "removed", old={name: old for name, _, old, _ in compared})
            else:
                for name, differs, old, new in compared:
                    if differs:
                        yield Change(member(path, name), "changed", old, new)

    def _both(self) -> str:
        return f"o.{_ROW} IS NOT NULL AND n.{_ROW} IS NOT NULL"

    def _any(self) -> str:
        return f"{self._both()} AND ({' OR '.join(self._differs.values()) or 'false'})"

    def _condition(self, key: tuple[str, int]) -> str:
        """SQL: whether the cells of a column differ. Numbers are compared as numbers, also with a text that is one."""
        old, new = self._old.columns[key], self._new.columns[key]
        kinds = (self._old.kinds[old], self._new.kinds[new])
        native = kinds[0] == kinds[1] or all(_is_number(kind) for kind in kinds)
        if native or all(kind.startswith("TIMESTAMP") for kind in kinds):
            return f"(o.{old} IS DISTINCT FROM n.{new})"
        differ = f"{self._text('o', self._old, key)} IS DISTINCT FROM {self._text('n', self._new, key)}"
        if any(_is_number(kind) for kind in kinds):
            numbers = f"TRY_CAST(o.{old} AS DOUBLE) IS NOT DISTINCT FROM TRY_CAST(n.{new} AS DOUBLE)"
            differ += f" AND NOT ({numbers} AND TRY_CAST(o.{old} AS DOUBLE) IS NOT NULL)"
        return f"({differ})"

    def _text(self, alias: str, table: LoadedTable, key: tuple[str, int]) -> str:
        return f"CAST({alias}.{table.columns[key]} AS VARCHAR)"

    def _check_key(self, table: LoadedTable) -> None:
        if not self._on:
            return
        for name in self._on:
            if (name, 0) not in table.columns:
                raise UsageError(
                    f"the {table.name} side has no column {name!r}",
                    hint=f"columns of both are {', '.join(key[0] for key in self._shared[:8])}",
                )
        columns = ", ".join(table.columns[(name, 0)] for name in self._on)
        twice = self._connection.execute(
            f"SELECT {columns} FROM {table.name} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1"
        ).fetchone()
        if twice is not None:
            shown = ", ".join(f"{name}={value}" for name, value in zip(self._on, twice, strict=True))
            raise UsageError(
                f"{shown} occurs twice on the {table.name} side", hint="name more columns: --on a,b"
            )


def _threes(values: Sequence[Any]) -> Iterator[tuple[Any, Any, Any]]:
    each = iter(values)
    return zip(each, each, each, strict=True)


def _cell(value: Any, kind: str) -> Any:
    """A cell as JSON types: a number, too, that a CSV holds as text."""
    if isinstance(value, datetime) and ", tz=" in kind:
        return json_ready(value.replace(tzinfo=timezone.utc))
    if isinstance(value, str) and kind in ("int64", "integer", "double", "bool"):
        with contextlib.suppress(ValueError):
            return json_ready(json.loads(value))
    return json_ready(value)


def _is_number(kind: str) -> bool:
    return kind in _NUMBERS or kind.startswith("DECIMAL")


def _loadable(column: pa.Array) -> pa.Array:
    """The column in a type that DuckDB has too: times in UTC, NaN as null, what is nested or rare as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    of = pa.types
    if of.is_timestamp(kind):
        return (
            column.cast(pa.timestamp(kind.unit))
            if kind.tz is None
            else column.cast(pa.int64()).cast(pa.timestamp(kind.unit))
        )
    if of.is_float32(kind) or of.is_float64(kind):
        return pc.if_else(pc.is_nan(column), pa.scalar(None, kind), column)
    tests = (of.is_integer, of.is_boolean, of.is_string, of.is_large_string, of.is_date32, of.is_decimal128)
    if any(test(kind) for test in tests):
        return column
    return texts([None if cell is None else _text_of(cell) for cell in cells(column)])


def _text_of(cell: Any) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False)
