"""What every output format shares: a list of columns over one stream of items, and the user's choice among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Generic, Literal, TypeVar, cast, get_args

from xcomctl.errors import UsageError
from xcomctl.units import format_time

T = TypeVar("T")

Format = Literal["table", "json", "ndjson", "csv"]


class Fit(Enum):
    """What may happen to a column of a table that is wider than the terminal."""

    whole = "whole"
    """Never cut."""
    end = "end"
    """Cut at the end."""
    middle = "middle"
    """Cut in the middle: beginning and end tell most (URIs, run ids)."""


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column of an output."""

    name: str
    """Machine name, in snake_case: member of a JSON object, head of a CSV column, word for `--columns`."""
    value: Callable[[T], Any]
    """The machine value: JSON types, bytes as integers, aware datetimes, timedeltas; None where absent."""
    title: str | None = None
    """Head of the column in a table; None for one that tables leave out unless it is asked for."""
    human: Callable[[T], str] | None = None
    """What a table shows instead of the machine value."""
    brief: Callable[[T], str] | None = None
    """What a table shows instead where the terminal is too narrow for all that `human` says."""
    number: bool = False
    """Right-aligned in a table."""
    style: str | None = None
    """How it looks on a terminal with colours, in the words of rich; `bold cyan`."""
    fit: Fit = Fit.end


@dataclass(frozen=True, slots=True)
class OutputStyle:
    """What the user wants to see: a format, some columns (None: the usual ones), or a template instead."""

    format: Format = "table"
    columns: tuple[str, ...] | None = None
    template: str | None = None

    @classmethod
    def parse(cls, output: str, columns: str | None, template: str | None) -> OutputStyle:
        """Read the options. Raises UsageError where they contradict each other."""
        if output not in get_args(Format):
            raise UsageError(
                f"{output!r} is no output format", hint=f"formats: {', '.join(get_args(Format))}"
            )
        if template is not None and (output != "table" or columns is not None):
            raise UsageError("--template goes with neither --output nor --columns", hint="give one of them")
        names = (
            None if columns is None else tuple(name.strip() for name in columns.split(",") if name.strip())
        )
        if names == ():
            raise UsageError("--columns names no column", hint="write --columns dag_id,size")
        return cls(format=cast(Format, output), columns=names, template=template)


def choose(columns: Sequence[Column[T]], style: OutputStyle) -> list[Column[T]]:
    """The columns to show: those that are asked for (by name or by title), else all that the format has.

    Raises UsageError for an unknown name.
    """
    if style.columns is None:
        return [column for column in columns if style.format != "table" or column.title is not None]
    known = {column.title.lower(): column for column in columns if column.title is not None}
    known |= {column.name: column for column in columns}
    for name in style.columns:
        if name.lower() not in known:
            raise unknown_column(name, columns)
    return [known[name.lower()] for name in style.columns]


def unknown_column(name: str, columns: Sequence[Column[T]]) -> UsageError:
    """The error for a name that is none of the columns'."""
    return UsageError(f"there is no column {name!r}", hint=f"columns: {', '.join(c.name for c in columns)}")


def machine(value: Any) -> Any:
    """A machine value in JSON types: times as RFC 3339 `Z`, durations in seconds, tuples as lists."""
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (list, tuple)):
        return [machine(item) for item in value]
    if isinstance(value, dict):
        return {str(key): machine(item) for key, item in value.items()}
    return value
