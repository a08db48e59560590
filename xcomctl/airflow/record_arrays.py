"""Rows as drivers give them, turned into the columns of `record_columns`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xcomctl.airflow.record_columns import ANY, FIELDS, JSON, described
from xcomctl.airflow.records import clean, micros_of
from xcomctl.airflow.stored_values import is_boolean, is_json, is_time, to_stored
from xcomctl.airflow.url import EngineName
from xcomctl.arrow_arrays import binaries, flags, integers, text, texts

if TYPE_CHECKING:
    import pyarrow as pa

_ABSENT = {"dag_id": "", "run_id": "", "task_id": "", "map_index": -1}
"""What stands for NULL where `RowRecord` has none."""


def record_table(
    table: str,
    fields: Mapping[str, Sequence[Any]],
    columns: Mapping[str, Sequence[Any]],
    kinds: Mapping[str, str],
    engine: EngineName,
) -> pa.Table:
    """Rows of one table. `columns` are all that it has, as the driver gives them; `fields` what is told from elsewhere.

    Raises SourceError for a value that has no such form.
    """
    import pyarrow as pa

    rows = len(fields["row_key"])
    arrays: dict[str, pa.Array] = {}
    forms: dict[str, str] = {}
    for name, values in columns.items():
        arrays[name], form = _column(values, name, kinds[name], engine)
        if form:
            forms[name] = form
    told: dict[str, pa.Array] = {"table": pa.repeat(text(table), rows)}
    for name in FIELDS[1:]:
        of = "timestamp" if name == "written_at" else name
        if name not in fields and of in arrays and of not in forms and not arrays[of].null_count:
            told[name] = arrays[of]
            continue
        values = fields.get(name, columns.get(of, (None,) * rows))
        told[name] = _field(name, values)
    told[table] = pa.StructArray.from_arrays(list(arrays.values()), names=list(arrays))
    return described(pa.table(told), {table: forms})


def _field(name: str, values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    if name == "written_at":
        return _numbers([micros_of(value) for value in values]).view(pa.timestamp("us"))
    if name in _ABSENT:
        values = [_ABSENT[name] if value is None else value for value in values]
    if name in ("map_index", "try_number"):
        return _numbers(values)
    return texts(values if name in ("row_key", "digest") else list(map(clean, values)))


def _column(values: Sequence[Any], name: str, kind: str, engine: EngineName) -> tuple[pa.Array, str | None]:
    """Values as the driver gives them as an array, and what its type does not tell."""
    import pyarrow as pa

    types = set(map(type, values)) - {type(None)}
    if not types:
        return pa.nulls(len(values), pa.string()), None
    if is_time(kind) and types == {int} and engine != "sqlite":
        return _numbers(values).view(pa.timestamp("us")), None
    if types <= {bytes, memoryview, bytearray}:
        return _without(
            binaries([b"" if value is None else bytes(value) for value in values]), pa.binary(), values
        ), None
    if types == {str} and not is_time(kind) and _is_text(values):
        return texts(values), JSON if is_json(name, kind) else None
    if is_boolean(kind) and types <= {bool, int} and {0, 1, None}.issuperset(values):
        return _without(flags([bool(value) for value in values]), pa.bool_(), values), None
    if types == {int} and not (is_json(name, kind) or is_time(kind)) and _fit(values):
        return _numbers(values), None
    stored = [to_stored(value, name, kind, engine) for value in values]
    return texts([None if value is None else json.dumps(value) for value in stored]), ANY


def _numbers(values: Sequence[int | None]) -> pa.Array:
    import numpy as np

    if None not in values:
        return integers(np.array(values, dtype=np.int64))
    absent = np.array([value is None for value in values])
    return integers(np.array([value or 0 for value in values], dtype=np.int64), absent)


def _fit(values: Sequence[int | None]) -> bool:
    present = [value for value in values if value is not None]
    return min(present) >= -(2**63) and max(present) < 2**63


def _without(array: pa.Array, kind: pa.DataType, values: Sequence[Any]) -> pa.Array:
    """An array with nulls where there is no value."""
    import pyarrow as pa

    if None not in values:
        return array
    present = flags([value is not None for value in values]).buffers()[1]
    return pa.Array.from_buffers(kind, len(array), [present, *array.buffers()[1:]])


def _is_text(values: Sequence[str | None]) -> bool:
    """Whether all is text, not bytes that are carried as lone surrogates."""
    try:
        "".join([value for value in values if value]).encode()
    except UnicodeEncodeError:
        return False
    return True
