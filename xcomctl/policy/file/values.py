"""Values of a policy file: what each kind of key takes, and what to write instead of something else."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from xcomctl.errors import UsageError
from xcomctl.models import Root
from xcomctl.policy.model import LEAST_MIN_AGE
from xcomctl.units import LONGEST_AGE, parse_duration, parse_size


class WrongValueError(Exception):
    """A value is not what its key takes; `hint` is what to write in its place."""

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__(cause)
        self.hint = hint


def glob(value: Any) -> str:
    """A DAG, task, run or key, or a glob. Raises WrongValueError."""
    if not isinstance(value, str) or not value:
        raise WrongValueError("a name or a glob is a text", '"etl_*"')
    return value


def text(value: Any) -> str:
    """A text that says something. Raises WrongValueError."""
    if not isinstance(value, str) or not value.strip():
        raise WrongValueError("this has to be a text", '"audit 4711"')
    return value.strip()


def duration(value: Any) -> timedelta:
    """A time span with its units. Raises WrongValueError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        raise WrongValueError(f"{value} has no unit", _with_unit(abs(value)))
    if not isinstance(value, str):
        raise WrongValueError("a duration is a text", '"30d"')
    try:
        duration = parse_duration(value)
    except UsageError as error:
        hint = _with_unit(value.strip()) if value.strip().isdigit() else '"30d", "12h" or "90m"'
        raise WrongValueError(str(error), hint) from error
    if duration > LONGEST_AGE:
        raise WrongValueError(f"{value!r} is too long", '"365d"')
    return duration


def _with_unit(number: float | str) -> str:
    return f'"{number}d" for days, "{number}h" for hours'


def age(value: Any) -> timedelta:
    """A time span above zero. Raises WrongValueError."""
    age = duration(value)
    if age <= timedelta(0):
        raise WrongValueError(f"{value!r} selects everything, also what was written just now", '"30d"')
    return age


def grace(value: Any) -> timedelta:
    """A grace period of at least `LEAST_MIN_AGE`: a file does not know what is running. Raises WrongValueError."""
    age = duration(value)
    if age < LEAST_MIN_AGE:
        raise WrongValueError(f"{value!r} is below 1h: younger objects may be in use", '"24h"')
    return age


def age_or_ever(value: Any) -> timedelta | bool:
    """A time span above zero, true for ever, or false. Raises WrongValueError."""
    return value if isinstance(value, bool) else age(value)


def count(value: Any) -> int:
    """A whole number, 0 or more. Raises WrongValueError."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000_000:
        raise WrongValueError("this has to be a whole number, 0 or more", "5")
    return value


def size(value: Any) -> int:
    """Bytes, as a number or with a unit. Raises WrongValueError."""
    if isinstance(value, str):
        try:
            return parse_size(value)
        except UsageError as error:
            raise WrongValueError(str(error), '"10KiB"') from error
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise WrongValueError("a size is a number of bytes or a text", '"10KiB"')
    return value


def flag(value: Any) -> bool:
    """True or false. Raises WrongValueError."""
    if not isinstance(value, bool):
        raise WrongValueError("this has to be true or false", "true")
    return value


def share(value: Any) -> float:
    """A number above 0 and up to 1. Raises WrongValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise WrongValueError("a share is a number above 0 and up to 1", "0.5")
    return float(value)


def until(value: Any) -> datetime:
    """A date, to its end, or a time; UTC where no zone is given. Raises WrongValueError."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    if isinstance(value, date):
        return datetime.combine(value, time(0), timezone.utc) + timedelta(days=1)
    raise WrongValueError("this has to be a date, without quotes", "2027-01-31")


def destination(value: Any) -> str:
    """`s3://bucket/prefix`, or a folder. Raises WrongValueError."""
    place = text(value)
    if "://" in place:
        try:
            Root.parse(place)
        except UsageError as error:
            raise WrongValueError(str(error), '"s3://bucket/prefix" or "/a/folder"') from error
    return place
