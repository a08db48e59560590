"""Durations, sizes and times as people type and read them. Durations are timedelta, sizes int bytes, times aware UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

from xcomctl.errors import UsageError

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?i?)B?", re.IGNORECASE)
_POWERS = "kmgtp"

LONGEST_AGE = timedelta(days=365 * 100)
"""A longer one leads back to before there were computers, and further on to before there were calendars."""

CLOCKS_MAY_DIFFER = timedelta(minutes=5)
"""By so much the clocks of servers that work together may be apart: beyond it something is wrong."""


def parse_duration(text: str) -> timedelta:
    """Read `30d`, `12h`, `1d12h`, `90m`, `2w`, `0s`. A number without a unit is refused, and so is a negative one.

    Raises UsageError.
    """
    stripped = text.strip()
    parts = _PART.findall(stripped)
    if not parts or "".join(number + unit for number, unit in parts) != stripped:
        hint = (
            f"write {stripped}d for days or {stripped}h for hours"
            if stripped.isdigit()
            else "write 30d, 12h or 90m"
        )
        raise UsageError(f"{text!r} is not a duration", hint=hint)
    try:
        return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))
    except OverflowError:
        raise UsageError(f"{text!r} is too long a duration", hint="write 30d, 12h or 90m") from None


def format_duration(duration: timedelta) -> str:
    """The largest unit that reads well: `41d`, `3h`, `12m`, `5s`."""
    seconds = int(duration.total_seconds())
    for unit, size, least in (("d", 86400, 2), ("h", 3600, 1), ("m", 60, 1)):
        if abs(seconds) >= size * least:
            return f"{int(seconds / size)}{unit}"
    return f"{seconds}s"


def exact_duration(duration: timedelta) -> str:
    """The duration as `parse_duration` reads it back, whole seconds: `30d`, `1d12h`, `90m` as `1h30m`, `0s`."""
    rest = int(duration.total_seconds())
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts) or "0s"


def parse_size(text: str) -> int:
    """Read `1.5GiB`, `10MB`, `512`, `4K` as bytes. `K`, `KB` are 1000, `Ki`, `KiB` are 1024. Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is not a size", hint="write 512, 10MB or 1.5GiB")
    number, unit = match.groups()
    step = 1024 if unit.lower().endswith("i") else 1000
    power = _POWERS.index(unit[0].lower()) + 1 if unit else 0
    return int(float(number) * step**power)


def quantity(number: int, noun: str) -> str:
    """A number of things in words: `1 row`, `2,500 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def format_size(size: int) -> str:
    """`0 B`, `999 B`, `1.5 KiB`, `12.3 MiB`: binary units, one decimal."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024:
            return f"{int(value)} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} PiB"


def parse_time(text: str, *, now: datetime) -> datetime:
    """Read a point in time: RFC 3339 or a date (UTC where no zone is given), or a duration that means "ago".

    Raises UsageError, also for a time that lies after `now`.
    """
    stripped = text.strip()
    try:
        at = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", stripped))
    except ValueError:
        try:
            return now - parse_duration(stripped)
        except (UsageError, OverflowError):
            raise UsageError(
                f"{text!r} is not a time",
                hint="write 2026-11-01, 2026-11-01T06:00:00Z, or 7d for seven days ago",
            ) from None
    at = at.replace(tzinfo=timezone.utc) if at.tzinfo is None else at.astimezone(timezone.utc)
    if at > now:
        raise UsageError(f"{text!r} lies in the future", hint=f"it is {format_time(now)} now")
    return at


def format_time(at: datetime) -> str:
    """RFC 3339 in UTC, to the second: `2026-11-01T06:00:00Z`."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
