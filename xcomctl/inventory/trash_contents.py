"""What a collection does with the trash: what a row references again comes back, what was there long enough goes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from xcomctl.inventory import Inventory
from xcomctl.inventory.candidates import find_occupied
from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import Store
from xcomctl.state.trash.entries import HiddenVersion, TrashEntry
from xcomctl.state.trash.ledger import read_ledger
from xcomctl.state.trash.places import COPY_PATTERN, TRASH_FOLDER, ledger_operation

if TYPE_CHECKING:
    import pyarrow as pa


def trash_actions(
    inventory: Inventory, store: Store, *, keep: timedelta, now: datetime, listed_before: bool = False
) -> Iterator[pa.RecordBatch]:
    """Actions `restore_object` and `purge_object` of a classified inventory, in batches with the columns of a plan.

    `now` is by the store's clock. With `listed_before` the objects are those of a stored listing, apart from what is in
    the trash. Raises StoreError, UnreadableError.
    """
    load_discarded(inventory, store)
    if listed_before:
        find_occupied(inventory, store)
    at = now.replace(tzinfo=None)
    # A store tells its time in whole seconds: what went to the trash within this one was there before, too.
    purge_before = at - keep if keep else at + timedelta(seconds=1)
    inventory.run_script("trash_actions.sql", {"purge_before": purge_before, "now": at})
    yield from inventory.batches("FROM trash_actions ORDER BY bucket, object_key, last_modified")


def load_discarded(inventory: Inventory, store: Store) -> None:
    """Fill the table `discarded` with what is in the trash, as far as it was listed. Raises StoreError, UnreadableError."""
    inventory.run(
        "CREATE OR REPLACE TABLE told_by_ledgers (bucket VARCHAR, original_key VARCHAR, size BIGINT, etag VARCHAR,"
        " discarded_at TIMESTAMP, trash_key VARCHAR, version_id VARCHAR, marker_id VARCHAR)"
    )
    for entries in _told(inventory, store):
        inventory.insert("told_by_ledgers", [_record(entry) for entry in entries])
    inventory.run_script("trash.sql", {"copy": COPY_PATTERN})


def _told(inventory: Inventory, store: Store) -> Iterator[Sequence[TrashEntry]]:
    ledgers = inventory.run(
        "SELECT bucket, key FROM listed_objects WHERE contains(key, $folder) AND contains(key, '.ledger/')",
        {"folder": TRASH_FOLDER},
    )
    for bucket, key in ledgers:
        address = ObjectAddress(bucket, key)
        if ledger_operation(address) is not None and (entries := read_ledger(store, address)):
            yield entries


def _record(entry: TrashEntry) -> tuple[object, ...]:
    kept = entry.kept_as
    hidden = kept if isinstance(kept, HiddenVersion) else None
    return (
        entry.original.bucket,
        entry.original.key,
        entry.size,
        entry.etag,
        entry.discarded_at.replace(tzinfo=None),
        entry.way_back["trash_key"],
        hidden and hidden.version_id,
        hidden and hidden.marker_id,
    )
