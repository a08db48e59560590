"""Records as the drivers give them, turned into rows (one by one) and record batches (column by column)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from xcomctl.airflow.interface import row_schema
from xcomctl.airflow.queries import FIELDS, Identity, TableQuery
from xcomctl.errors import SourceError
from xcomctl.models import Row

if TYPE_CHECKING:
    import pyarrow as pa

Record = Sequence[Any]
"""One record with the fields `queries.FIELDS`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_AT = {field: index for index, field in enumerate(FIELDS)}


def raw_of(value: Any) -> bytes | None:
    """The stored value in the one form of `models.Row.raw`, from whatever a driver gives for it.

    SQLite turns the JSON texts 42 and 1.5 into numbers; all digits that it kept are written out.
    """
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if isinstance(value, (memoryview, bytearray)):
        return bytes(value)
    return json.dumps(value).encode()


def micros_of(value: Any) -> int | None:
    """Microseconds since 1970 of a stored time. A text that is no time is None: unknown, so never old."""
    if value is None or isinstance(value, int):
        return value
    at = _parse_time(value) if isinstance(value, str) else None
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def time_of(value: Any) -> datetime | None:
    """`micros_of` as an aware UTC time."""
    micros = micros_of(value)
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


def _parse_time(text: str) -> datetime | None:
    """SQLite's `YYYY-MM-DD HH:MM:SS[.f]`, in UTC unless an offset says otherwise."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        whole, _, rest = text.strip().replace("Z", "+00:00").partition(".")
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        try:
            at = datetime.fromisoformat(f"{whole}.{digits[:6]:0<6}{rest[len(digits) :]}")
        except ValueError:
            return None
    return at.replace(tzinfo=timezone.utc) if at.tzinfo is None else at.astimezone(timezone.utc)


def row_key_of(record: Record, identity: Identity, number: int = 0) -> str:
    """The primary key as compact JSON. An archive has none: a running number stands in, good for one scan."""
    if identity == "uuid":
        parts = [record[_AT["row_id"]]]
    elif identity == "coordinates":
        parts = [record[_AT[field]] for field in ("dag_run_id", "task_id", "map_index", "key")]
    else:
        parts = [number]
    return json.dumps(parts, separators=(",", ":"))


def to_row(record: Record, table: TableQuery) -> Row:
    """One record of a live table as a Row."""
    values = dict(zip(FIELDS, record, strict=True))
    return Row(
        table=table.name,
        row_key=row_key_of(record, table.identity),
        dag_run_id=values["dag_run_id"],
        dag_id=clean(values["dag_id"]),
        run_id=clean(values["run_id"]),
        task_id=clean(values["task_id"]),
        map_index=values["map_index"],
        key=clean(values["key"]),
        written_at=time_of(values["written_at"]),
        raw=raw_of(values["raw"]),
        run_state=clean(values["run_state"]),
        run_at=time_of(values["run_at"]),
        run_ended_at=time_of(values["run_ended_at"]),
        try_number=values["try_number"],
        superseded=bool(values["superseded"]),
    )


def to_batches(
    records: Iterable[Record], table: TableQuery, *, most_rows: int, most_bytes: int
) -> Iterator[pa.RecordBatch]:
    """Records of one table as batches of `interface.row_schema()`, cut where either limit is reached."""
    waiting: list[Record] = []
    raws: list[bytes | None] = []
    size = 0
    first = 0
    for record in records:
        raw = raw_of(record[_AT["raw"]])
        waiting.append(record)
        raws.append(raw)
        size += len(raw or b"")
        if len(waiting) >= most_rows or size >= most_bytes:
            yield _batch(waiting, raws, table, first)
            first += len(waiting)
            waiting, raws, size = [], [], 0
    if waiting:
        yield _batch(waiting, raws, table, first)


def _batch(records: list[Record], raws: list[bytes | None], table: TableQuery, first: int) -> pa.RecordBatch:
    import pyarrow as pa

    by_field: dict[str, list[Any]] = dict(zip(FIELDS, map(list, zip(*records, strict=True)), strict=True))
    by_field["raw"] = raws
    by_field["source_table"] = [table.name] * len(records)
    by_field["archived"] = [table.archived] * len(records)
    by_field["row_key"] = [
        row_key_of(record, table.identity, number) for number, record in enumerate(records, start=first)
    ]
    by_field["superseded"] = [bool(value) for value in by_field["superseded"]]
    schema = row_schema()
    columns = []
    for field in schema:
        values = by_field[field.name]
        try:
            columns.append(_column(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError):
            # The error of the library would quote the value.
            raise SourceError(
                f"table {table.name} holds a {field.name} that is not of type {field.type}",
                hint="mend or remove that row; nothing is judged while a row cannot be read",
            ) from None
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return pa.array([micros_of(value) for value in values], pa.int64()).cast(kind)
    if not pa.types.is_string(kind):
        return pa.array(values, kind)
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([clean(value) for value in values], kind)


def clean(text: Any) -> Any:
    """Text without the bytes that were not UTF-8, which are carried as lone surrogates until here."""
    if not isinstance(text, str) or text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
