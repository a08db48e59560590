"""How much is written a day, and where that leads. What was deleted since is not in an inventory, and not in here."""

# Statements are put together from our own words; what a user says is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xcomctl.airflow.interface import Selection
from xcomctl.inventory.snapshot_file import SnapshotFile
from xcomctl.inventory.usage.breakdown import chosen_sql

LOOKED_BACK = timedelta(days=30)
"""How long is looked back for what is written a day."""

_LEAST = timedelta(days=3)
"""What is known for a shorter time says nothing about a day."""


@dataclass(frozen=True, slots=True)
class NewBytes:
    """What was written on one day, in UTC, and is still there. Sizes are bytes."""

    day: str
    rows: int
    objects: int
    inline_bytes: int
    offloaded_bytes: int

    @property
    def bytes(self) -> int:
        """Of rows and objects."""
        return self.inline_bytes + self.offloaded_bytes


@dataclass(frozen=True, slots=True)
class Growth:
    """New bytes a day. Nothing is taken off for what is deleted: it says what comes in and was kept until now."""

    bytes_per_day: float
    days: float
    """How many days that is the mean of: 30, or less where everything that is there is younger."""

    def leads_to(self, present: int, days: int) -> int:
        """Bytes in so many days, if as much goes on coming in and nothing is deleted."""
        return present + round(self.bytes_per_day * days)


def new_bytes(inventory: SnapshotFile, chosen: Selection) -> Iterator[NewBytes]:
    """Each day of the last 30 before the inventory was made, the oldest first, also those on which nothing came in.

    Raises UnreadableError.
    """
    now = inventory.about().created_at
    first = (now - LOOKED_BACK).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    found = {
        record[0]: NewBytes(*record)
        for record in inventory.ask(*_by_day(_within(chosen, first, now))).records
    }
    for number in range((now.date() - first.date()).days + 1):
        day = (first + timedelta(days=number)).strftime("%Y-%m-%d")
        yield found.get(day, NewBytes(day, 0, 0, 0, 0))


def growth_of(inventory: SnapshotFile, chosen: Selection) -> Growth | None:
    """What came in a day, in the mean of the last 30 days; None where less than three are known.

    Raises UnreadableError.
    """
    now = inventory.about().created_at
    recent = _within(chosen, now - LOOKED_BACK, now)
    of_rows, parameters = chosen_sql(recent, "written_at")
    of_objects, _ = chosen_sql(recent, "last_modified")
    always = replace(recent, since=None)
    of_all_rows, _ = chosen_sql(always, "written_at")
    of_all_objects, _ = chosen_sql(always, "last_modified")
    [[rows, objects, row_at, object_at]] = inventory.ask(
        f"""
        SELECT
            (SELECT sum(row_size) FILTER (WHERE {of_rows}) FROM entries),
            (SELECT sum(size) FILTER (WHERE {of_objects} AND state <> 'reserved') FROM objects),
            (SELECT min(written_at) FILTER (WHERE {of_all_rows}) FROM entries),
            (SELECT min(last_modified) FILTER (WHERE {of_all_objects} AND state <> 'reserved') FROM objects)
        """,
        parameters,
    ).records
    begun: datetime | None = min((at for at in (row_at, object_at) if at is not None), default=None)
    if begun is None:
        return None
    # Where a collection leaves a week, a week is what can be told from, and not a month with three empty weeks.
    known = min(now - max(begun, chosen.since or begun), LOOKED_BACK)
    if known < _LEAST:
        return None
    days = known / timedelta(days=1)
    return Growth((int(rows or 0) + int(objects or 0)) / days, days)


def _within(chosen: Selection, since: datetime, until: datetime) -> Selection:
    """What is chosen of that time."""
    # The clocks of database and store are not quite the same; what is from the future came in today.
    until += timedelta(days=1)
    return replace(
        chosen,
        since=since if chosen.since is None else max(since, chosen.since),
        until=until if chosen.until is None else min(until, chosen.until),
    )


def _by_day(chosen: Selection) -> tuple[str, dict[str, object]]:
    of_rows, parameters = chosen_sql(chosen, "written_at")
    of_objects, _ = chosen_sql(chosen, "last_modified")
    statement = f"""
        SELECT
            strftime(written, '%Y-%m-%d') AS day, sum(rows)::BIGINT, sum(objects)::BIGINT,
            sum(inline)::BIGINT, sum(offloaded)::BIGINT
        FROM (
            SELECT written_at AS written, 1 AS rows, 0 AS objects, coalesce(row_size, 0) AS inline, 0 AS offloaded
            FROM entries WHERE {of_rows}
            UNION ALL
            SELECT last_modified, 0, 1, 0, coalesce(size, 0)
            FROM objects WHERE {of_objects} AND state <> 'reserved'
        )
        GROUP BY day ORDER BY day
    """
    return statement, parameters
