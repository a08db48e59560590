"""All guards of a plan, in their order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from xcomctl.gc.guards import contents, surroundings
from xcomctl.gc.guards.acceptance import overruled
from xcomctl.gc.plan import Guard
from xcomctl.inventory.judging import Judged
from xcomctl.state.owner import Owner

DEFAULT_MAX_SHARE = 0.5


def judge(
    found: Judged,
    *,
    database: str,
    owners: Sequence[Owner],
    rows_left_behind: int = 0,
    deletes_orphans: bool,
    max_share: float = DEFAULT_MAX_SHARE,
    accepted: Sequence[str] = (),
) -> tuple[Guard, ...]:
    """Check what was judged.

    `database` is `Source.identity()`, `owners` are the markers that were found under the roots, `rows_left_behind` the
    rows that operations deleted since which broke off. `accepted` holds `id=value` words of the user. Raises UsageError
    if such a word is no acceptance.
    """
    inventory, scan = found.inventory, found.scan
    ours = [one for one in owners if one.database == database]
    guards = [
        contents.empty_database(inventory, deletes_orphans, scan.others),
        contents.shrunk_database(
            inventory,
            deletes_orphans,
            max(0, max((one.rows for one in ours), default=0) - rows_left_behind),
            scan.others,
        ),
        surroundings.older_database(
            scan.newest_run or 0, max((one.newest_run or 0 for one in ours), default=0), deletes_orphans
        ),
        contents.cross_match(inventory, deletes_orphans, scan.others, scan.listed_at),
        contents.unreadable_references(inventory, deletes_orphans, scan.others),
        contents.unknown_dags(inventory, deletes_orphans, scan.known_dags, scan.objects_at),
        contents.orphan_share(inventory, deletes_orphans, max_share),
        surroundings.owner(owners, database),
        surroundings.open_transaction(scan.open_for, deletes_orphans),
        surroundings.replica(scan.replica),
        surroundings.clock_skew(scan.skew),
    ]
    return overruled(guards, accepted)


def judge_surroundings(
    *,
    database: str,
    owners: Sequence[Owner],
    skew: timedelta,
    is_replica: bool,
    accepted: Sequence[str] = (),
) -> tuple[Guard, ...]:
    """The guards that need no inventory: asked where rows are chosen by name, and again before a saved plan is applied."""
    return overruled(
        [
            surroundings.owner(owners, database),
            surroundings.replica(is_replica),
            surroundings.clock_skew(skew),
        ],
        accepted,
    )
