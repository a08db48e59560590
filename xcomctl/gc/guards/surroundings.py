"""Guards that look at the servers: clocks, replicas, open transactions, restored databases, and whose store it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from xcomctl.gc.plan import Guard
from xcomctl.state.owner import Owner
from xcomctl.units import CLOCKS_MAY_DIFFER

LONGEST_TRANSACTION = timedelta(hours=24)

_HOUR = timedelta(hours=1)


def owner(owners: Sequence[Owner], database: str) -> Guard:
    """Refuses roots in which the rows of another database were collected before."""
    other = next((one for one in owners if one.database != database), None)
    return Guard(
        "owner",
        other is None,
        database if other is None else other.database,
        database,
        ""
        if other is None
        else f"the store belongs to another database, {other.label} ({other.database});"
        f" this one is {database}: its rows know nothing of the other's objects",
    )


def older_database(newest_run: int, before: int, deletes_orphans: bool) -> Guard:
    """Refuses a database whose newest run has a lower number than one that it was seen to have."""
    return Guard(
        "older_database",
        newest_run >= before or not deletes_orphans,
        newest_run,
        before,
        f"the newest DAG run is number {newest_run}; at the last operation on these stores it was number {before}:"
        " the database may have been restored from a backup",
    )


def open_transaction(open_for: timedelta, deletes_orphans: bool) -> Guard:
    """Refuses while a transaction has been open for so long that it may be forgotten; counted in whole hours."""
    hours = int(open_for / _HOUR)
    return Guard(
        "open_transaction",
        open_for <= LONGEST_TRANSACTION or not deletes_orphans,
        hours,
        int(LONGEST_TRANSACTION / _HOUR),
        f"a transaction of the database has been open for {hours} h: rows that it wrote are not seen until it ends",
    )


def replica(is_replica: bool) -> Guard:
    """Refuses a read replica."""
    return Guard(
        "replica",
        not is_replica,
        float(is_replica),
        0,
        "the database is a read replica, which may lag behind",
    )


def clock_skew(skew: timedelta) -> Guard:
    """Refuses where ages mean nothing, because the clocks differ."""
    seconds = int(skew.total_seconds())
    return Guard(
        "clock_skew",
        skew <= CLOCKS_MAY_DIFFER,
        float(seconds),
        CLOCKS_MAY_DIFFER.total_seconds(),
        f"the clocks of database and store differ by {seconds} s",
    )
