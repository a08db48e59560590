"""Points in time, days and time zones as JSON and back, with their zone and not only its offset.

A zone whose library is not installed where the value is pulled becomes the offset that it had: the same instant.
"""

from __future__ import annotations

import datetime as dt
import sys
from importlib import import_module
from typing import Any, Mapping


def time_node(value: Any) -> tuple[str, dict[str, Any]] | None:
    """Type name and members for a date, time, datetime, timedelta, time zone, or pandas' and pendulum's own."""
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    if kind is dt.datetime or (kind.__name__ == "DateTime" and module == "pendulum"):
        members: dict[str, Any] = {"value": dt.datetime.isoformat(value)}
        if value.fold:
            members["fold"] = 1
        return ("datetime" if kind is dt.datetime else "pendulum.DateTime"), {
            **members,
            **_zone(value.tzinfo),
        }
    if kind is dt.date:
        return "date", {"value": value.isoformat()}
    if kind is dt.time:
        return "time", {
            "value": value.isoformat(),
            **({"fold": 1} if value.fold else {}),
            **_zone(value.tzinfo),
        }
    if kind is dt.timedelta:
        return "timedelta", {"days": value.days, "seconds": value.seconds, "microseconds": value.microseconds}
    if kind is dt.timezone:
        offset = value.utcoffset(None)
        return "timezone", {"seconds": offset.total_seconds(), "name": value.tzname(None)}
    if isinstance(value, dt.tzinfo) and _zone(value):
        return "zone", _zone(value)
    if module == "pandas":
        return _pandas_node(value)
    return None


def _pandas_node(value: Any) -> tuple[str, dict[str, Any]] | None:
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return None
    if value is pandas.NaT:
        return "pandas.NaT", {}
    if value is pandas.NA:
        return "pandas.NA", {}
    unit = getattr(value, "unit", "ns")
    if type(value) is pandas.Timestamp:
        members = {"value": value.isoformat(), "unit": unit, **({"fold": 1} if value.fold else {})}
        return "pandas.Timestamp", {**members, **_zone(value.tzinfo)}
    if type(value) is pandas.Timedelta:
        # Without `unit` an old pandas counts nanoseconds, and so does this.
        count = value.value if unit == "ns" else int(value.asm8.astype("int64"))
        return "pandas.Timedelta", {"value": count, "unit": unit}
    return None


def time_value(kind: str, node: Mapping[str, Any]) -> Any:
    """The value for a node that `time_node` gave."""
    if kind in ("datetime", "pendulum.DateTime"):
        value = _in_zone(dt.datetime.fromisoformat(node["value"]), node)
        return import_module("pendulum").instance(value) if kind == "pendulum.DateTime" else value
    if kind == "date":
        return dt.date.fromisoformat(node["value"])
    if kind == "time":
        value_of_day = dt.time.fromisoformat(node["value"]).replace(fold=node.get("fold", 0))
        offset = value_of_day.utcoffset()
        if offset is not None and "offset_name" in node:
            return value_of_day.replace(tzinfo=dt.timezone(offset, node["offset_name"]))
        zone = _load_zone(node)
        return value_of_day if zone is None else value_of_day.replace(tzinfo=zone)
    if kind == "timedelta":
        return dt.timedelta(node["days"], node["seconds"], node["microseconds"])
    if kind == "timezone":
        offset = dt.timedelta(seconds=node["seconds"])
        plain = dt.timezone(offset)
        return plain if plain.tzname(None) == node["name"] else dt.timezone(offset, node["name"])
    if kind == "zone":
        return _load_zone(node)
    return _pandas_value(kind, node)


def _pandas_value(kind: str, node: Mapping[str, Any]) -> Any:
    pd = import_module("pandas")
    if kind in ("pandas.NaT", "pandas.NA"):
        return pd.NaT if kind == "pandas.NaT" else pd.NA
    if kind == "pandas.Timedelta":
        import numpy as np

        return pd.Timedelta(np.timedelta64(node["value"], node["unit"]))
    value = pd.Timestamp(node["value"])
    zone = _load_zone(node)
    if zone is not None:
        value = value.tz_convert(zone)
    return value.as_unit(node["unit"]) if hasattr(value, "as_unit") else value


def _zone(zone: Any) -> dict[str, Any]:
    """Name and library of a time zone; nothing for none, and for one that is only an offset without a name."""
    if zone is None:
        return {}
    if isinstance(zone, dt.timezone):
        label = zone.tzname(None)
        return {} if label == dt.timezone(zone.utcoffset(None)).tzname(None) else {"offset_name": label}
    module = type(zone).__module__.partition(".")[0]
    for library, attribute in (("pendulum", "name"), ("pytz", "zone"), ("zoneinfo", "key")):
        name = getattr(zone, attribute, None)
        if module == library and isinstance(name, str):
            return {"zone": name, "zone_of": library}
    return {}


def _load_zone(node: Mapping[str, Any]) -> Any:
    name, library = node.get("zone"), node.get("zone_of")
    if name is None:
        return None
    try:
        if library == "pendulum":
            return import_module("pendulum").timezone(name)
        if library == "pytz":
            return import_module("pytz").timezone(name)
        return import_module("zoneinfo").ZoneInfo(name)
    except (ImportError, LookupError, ValueError):
        return None


def _in_zone(value: dt.datetime, node: Mapping[str, Any]) -> dt.datetime:
    zone = _load_zone(node)
    offset = value.utcoffset()
    if offset is not None and "offset_name" in node:
        return value.replace(tzinfo=dt.timezone(offset, node["offset_name"]))
    if zone is None or offset is None:
        return value.replace(fold=node.get("fold", 0))
    if node.get("zone_of") == "pytz":
        moved: dt.datetime = zone.normalize(value.astimezone(zone))
        return moved
    return value.replace(tzinfo=zone, fold=node.get("fold", 0))
