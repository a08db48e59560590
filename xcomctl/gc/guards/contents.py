"""Guards that look at what was read: do these rows and these objects belong together?"""

from __future__ import annotations

from datetime import datetime

from xcomctl.gc.plan import Guard
from xcomctl.inventory import Inventory
from xcomctl.inventory.classify import count
from xcomctl.inventory.shard_scan import OtherShards
from xcomctl.units import quantity

LEAST_MATCH = 0.1
"""Share of the references under the roots whose object must be there."""

FEW_ORPHANS = 100
"""So many orphans are never a suspicious share: small deployments are made of them."""


def empty_database(inventory: Inventory, deletes_orphans: bool, others: OtherShards) -> Guard:
    """Refuses a database without XCom rows beside stores with objects."""
    rows = _live_rows(inventory) + others.rows
    return Guard(
        "empty_database",
        rows > 0 or not deletes_orphans,
        rows,
        1,
        "the database has no XCom row at all, but the stores hold objects",
    )


def shrunk_database(inventory: Inventory, deletes_orphans: bool, before: int, others: OtherShards) -> Guard:
    """Refuses a database that has less than half of the rows that it had after the last operation."""
    rows = _live_rows(inventory) + others.rows
    least = (before + 1) // 2
    return Guard(
        "shrunk_database",
        rows >= least or not deletes_orphans,
        rows,
        least,
        f"the database has {quantity(rows, 'XCom row')}; after the last operation on these stores it had {before}",
    )


def cross_match(
    inventory: Inventory, deletes_orphans: bool, others: OtherShards, listed_at: datetime | None = None
) -> Guard:
    """Refuses where hardly any reference under the stores matches an object.

    A shard may have few references, or none: some of the others' count as well.
    Where the objects are those of a stored listing, rows that were written after it do not count.
    """
    referring, present = inventory.run(
        """
        WITH followed AS (
            SELECT r.row_id, r.reference_no, bool_or(m.row_id IS NOT NULL) AS present
            FROM refs r
            JOIN rows w ON w.row_id = r.row_id AND NOT w.archived
            LEFT JOIN met_refs m ON m.row_id = r.row_id AND m.reference_no = r.reference_no
            WHERE r.under_root AND r.confidence <> 'ambiguous'
              AND ($listed_at IS NULL OR w.written_at IS NULL OR w.written_at <= $listed_at)
            GROUP BY r.row_id, r.reference_no
        )
        SELECT count(*), count(*) FILTER (WHERE present) FROM followed
        """,
        {"listed_at": None if listed_at is None else listed_at.replace(tzinfo=None)},
    )[0]
    referring, present = referring + others.referring, present + others.present
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


def unreadable_references(inventory: Inventory, deletes_orphans: bool, others: OtherShards) -> Guard:
    """Refuses where rows speak of a place below a root, and no dialect could tell which object they mean.

    Rows of other shards may mean objects of this one.
    """
    found = inventory.run(
        """
        SELECT count(*), min(dag_id || '/' || run_id || '/' || task_id || ':' || key)
        FROM rows WHERE names_root AND reference IS NULL AND NOT archived
          AND row_id NOT IN (SELECT row_id FROM careful_refs WHERE key IS NOT NULL)
          AND row_id NOT IN (SELECT row_id FROM links)
        """
    )[0]
    value, example = int(found[0]) + others.unreadable, found[1] or others.example
    return Guard(
        "unreadable_references",
        value == 0 or not deletes_orphans,
        value,
        0,
        f"{value} rows name a place in the stores in a way that no dialect reads, such as {example}:"
        " what they reference would look orphaned",
    )


def _live_rows(inventory: Inventory) -> int:
    return count(inventory, "SELECT count(*) FROM rows WHERE NOT archived")


def orphan_share(inventory: Inventory, deletes_orphans: bool, max_share: float) -> Guard:
    """Refuses to delete a large part of all objects as orphans, besides those whose rows we deleted ourselves."""
    claimed = count(
        inventory,
        "SELECT count(*) FROM listed_objects JOIN object_states USING (object_id)"
        " WHERE claim IS NOT NULL AND state <> 'foreign'",
    )
    orphans = count(
        inventory,
        """
        SELECT count(*) FROM object_states s JOIN listed_objects o USING (object_id)
        WHERE s.state = 'orphaned' AND s.in_scope AND (o.bucket, o.key) NOT IN (SELECT (bucket, key) FROM left_behind)
        """,
    )
    limit = max(int(claimed * max_share), FEW_ORPHANS)
    return Guard(
        "orphan_share",
        orphans <= limit or not deletes_orphans,
        orphans,
        limit,
        f"{orphans} of the {claimed} objects that backends wrote would go as orphans, more than a share of {max_share:g}",
    )
