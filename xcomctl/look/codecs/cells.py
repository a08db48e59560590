"""Single values of a preview as JSON types, so that every output can print them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

_MAX_BYTES = 64
"""Bytes of one binary cell that are shown."""


def json_ready(value: Any) -> Any:
    """The value as JSON types: times as RFC 3339 (UTC with `Z`), what JSON cannot say as text, binary as hex digits."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else _special(value)
    if isinstance(value, Mapping):
        return {str(name): json_ready(member) for name, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(member) for member in value]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _hex(bytes(value))
    if isinstance(value, datetime):
        return format_datetime(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value)


def format_datetime(at: datetime) -> str:
    """RFC 3339 with as many digits of the second as there are; a time without zone stays without one."""
    if at.tzinfo is None:
        return at.isoformat()
    return at.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def format_epoch(count: int, *, per_second: int, aware: bool) -> str:
    """RFC 3339 of `count` units since 1970, `per_second` of them to a second; digits below a microsecond are kept."""
    seconds, rest = divmod(count, per_second)
    try:
        text = (datetime(1970, 1, 1) + timedelta(seconds=seconds)).isoformat()
    except OverflowError:
        return f"{count}/{per_second} s since 1970"
    return text + format_fraction(rest, per_second) + ("Z" if aware else "")


def format_fraction(rest: int, per_second: int) -> str:
    """`rest` units of a second as `.250`, nothing for none: three, six or nine digits."""
    if not rest:
        return ""
    digits = f"{rest * (1_000_000_000 // per_second):09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return f".{digits}"


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _hex(value: bytes) -> str:
    more = f"... {len(value)} bytes" if len(value) > _MAX_BYTES else ""
    return f"0x{value[:_MAX_BYTES].hex()}{more}"
