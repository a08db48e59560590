"""Arrow's columns as a preview shows them: types by name, values as JSON types."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xcomctl.look.codecs.cells import format_epoch, format_fraction, json_ready

if TYPE_CHECKING:
    import pyarrow as pa

_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def type_name(kind: pa.DataType) -> str:
    """Arrow's name of a type; a dictionary (a category of pandas) by what it holds, whatever its indices are."""
    import pyarrow as pa

    return f"dictionary<{kind.value_type}>" if pa.types.is_dictionary(kind) else str(kind)


def plain(column: pa.Array) -> pa.Array:
    """The column without what only encodes it: extension types, dictionaries."""
    import pyarrow as pa

    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def cells(column: pa.Array) -> list[Any]:
    """The values of a column as JSON types. Times are formatted here: nanoseconds would need pandas, zones a database."""
    import pyarrow as pa

    if not is_counted(column.type):
        return [json_ready(value) for value in column.to_pylist()]
    form = form_of(column.type)
    return [None if count is None else form(count) for count in column.cast(pa.int64()).to_pylist()]


def is_counted(kind: pa.DataType) -> bool:
    """Whether values of the type are integers that count parts of a second."""
    import pyarrow as pa

    return bool(pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time64(kind))


def form_of(kind: pa.DataType) -> Callable[[int], str]:
    """How a value of such a type is written."""
    import pyarrow as pa

    per_second = _PER_SECOND[kind.unit]
    if pa.types.is_timestamp(kind):
        aware = kind.tz is not None
        return lambda count: format_epoch(count, per_second=per_second, aware=aware)
    form = _format_duration if pa.types.is_duration(kind) else _format_time
    return lambda count: form(count, per_second)


def _format_duration(count: int, per_second: int) -> str:
    """ISO 8601 in seconds: `PT90.500S`."""
    seconds, rest = divmod(abs(count), per_second)
    return f"{'-' if count < 0 else ''}PT{seconds}{format_fraction(rest, per_second)}S"


def _format_time(count: int, per_second: int) -> str:
    seconds, rest = divmod(count, per_second)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return clock + format_fraction(rest, per_second)
