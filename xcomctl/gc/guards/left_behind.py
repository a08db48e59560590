"""What operations that broke off left behind: they deleted rows, and had not come to the objects.

Their journals tell which. Such objects are orphans of our own making, and no sign of a wrong database.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from xcomctl.airflow.interface import RowRecord
from xcomctl.errors import RefusedError
from xcomctl.inventory.judging import Judged, Sides
from xcomctl.models import Root
from xcomctl.s3.interface import Store
from xcomctl.state.journal import JournalStep, OperationRecord, operations, steps
from xcomctl.state.owner import Owner

REMEMBERED = timedelta(days=7)
"""For so long an operation that broke off is remembered: the next collections were to finish its work."""


def find_broken_off(store: Store | None, roots: Sequence[Root], now: datetime) -> list[OperationRecord]:
    """Operations on these roots that broke off within the time for which they are remembered. Raises StoreError."""
    if store is None or not roots:
        return []
    # Heard by nobody: `xcomctl log` tells of journals that are damaged.
    found = operations(store, roots, since=now - REMEMBERED, on_damage=lambda _: None)
    return [one for one in found if one.state in ("failed", "interrupted", "unfinished")]


def note_left_behind(
    found: Judged,
    sides: Sides,
    broken_off: Sequence[OperationRecord],
    ours: Sequence[Owner],
    *,
    database: str,
) -> int:
    """Fill `left_behind` (bucket, key) with what the deleted rows referenced; how many rows went unmentioned.

    The number is of those rows of which the owner markers, `ours`, do not know yet. Raises StoreError. What is damaged
    of a journal, or of another database, tells nothing.
    """
    inventory, store = found.inventory, sides.store
    if store is None:
        return 0
    known_at = max((one.written_at for one in ours), default=None)
    unmentioned = 0
    for record in (one for one in broken_off if one.database == database):
        try:
            for step in steps(store, record):
                if step.kind != "delete_rows":
                    continue
                addresses = [
                    (address.bucket, address.key)
                    for entry in step.intent
                    for reference in sides.dialects.references(RowRecord.of(entry).raw, inventory.roots)
                    for address in reference.addresses
                ]
                inventory.insert("left_behind", addresses)
                if known_at is None or record.started_at > known_at:
                    unmentioned += _rows_deleted(step)
        except RefusedError:
            continue
    return unmentioned


def _rows_deleted(step: JournalStep) -> int:
    # Where nobody knows yet whether the last few of them were deleted, it is taken for so.
    if step.outcome is None:
        return len(step.intent)
    return sum(entry["result"] == "deleted" for entry in step.outcome)
