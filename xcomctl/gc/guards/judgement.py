"""All guards of a plan, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from xcomctl.airflow.interface import Source
from xcomctl.gc.guards import contents, surroundings
from xcomctl.gc.guards.acceptance import overruled
from xcomctl.gc.guards.strangers import strangers
from xcomctl.gc.plan import Guard
from xcomctl.inventory.judging import Judged
from xcomctl.models import Root
from xcomctl.state.ownership import Ownership

DEFAULT_MAX_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Background:
    """What is known of both sides beside what was scanned."""

    source: Source
    database: str
    """`Source.identity()`."""
    ownership: Ownership
    seen: Sequence[tuple[Root, datetime]] = ()
    """Roots that were collected whole before, with the age of objects up to which they were."""
    rows_left_behind: int = 0
    """Rows that operations deleted since which broke off."""


def judge(
    found: Judged,
    background: Background,
    *,
    deletes_orphans: bool,
    max_share: float = DEFAULT_MAX_SHARE,
    accepted: Sequence[str] = (),
) -> tuple[Guard, ...]:
    """Check what was judged. `accepted` holds `id=value` words of the user.

    Raises UsageError if such a word is no acceptance, SourceError where the database is asked once more and fails.
    """
    inventory, scan = found.inventory, found.scan
    ours = background.ownership.ours(background.database)
    guards = [
        contents.empty_database(inventory, deletes_orphans, scan.others),
        contents.shrunk_database(
            inventory,
            deletes_orphans,
            max(0, max((one.rows for one in ours), default=0) - background.rows_left_behind),
            scan.others,
        ),
        surroundings.older_database(
            scan.newest_run or 0, max((one.newest_run or 0 for one in ours), default=0), deletes_orphans
        ),
        contents.cross_match(inventory, deletes_orphans, scan.others, scan.listed_at),
        contents.unreadable_references(inventory, deletes_orphans, scan.others),
        *strangers(found, background.source, background.seen, deletes_orphans),
        contents.orphan_share(inventory, deletes_orphans, max_share),
        surroundings.owner(background.ownership, background.database),
        surroundings.open_transaction(scan.open_for, deletes_orphans),
        surroundings.replica(scan.replica),
        surroundings.clock_skew(scan.skew),
    ]
    return overruled(guards, accepted)


def judge_surroundings(
    *,
    database: str,
    ownership: Ownership,
    skew: timedelta,
    is_replica: bool,
    accepted: Sequence[str] = (),
) -> tuple[Guard, ...]:
    """The guards that need no inventory: asked where rows are chosen by name, and again before a saved plan is applied."""
    return overruled(
        [
            surroundings.owner(ownership, database),
            surroundings.replica(is_replica),
            surroundings.clock_skew(skew),
        ],
        accepted,
    )
