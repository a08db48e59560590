"""States as a report names and orders them. Their colours are in the style sheet, by the same names."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class State:
    """A state of rows or of objects."""

    name: str
    title: str
    meaning: str


OBJECTS = (
    State("live", "live", "a row references it"),
    State("expired", "expired", "the policy lets it go"),
    State("orphaned", "orphaned", "no row references it"),
    State("recent", "recent", "no row references it yet; too young to judge"),
    State("foreign", "foreign", "no known backend wrote it; never touched"),
    State("reserved", "trash and journal", "kept by xcomctl itself"),
)

ROWS = (
    State("live", "live", "its object is there"),
    State("inline", "in the row", "the value is in the database"),
    State("dangling", "dangling", "its object is gone"),
    State("unresolved", "unresolved", "its object is in none of the stores, or could not be asked for"),
    State("archived", "archived", "in a table that Airflow put aside"),
)

AGES = ("under a day", "1 to 7 days", "7 to 30 days", "30 to 90 days", "90 days to a year", "over a year")
"""The bands of `ages.sql`, in order."""
