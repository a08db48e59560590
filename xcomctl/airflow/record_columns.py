"""Records of rows column by column, as Arrow: what a journal keeps of rows, thousands of them at a time.

The columns `FIELDS` say of each row what `RowRecord` does. All columns of its table are in a struct that has the name of
the table; it is null for rows of other tables. What JSON has no type for is told by the type of the column: bytes are
binary, times timestamps (UTC, microseconds); the texts of JSON columns, and columns that hold values of several types
(each written as JSON in the form of `RowRecord.columns`), are named in the metadata of the schema.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from xcomctl.arrow_arrays import texts

if TYPE_CHECKING:
    import pyarrow as pa

FIELDS = (
    "table",
    "row_key",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "key",
    "try_number",
    "written_at",
    "digest",
)
"""The members of a `RowRecord` without its columns, as Arrow columns."""

SCHEMA = "xcomctl.rows/1"

_METADATA = b"xcomctl"
JSON, ANY = "json", "any"
"""What the type of a column does not tell: texts are JSON, or each value is written as JSON."""


def joined(tables: Sequence[pa.Table]) -> pa.Table:
    """Rows of different tables, one after the other."""
    import pyarrow as pa

    if not tables:
        return described(pa.table({name: texts(()) for name in FIELDS}), {})
    forms = {name: told for one in tables for name, told in _forms(one).items()}
    return described(pa.concat_tables(tables, promote_options="default"), forms)


def documents(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows as `RowRecord.document` writes them. Raises KeyError, TypeError, ValueError for another table."""
    forms = _forms(table)
    for batch in table.to_batches(max_chunksize=1_000):
        fields = [batch.column(name).to_pylist() for name in FIELDS]
        columns = {name: batch.column(name).to_pylist() for name in forms}
        for number, values in enumerate(zip(*fields, strict=True)):
            document = dict(zip(FIELDS, values, strict=True))
            if document["written_at"] is not None:
                document["written_at"] = _time(document["written_at"]).isoformat()
            name = document["table"]
            told = columns[name][number]
            yield {
                **document,
                "columns": {
                    column: _stored(value, forms[name].get(column)) for column, value in told.items()
                },
            }


def schema_of(table: pa.Table) -> str | None:
    """What a table says that it is: `SCHEMA` for records of rows; None where it says nothing."""
    metadata = table.schema.metadata or {}
    return str(json.loads(metadata[_METADATA])["schema"]) if _METADATA in metadata else None


def _stored(value: Any, form: str | None) -> Any:
    if value is None:
        return None
    if form == JSON:
        return {"$json": value}
    if form == ANY:
        return json.loads(value)
    if isinstance(value, bytes):
        return stored_bytes(value)
    return stored_time(_time(value)) if isinstance(value, datetime) else value


def _time(at: datetime) -> datetime:
    return at.replace(tzinfo=timezone.utc)


def stored_bytes(value: bytes) -> dict[str, str]:
    """Bytes as a JSON type."""
    return {"$bytes": base64.b64encode(value).decode("ascii")}


def stored_time(at: datetime) -> dict[str, str]:
    """An aware UTC time as a JSON type."""
    return {"$time": at.isoformat()}


def described(table: pa.Table, forms: Mapping[str, Mapping[str, str]]) -> pa.Table:
    """A table that says what it is, and of each of Airflow's tables which columns are of which form."""
    return table.replace_schema_metadata({_METADATA: json.dumps({"schema": SCHEMA, "forms": forms}).encode()})


def _forms(table: pa.Table) -> dict[str, dict[str, str]]:
    told = json.loads(table.schema.metadata[_METADATA])
    return {str(name): dict(forms) for name, forms in told["forms"].items()}
