"""What operations that broke off left behind: they deleted rows, and had not come to the objects.

Their journals tell which. Such objects are orphans of our own making, and no sign of a wrong database.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from xcomctl.airflow.interface import RowRecord
from xcomctl.errors import RefusedError
from xcomctl.inventory import Inventory
from xcomctl.inventory.judging import Judged, Sides
from xcomctl.s3.interface import Store
from xcomctl.state.journal import JournalStep, OperationRecord, operations, steps
from xcomctl.state.owner import Owner

REMEMBERED = timedelta(days=7)
"""For so long an operation that broke off is remembered: the next collections were to finish its work."""


def note_left_behind(
    found: Judged, sides: Sides, ours: Sequence[Owner], *, database: str, now: datetime
) -> int:
    """Fill `left_behind` (bucket, key) with what the deleted rows referenced; how many rows went unmentioned.

    The number is of those rows of which the owner markers, `ours`, do not know yet. Raises StoreError. What is damaged of a
    journal, or of another database, tells nothing. `now` is for where there is no store whose clock could be asked.
    """
    inventory, store = found.inventory, sides.store
    if store is None or not inventory.roots:
        return 0
    now = found.scan.store_at or now
    known_at = max((one.written_at for one in ours), default=None)
    unmentioned = 0
    for record in _broken_off(store, inventory, database, now - REMEMBERED):
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


def _broken_off(
    store: Store, inventory: Inventory, database: str, since: datetime
) -> Iterator[OperationRecord]:
    # Heard by nobody: `xcomctl log` tells of journals that are damaged.
    for record in operations(store, inventory.roots, on_damage=lambda _: None):
        if record.started_at < since:
            return
        if record.state in ("failed", "interrupted", "unfinished") and record.database == database:
            yield record
