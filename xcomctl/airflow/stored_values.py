"""What a column holds as JSON types, and back: the same bits, also in a database of another engine.

Bytes are `{"$bytes": base64}`, times `{"$time": ISO 8601 in UTC}`, JSON columns `{"$json": text}`; all else is itself.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timezone
from typing import Any

from xcomctl.airflow.record_columns import stored_bytes, stored_time
from xcomctl.airflow.records import raw_of, time_of
from xcomctl.airflow.url import EngineName
from xcomctl.errors import RefusedError, SourceError

_UUID_WITH_DASHES = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_time(kind: str) -> bool:
    """Whether columns of this type hold times."""
    return kind.startswith(("timestamp", "datetime"))


def is_binary(kind: str) -> bool:
    """Whether columns of this type hold bytes."""
    return re.search("blob|bytea|binary", kind) is not None


def is_json(name: str, kind: str) -> bool:
    """Whether a column holds JSON: by its type, or, where MariaDB calls that a text, as the value."""
    return "json" in kind or (name == "value" and "text" in kind)


def is_boolean(kind: str) -> bool:
    """Whether columns of this type hold truth values, as numbers where the engine has no better."""
    return kind in ("boolean", "bool", "tinyint")


def to_stored(value: Any, name: str, kind: str, engine: EngineName) -> Any:
    """A value as JSON types. Times come as `Queries.time` gives them. Raises SourceError for what has no such form."""
    if value is None:
        return None
    if is_time(kind):
        return _stored_time(value, engine)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return stored_bytes(bytes(value))
    if is_json(name, kind):
        # SQLite made numbers of some texts, and will do it again.
        return {"$json": value if isinstance(value, str) else (raw_of(value) or b"").decode()}
    if is_boolean(kind) and value in (0, 1):
        return bool(value)
    if isinstance(value, (bool, int, float, str)):
        return value
    raise SourceError(
        f"column {name} of the XComs is of type {kind}, which cannot be kept outside of the database",
        hint="this release of xcomctl does not know this Airflow: `pip install -U xcomctl`",
    )


def _stored_time(value: Any, engine: EngineName) -> Any:
    at = time_of(value)
    if at is None or (engine == "sqlite" and value != _sqlite_time(at)):
        # A spelling that is not Airflow's stays as it is.
        return value
    return stored_time(at)


def from_stored(stored: Any, name: str, kind: str, engine: EngineName) -> Any:
    """What `to_stored` gave as a parameter for a column of this type.

    Raises RefusedError where the column cannot hold it: the row comes from another shape of the table.
    """
    if stored is None:
        return None
    if isinstance(stored, dict):
        return _from_tagged(stored, name, kind, engine)
    if is_time(kind):
        if engine == "sqlite":
            return stored
        at = time_of(stored) if isinstance(stored, str) else None
        if at is None:
            raise _misfit(name, kind)
        return _time_parameter(at, engine)
    if is_json(name, kind) or (is_binary(kind) and engine != "sqlite"):
        raise _misfit(name, kind)
    if is_boolean(kind) and isinstance(stored, (bool, int)):
        return bool(stored) if engine == "postgresql" else int(stored)
    if isinstance(stored, str) and engine != "postgresql" and _is_char_uuid(stored, name, kind):
        return stored.replace("-", "")
    return stored


def _from_tagged(stored: dict[str, Any], name: str, kind: str, engine: EngineName) -> Any:
    try:
        match stored:
            case {"$bytes": str(text)} if is_binary(kind):
                return base64.b64decode(text, validate=True)
            case {"$json": str(text)} if is_json(name, kind):
                return text
            case {"$time": str(text)} if is_time(kind):
                return _time_parameter(datetime.fromisoformat(text), engine)
    except ValueError:
        pass
    raise _misfit(name, kind)


def _time_parameter(at: datetime, engine: EngineName) -> datetime | str:
    if engine == "postgresql":
        return at
    return _sqlite_time(at) if engine == "sqlite" else at.astimezone(timezone.utc).replace(tzinfo=None)


def _sqlite_time(at: datetime) -> str:
    """As SQLAlchemy writes it for Airflow."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")


def _is_char_uuid(text: str, name: str, kind: str) -> bool:
    ids = name in ("id", "task_instance_id")
    return ids and kind.startswith("char") and _UUID_WITH_DASHES.fullmatch(text.lower()) is not None


def _misfit(name: str, kind: str) -> RefusedError:
    return RefusedError(
        f"the rows are of another shape than this database: its column {name} is of type {kind}",
        hint="restore into the generation of Airflow that the rows come from",
    )


def same_value(one: bytes | None, other: bytes | None, kind: str) -> bool:
    """Whether two raw values are the same: by their bytes, or as JSON where engines write that each in their way."""
    if one == other:
        return True
    if one is None or other is None or not is_json("value", kind):
        return False
    try:
        return _canonical(one) == _canonical(other)
    except (ValueError, RecursionError):
        return False


def _canonical(raw: bytes) -> str:
    # Numbers and truth values stay apart in the text, which they would not as Python values.
    return json.dumps(json.loads(raw), sort_keys=True)
