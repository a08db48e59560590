"""The SQL that reads XCom tables, by shape and engine. Every query gives the same fields in the same order."""

# Names of tables are quoted, and values are always parameters.
# ruff: noqa: S608

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from xcomctl.airflow.schema import Columns, TableShape
from xcomctl.airflow.url import EngineName

FIELDS = (
    "table_index",
    "row_id",
    "dag_run_id",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "key",
    "written_at",
    "raw",
    "run_state",
    "run_at",
    "run_ended_at",
    "try_number",
    "superseded",
)
"""Fields of a record, in order. Times are microseconds since 1970 (SQLite: text), `raw` as the driver gives it.

`table_index` counts through the live tables of the shape; `row_id` is the uuid of an xcom_v2 row, else NULL.
"""

Identity = Literal["coordinates", "uuid", "none"]

# PostgreSQL wants the columns of all parts of a UNION to be of one type.
_NULL_TEXT = "CAST(NULL AS text)"
_NULL_INTEGER = "CAST(NULL AS integer)"
_NULLS = ("NULL", _NULL_TEXT, _NULL_INTEGER)


@dataclass(frozen=True, slots=True)
class TableQuery:
    """How one table is read: `FROM` clause, and the SQL expression for each of `FIELDS`."""

    name: str
    archived: bool
    identity: Identity
    source: str
    expressions: Mapping[str, str]
    raw_type: str

    def select(self, engine: EngineName, condition: str = "", fields: Sequence[str] = FIELDS) -> str:
        """`SELECT` of these fields; `condition` is SQL over the expressions."""
        readables = {**self.expressions, "raw": readable(self.expressions["raw"], self.raw_type, engine)}
        where = f" WHERE {condition}" if condition else ""
        return f"SELECT {aliased(readables, fields)} FROM {self.source}{where}"

    def count(self, condition: str = "") -> str:
        """`SELECT` of how many records that is."""
        return f"SELECT count(*) FROM {self.source}" + (f" WHERE {condition}" if condition else "")

    def is_null(self, field: str) -> bool:
        """Whether the field is NULL in every record, since the table has nothing to say of it."""
        return self.expressions[field] in _NULLS


class Queries:
    """Builds the queries for one shape on one engine. With `stored_times` they give times as the columns hold them."""

    def __init__(self, shape: TableShape, engine: EngineName, *, stored_times: bool = False) -> None:
        self.shape = shape
        self.engine = engine
        self._stored_times = stored_times

    def by_stored_times(self) -> Queries:
        """The same queries, but for times as the columns hold them."""
        return Queries(self.shape, self.engine, stored_times=True)

    def table(self, name: str) -> str:
        """A table of Airflow, quoted, with its schema."""
        quoted = quote(name, self.engine)
        return f"{quote(self.shape.schema, self.engine)}.{quoted}" if self.shape.schema else quoted

    def live(self, name: str) -> TableQuery:
        """How a live XCom table is read."""
        return self._attempts(name) if name == "xcom_v2" else self._coordinates(name)

    def archive(self, name: str) -> TableQuery:
        """How an archive table is read: columns that it does not have are NULL, and runs are not looked up.

        Its runs may be gone, and a number that was theirs may be another run's by now.
        """
        columns = self.shape.columns[name]
        plain = ("dag_run_id", "dag_id", "run_id", "task_id", "map_index", "key")
        expressions = {field: self._column("x", field) if field in columns else "NULL" for field in plain}
        written = self.time(self._column("x", "timestamp")) if "timestamp" in columns else "NULL"
        expressions |= {
            "table_index": "NULL",
            "row_id": "NULL",
            "written_at": written,
            "raw": self._column("x", "value"),
            **dict.fromkeys(("run_state", "run_at", "run_ended_at", "try_number", "superseded"), "NULL"),
        }
        return TableQuery(name, True, "none", f"{self.table(name)} x", expressions, columns["value"])

    def time(self, expression: str) -> str:
        """SQL for a stored time as microseconds since 1970; SQLite's text is left to Python."""
        if self._stored_times:
            return expression
        if self.engine == "postgresql":
            return f"CAST(EXTRACT(EPOCH FROM {expression}) * 1000000 AS bigint)"
        if self.engine == "mysql":
            return f"TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', {expression})"
        return expression

    def run_at(self, alias: str) -> str:
        """SQL for the logical time of a run, whatever the release calls it."""
        columns: Columns = self.shape.columns["dag_run"]
        names = [name for name in ("logical_date", "execution_date", "run_after") if name in columns]
        found = ", ".join(f"{alias}.{quote(name, self.engine)}" for name in names)
        return f"coalesce({found})" if len(names) > 1 else found

    def _coordinates(self, name: str) -> TableQuery:
        """`xcom` and `xcom_v1`: the coordinates are columns of the table."""
        source = f"{self.table(name)} x LEFT JOIN {self.table('dag_run')} dr ON dr.id = x.dag_run_id"
        expressions = {
            "row_id": "NULL",
            **{
                field: self._column("x", field)
                for field in ("dag_run_id", "dag_id", "run_id", "task_id", "map_index")
            },
            "try_number": self._null_integer(),
            "superseded": "0",
        }
        if name == "xcom_v1":
            source += (
                f" LEFT JOIN {self.table('legacy_task_data_owner')} lo ON lo.dag_id = x.dag_id"
                " AND lo.task_id = x.task_id AND lo.run_id = x.run_id AND lo.map_index = x.map_index"
                f" LEFT JOIN {self.table('task_instance')} ti ON ti.id = lo.task_instance_id"
            )
            archived = "ti.id IS NOT NULL AND ti.working_set IS NULL"
            key = quote("key", self.engine)
            shadowed = (
                f"EXISTS (SELECT 1 FROM {self.table('xcom_v2')} v2"
                f" WHERE v2.task_instance_id = lo.task_instance_id AND v2.{key} = x.{key})"
                if "xcom_v2" in self.shape.live
                else "1 = 0"
            )
            expressions["try_number"] = "ti.try_number"
            expressions["superseded"] = f"CASE WHEN ({archived}) OR {shadowed} THEN 1 ELSE 0 END"
        if "xcom_v2" in self.shape.live:
            expressions["row_id"] = _NULL_TEXT if self.engine == "postgresql" else "NULL"
        return self._live(name, "coordinates", source, expressions)

    def _attempts(self, name: str) -> TableQuery:
        """`xcom_v2`: the coordinates are those of the task's attempt, which is missing only where nobody checked."""
        source = (
            f"{self.table(name)} x LEFT JOIN {self.table('task_instance')} ti ON ti.id = x.task_instance_id"
            f" LEFT JOIN {self.table('dag_run')} dr ON dr.dag_id = ti.dag_id AND dr.run_id = ti.run_id"
        )
        expressions = {
            "row_id": "CAST(x.id AS text)" if self.engine == "postgresql" else "x.id",
            "dag_run_id": "dr.id",
            "dag_id": "ti.dag_id",
            "run_id": "ti.run_id",
            "task_id": "ti.task_id",
            "map_index": "ti.region_index",
            "try_number": "ti.try_number",
            "superseded": "CASE WHEN ti.id IS NOT NULL AND ti.working_set IS NULL THEN 1 ELSE 0 END",
        }
        return self._live(name, "uuid", source, expressions)

    def _live(self, name: str, identity: Identity, source: str, expressions: dict[str, str]) -> TableQuery:
        shared = {
            "table_index": str(self.shape.live.index(name)),
            "key": self._column("x", "key"),
            "written_at": self.time(self._column("x", "timestamp")),
            "raw": self._column("x", "value"),
            "run_state": "dr.state",
            "run_at": self.time(self.run_at("dr")),
            "run_ended_at": self.time("dr.end_date"),
        }
        raw_type = self.shape.columns[name]["value"]
        return TableQuery(name, False, identity, source, {**expressions, **shared}, raw_type)

    def _column(self, alias: str, name: str) -> str:
        return f"{alias}.{quote(name, self.engine)}"

    def _null_integer(self) -> str:
        return _NULL_INTEGER if self.engine == "postgresql" else "NULL"


def readable(expression: str, kind: str, engine: EngineName) -> str:
    """SQL for a stored value as bytes or text. Only PostgreSQL would decode JSON on its own.

    MySQL gives NULL for a function of a value that is longer than max_allowed_packet, so there is none.
    """
    if engine == "postgresql" and kind != "bytea":
        return f"CAST({expression} AS text)"
    return expression


def digest(expression: str, kind: str, engine: EngineName) -> str:
    """SQL for `models.digest_of` of a stored value, on the servers that can tell it.

    MySQL gives NULL for a value that is longer than max_allowed_packet; PostgreSQL has `sha256` from 11 on.
    """
    value = readable(expression, kind, engine)
    if engine == "postgresql":
        told = value if kind == "bytea" else f"convert_to({value}, 'UTF8')"
        return f"coalesce(encode(sha256({told}), 'hex'), 'null')"
    told = value if re.search("blob|binary", kind) else f"CONVERT({value} USING utf8mb4)"
    return f"CASE WHEN {expression} IS NULL THEN 'null' ELSE SHA2({told}, 256) END"


def aliased(expressions: Mapping[str, str], fields: Sequence[str] = FIELDS) -> str:
    """A select list of fields, each under its own name."""
    return ", ".join(f"{expressions[field]} AS f_{field}" for field in fields)


def quote(name: str, engine: EngineName) -> str:
    """An identifier in quotes, safe inside `sqlalchemy.text`."""
    mark = "`" if engine == "mysql" else '"'
    return mark + name.replace(mark, mark * 2).replace(":", "\\:") + mark
