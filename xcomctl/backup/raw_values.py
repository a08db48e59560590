"""The raw value of a record, as dialects read it and as a row had it."""

from __future__ import annotations

import base64
from typing import Any

from xcomctl.metadata.interface import RowRecord


def raw_value(record: RowRecord) -> bytes | None:
    """The stored value as `models.Row.raw` has it."""
    match record.columns.get("value"):
        case {"$bytes": str(text)}:
            return base64.b64decode(text)
        case {"$json": str(text)} | str(text):
            return text.encode("utf-8", "surrogateescape")
        case _:
            return None


def with_text(record: RowRecord, text: str) -> dict[str, Any]:
    """The columns of a record with another text in the place of its value, encoded as the value was."""
    match record.columns.get("value"):
        case {"$bytes": str()}:
            value: Any = {"$bytes": base64.b64encode(text.encode()).decode("ascii")}
        case {"$json": str()}:
            value = {"$json": text}
        case _:
            value = text
    return {**record.columns, "value": value}
