"""Guards that look at the servers: clocks, replicas, open transactions, restored databases, and whose store it is."""

from __future__ import annotations

from datetime import timedelta

from xcomctl.gc.plan import Guard
from xcomctl.state.ownership import Ownership, digest
from xcomctl.units import CLOCKS_MAY_DIFFER

LONGEST_TRANSACTION = timedelta(hours=24)

_HOUR = timedelta(hours=1)


def owner(ownership: Ownership, database: str) -> Guard:
    """Refuses roots in which the rows of another database were collected before, also around them and inside of them."""
    whose = [
        *(("the store", one) for one in ownership.at),
        *((f"{one.root.uri}, in which the store lies,", one) for one in ownership.above),
        *((f"{one.root.uri}, inside of the store,", one) for one in ownership.inside),
    ]
    others = [(what, one) for what, one in whose if one.database != database]
    if not others:
        return Guard("owner", True, database, database, "")
    identities = sorted({one.identity for _, one in others})
    what, other = others[0]
    more = f", and {len(others) - 1} more roots to others" if len(others) > 1 else ""
    return Guard(
        "owner",
        False,
        identities[0] if len(identities) == 1 else digest(" ".join(identities)),
        database,
        f"{what} belongs to another database, {other.label} ({other.identity}){more};"
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
