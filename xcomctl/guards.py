"""Guards: checks of a whole plan that refuse it when the two sides do not look like one deployment.

Each has a stable id, a number, a limit, and says what to type. A guard is overruled by its exact number alone, so
that a copied command line cannot carry a blanket yes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from xcomctl.errors import UsageError
from xcomctl.inventory import Inventory
from xcomctl.inventory.classify import count
from xcomctl.plan import Guard

LEAST_MATCH = 0.1
"""Share of the references under the roots whose object must be there."""

ACTIVE_DEPLOYMENT = timedelta(days=7)
"""Objects of unknown DAGs that were written within this time look like the work of another deployment."""

MOST_SKEW = timedelta(minutes=5)

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")

GUARD_IDS = ("empty_database", "cross_match", "unknown_dags", "replica", "clock_skew")


def judge(
    inventory: Inventory,
    known_dags: set[str],
    *,
    deletes_orphans: bool,
    store_at: datetime | None,
    skew: timedelta,
    replica: bool,
    accepted: Sequence[str] = (),
) -> tuple[Guard, ...]:
    """Check a classified inventory. `accepted` holds `id=value` words of the user.

    Raises UsageError if such a word is no acceptance.
    """
    words = acceptances(accepted)
    guards = [
        _empty_database(inventory, deletes_orphans),
        _cross_match(inventory, deletes_orphans),
        _unknown_dags(inventory, known_dags, deletes_orphans, store_at),
        Guard(
            "replica", not replica, float(replica), 0, "the database is a read replica, which may lag behind"
        ),
        Guard(
            "clock_skew",
            skew <= MOST_SKEW,
            float(int(skew.total_seconds())),
            MOST_SKEW.total_seconds(),
            f"the clocks of database and store differ by {int(skew.total_seconds())} s",
        ),
    ]
    return tuple(
        Guard(g.id, True, g.value, g.limit, g.cause) if not g.ok and words.get(g.id) == g.value else g
        for g in guards
    )


def acceptances(words: Sequence[str]) -> dict[str, float]:
    """Read the `id=value` words of the user. Raises UsageError for what is none, or contradicts another one."""
    accepted: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in GUARD_IDS or not _NUMBER.fullmatch(value):
            raise UsageError(
                f"--accept {word!r} is not GUARD=VALUE",
                hint=f"guards are {', '.join(GUARD_IDS)}; the refusal says the value",
            )
        if accepted.setdefault(name, float(value)) != float(value):
            raise UsageError(
                f"--accept names two values for {name}", hint="give the one that the refusal says"
            )
    return accepted


def _empty_database(inventory: Inventory, deletes_orphans: bool) -> Guard:
    rows = count(inventory, "SELECT count(*) FROM rows WHERE NOT archived")
    return Guard(
        "empty_database",
        rows > 0 or not deletes_orphans,
        rows,
        1,
        "the database has no XCom row at all, but the stores hold objects",
    )


def _cross_match(inventory: Inventory, deletes_orphans: bool) -> Guard:
    referring, present = inventory.run(
        """
        WITH followed AS (
            SELECT r.row_id, r.reference_no, bool_or(o.object_id IS NOT NULL) AS present
            FROM refs r
            JOIN rows w ON w.row_id = r.row_id AND NOT w.archived
            LEFT JOIN objects o ON o.bucket = r.bucket AND o.key = r.key
            WHERE r.under_root AND r.confidence <> 'ambiguous'
            GROUP BY r.row_id, r.reference_no
        )
        SELECT count(*), count(*) FILTER (WHERE present) FROM followed
        """
    )[0]
    share = round(present / referring, 4) if referring else 0.0
    return Guard(
        "cross_match",
        share >= LEAST_MATCH or not deletes_orphans,
        share,
        LEAST_MATCH,
        f"of {referring} references under the stores, {present} match an object:"
        " this may be the wrong database or the wrong store"
        if referring
        else "no row references anything under the stores: this may be the wrong database or the wrong store",
    )


def _unknown_dags(
    inventory: Inventory, known_dags: set[str], deletes_orphans: bool, store_at: datetime | None
) -> Guard:
    found: list[tuple[str, int]] = []
    if deletes_orphans and store_at is not None:
        known = known_dags | {
            dag for (dag,) in inventory.run("SELECT DISTINCT dag_id FROM rows WHERE dag_id IS NOT NULL")
        }
        per_dag = inventory.run(
            """
            SELECT o.dag_id, count(*) FILTER (WHERE s.state = 'orphaned' AND s.in_scope)
            FROM objects o JOIN object_states s USING (object_id)
            WHERE o.dag_id IS NOT NULL
            GROUP BY o.dag_id HAVING max(o.last_modified) > $since
            """,
            {"since": (store_at - ACTIVE_DEPLOYMENT).replace(tzinfo=None)},
        )
        found = sorted((dag, number) for dag, number in per_dag if dag not in known and number)
    value = sum(number for _, number in found)
    names = ", ".join(dag for dag, _ in found[:3]) + (", ..." if len(found) > 3 else "")
    return Guard(
        "unknown_dags",
        not found,
        value,
        0,
        f"{value} orphaned objects are of DAGs that this database never knew but that wrote within"
        f" {ACTIVE_DEPLOYMENT.days} days ({names}): another deployment may use this store",
    )
