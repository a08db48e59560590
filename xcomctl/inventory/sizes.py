"""Bytes of a judged inventory: by the state of its objects, and in the trash."""

from __future__ import annotations

from datetime import datetime, timezone

from xcomctl.inventory.build import Inventory

OBJECT_STATES = ("live", "expired", "orphaned", "recent", "foreign")
"""States of objects, without what the tool keeps for itself."""


def bytes_by_state(inventory: Inventory) -> dict[str, int]:
    """`bytes_<state>` for each of `OBJECT_STATES`; out of scope, orphaned and recent ones do not count.

    It joins all objects with their states, which takes a while where there are many.
    """
    found = dict(
        inventory.run(
            "SELECT s.state, sum(o.size) FROM object_states s JOIN objects o USING (object_id)"
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
