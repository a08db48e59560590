"""Judge an inventory: which rows may go, and with them the state of every object."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone

from xcomctl.dialects.interface import UNCLAIMABLE
from xcomctl.globs import duckdb_condition
from xcomctl.inventory.build import Inventory
from xcomctl.models import RESERVED_FOLDER
from xcomctl.policy import Policy, expiring_rows_sql, pinned_objects_sql


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of an inventory by state, without what the tool keeps for itself.

    `bytes_reclaimed` are those of the objects that a plan deletes.
    """

    rows_scanned: int
    rows_expired: int
    rows_dangling: int
    objects_scanned: int
    objects_live: int
    objects_expired: int
    objects_orphaned: int
    objects_recent: int
    objects_foreign: int
    bytes_reclaimed: int


def classify(inventory: Inventory, policy: Policy, *, now: datetime, cutoff: datetime) -> None:
    """Fill `expiring_rows` (row_id, reason), `pinned_objects` and `object_states` (object_id, state, reason, in_scope).

    `now` is the database's clock, for the ages of rows; `cutoff` is on the store's clock: an unreferenced object
    that is not older is `recent`.
    """
    query, parameters = expiring_rows_sql(policy, now)
    inventory.run(f"CREATE OR REPLACE TABLE expiring_rows AS {query}", parameters)
    query, parameters = pinned_objects_sql(policy, now)
    inventory.run(f"CREATE OR REPLACE TABLE pinned_objects AS {query}", parameters)
    # The DAGs of all objects are read from their keys only where they are asked for.
    inventory.run("CREATE OR REPLACE TABLE scoped_objects (object_id BIGINT)")
    if policy.dag is not None:
        parameters = {}
        scope = duckdb_condition({"dag_id": policy.dag}, parameters)
        inventory.run(f"INSERT INTO scoped_objects SELECT object_id FROM objects WHERE {scope}", parameters)  # noqa: S608
    inventory.run_script(
        "states.sql",
        {
            "cutoff": cutoff.replace(tzinfo=None),
            "everything": policy.dag is None,
            "untouchable": UNCLAIMABLE,
            "reserved": f"(^|/){re.escape(RESERVED_FOLDER)}",
        },
    )


def totals(inventory: Inventory) -> Totals:
    """Count what `classify` and `confirm_dangling` found. Orphaned and recent objects outside the scope do not count."""
    states = dict(
        inventory.run(
            "SELECT state, count(*) FROM object_states"
            " WHERE in_scope OR state NOT IN ('orphaned', 'recent') GROUP BY state"
        )
    )
    return Totals(
        rows_scanned=count(inventory, "SELECT count(*) FROM rows WHERE NOT archived"),
        rows_expired=count(inventory, "SELECT count(*) FROM expiring_rows"),
        rows_dangling=count(inventory, "SELECT count(DISTINCT row_id) FROM dangling_rows"),
        objects_scanned=count(inventory, "SELECT count(*) FROM object_states WHERE state <> 'reserved'"),
        objects_live=states.get("live", 0),
        objects_expired=states.get("expired", 0),
        objects_orphaned=states.get("orphaned", 0),
        objects_recent=states.get("recent", 0),
        objects_foreign=states.get("foreign", 0),
        bytes_reclaimed=0,
    )


def count(inventory: Inventory, query: str, parameters: dict[str, object] | None = None) -> int:
    """The one number that a query gives; NULL is 0."""
    return int(inventory.run(query, parameters)[0][0] or 0)


OBJECT_STATES = ("live", "expired", "orphaned", "recent", "foreign")
"""States of objects, without what the tool keeps for itself."""


def bytes_by_state(inventory: Inventory) -> dict[str, int]:
    """`bytes_<state>` for each of `OBJECT_STATES`; out of scope, orphaned and recent ones do not count.

    It joins all objects with their states, which takes a while where there are many.
    """
    found = dict(
        inventory.run(
            "SELECT s.state, sum(o.size) FROM object_states s JOIN listed_objects o USING (object_id)"
            " WHERE s.in_scope OR s.state NOT IN ('orphaned', 'recent') GROUP BY s.state"
        )
    )
    return {f"bytes_{state}": int(found.get(state) or 0) for state in OBJECT_STATES}


def trash_totals(inventory: Inventory, *, now: datetime) -> dict[str, int]:
    """What is in the trash, after `load_discarded`: objects, bytes, and the seconds for which the oldest is in there.

    `now` is by the store's clock.
    """
    [(number, size, oldest)] = inventory.run("SELECT count(*), sum(size), min(discarded_at) FROM discarded")
    age = 0 if oldest is None else (now - oldest.replace(tzinfo=timezone.utc)).total_seconds()
    return {
        "trash_objects": number,
        "trash_bytes": int(size or 0),
        "trash_oldest_seconds": max(0, round(age)),
    }
