"""The tables of a snapshot file. Columns may be added; where one changes or goes, the version rises."""

from __future__ import annotations

from dataclasses import dataclass

VERSION = 1
"""Of the tables; a file says by which it was made."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column: its name, its type in DuckDB, and what is in it."""

    name: str
    type: str
    meaning: str


_TEXT, _NUMBER, _TIME, _TRUTH = "VARCHAR", "BIGINT", "TIMESTAMP", "BOOLEAN"

_PLACE = (
    TableColumn("dag_id", _TEXT, "DAG"),
    TableColumn("run_id", _TEXT, "run"),
    TableColumn("task_id", _TEXT, "task"),
    TableColumn("map_index", _NUMBER, "index of a mapped task, -1 if it is not mapped"),
    TableColumn("key", _TEXT, "key of the XCom"),
)

TABLES: dict[str, tuple[TableColumn, ...]] = {
    "entries": (
        TableColumn("row_id", _NUMBER, "of the row, in this inventory"),
        *_PLACE,
        TableColumn("written_at", _TIME, "when the row was written"),
        TableColumn("run_state", _TEXT, "queued, running, success, failed"),
        TableColumn("run_ended_at", _TIME, "when the run ended, NULL if it has not"),
        TableColumn("state", _TEXT, "inline, live, dangling or unresolved: where the value is"),
        TableColumn("expires", _TRUTH, "whether the policy lets the row go"),
        TableColumn("reason", _TEXT, "why it may go"),
        TableColumn("size", _NUMBER, "bytes of its objects, of the row if it has none"),
        TableColumn("row_size", _NUMBER, "bytes of the value in the row"),
        TableColumn("object_size", _NUMBER, "bytes of its objects, NULL if it has none"),
        TableColumn("objects", _NUMBER, "how many objects it references that are there"),
        TableColumn("dialect", _TEXT, "how its reference is written"),
        TableColumn("uri", _TEXT, "of its object; of the first, if there are more"),
    ),
    "objects": (
        TableColumn("object_id", _NUMBER, "of the object, in this inventory"),
        TableColumn("uri", _TEXT, "s3://bucket/key"),
        TableColumn("bucket", _TEXT, "bucket"),
        TableColumn("object_key", _TEXT, "key in the bucket"),
        TableColumn("size", _NUMBER, "bytes"),
        TableColumn("etag", _TEXT, "as listed"),
        TableColumn("last_modified", _TIME, "when it was written"),
        TableColumn(
            "state", _TEXT, "live, expired, orphaned, recent, foreign; reserved: kept by xcomctl itself"
        ),
        TableColumn("reason", _TEXT, "why it may go, or what keeps it"),
        TableColumn("dialect", _TEXT, "which backend writes such keys, NULL if none does"),
        *(
            TableColumn(column.name, column.type, f"{column.meaning}; of the row, else as the key tells")
            for column in _PLACE
        ),
    ),
    "rows": (
        TableColumn("row_id", _NUMBER, "of the row, in this inventory"),
        TableColumn("source_table", _TEXT, "table of Airflow's database"),
        TableColumn("archived", _TRUTH, "whether that is an archive of Airflow's"),
        *_PLACE,
        TableColumn("written_at", _TIME, "when the row was written"),
        TableColumn("run_state", _TEXT, "queued, running, success, failed"),
        TableColumn("run_at", _TIME, "logical date of the run"),
        TableColumn("run_ended_at", _TIME, "when the run ended, NULL if it has not"),
        TableColumn("try_number", _NUMBER, "Airflow 3.4: the attempt"),
        TableColumn("superseded", _TRUTH, "Airflow 3.4: whether a later attempt replaced it"),
        TableColumn("size", _NUMBER, "bytes of the value in the row"),
    ),
    "refs": (
        TableColumn("row_id", _NUMBER, "row that holds the reference"),
        TableColumn("reference_no", _NUMBER, "which one of the row, from 0"),
        TableColumn("dialect", _TEXT, "how it is written"),
        TableColumn("confidence", _TEXT, "exact, configured (the bucket is told by a store), or ambiguous"),
        TableColumn("uri", _TEXT, "of the object that it may mean, NULL if no store says in which bucket"),
        TableColumn("object_id", _NUMBER, "of that object, NULL if it was not listed"),
        TableColumn("under_root", _TRUTH, "whether it lies in one of the stores"),
    ),
    "about": (
        TableColumn("version", _NUMBER, "of these tables"),
        TableColumn("created_at", _TIME, "when the rows were read, by the database's clock"),
        TableColumn(
            "objects_at", _TIME, "when the objects were listed, by the store's clock; NULL without a store"
        ),
        TableColumn("cutoff", _TIME, "from when on an unreferenced object is recent"),
        TableColumn("roots", "VARCHAR[]", "stores that were listed"),
        TableColumn("database", _TEXT, "label of the database, without a password"),
        TableColumn("shard", _TEXT, "which share of all is in it, as 1/4; NULL if all is"),
        TableColumn(
            "complete", _TRUTH, "whether all rows, archives too, and the objects of a store are in it"
        ),
        TableColumn("tool_version", _TEXT, "of the xcomctl that made it"),
        TableColumn(
            "options",
            _TEXT,
            "by which it was judged, as on the command line: policy, grace period; NULL if by none",
        ),
    ),
}
"""The tables and their columns, in order. Times are UTC. No value of an XCom is in any of them."""

ADDED_COLUMNS = ("options",)
"""Columns that files of this version may lack: they were made before these were added."""
