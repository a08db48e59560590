"""The mark: list the stores to their end, then read every row in one snapshot, and note both clocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from xcomctl.airflow.interface import Snapshot, Source
from xcomctl.inventory import Inventory
from xcomctl.inventory.shard_scan import NOWHERE, Elsewhere, Share
from xcomctl.progress import Report, silent
from xcomctl.s3.interface import Store
from xcomctl.s3.stored_listing import StoredListing, objects_below

LEAST_MIN_AGE = timedelta(hours=1)
"""A grace period below this needs the user's word that no task is running."""

DEFAULT_MIN_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Mark:
    """Clocks of one mark: when the listing began, by the store; when the rows were read, by the database."""

    store_at: datetime | None
    database_at: datetime
    skew: timedelta
    replica: bool
    cutoff: datetime
    open_for: timedelta = timedelta(0)
    """How long a transaction has been open whose rows are not seen."""
    newest_run: int | None = None
    """The highest number that any DAG run has."""
    elsewhere: Elsewhere = NOWHERE
    """What a share saw of the others."""
    listed_at: datetime | None = None
    """When a stored listing was taken, by the clock of the store; None where the stores were listed anew."""

    @property
    def objects_at(self) -> datetime | None:
        """What was written until then, by the clock of the store, is among the objects; None without a store."""
        return self.listed_at or self.store_at


def fill(
    inventory: Inventory,
    source: Source,
    store: Store | None,
    *,
    min_age: timedelta,
    ignore_archives: bool,
    listing: StoredListing | None = None,
    share: Share | None = None,
    report: Report = silent,
) -> tuple[Mark, set[str]]:
    """List every root to its end, then read all rows in one snapshot. Returns the clocks and the known DAGs.

    A `listing` that was taken before stands for listing the roots; the cutoff is that much earlier.
    With a `share` only what is of it is listed and read, and what it borrows.

    Raises StoreError or SourceError if either side does not come whole.
    """
    source.info()
    store_at = None
    for root in inventory.roots:
        assert store is not None, "roots need a store"  # noqa: S101 - a caller's mistake, not a user's
        began_at = store.now(root.bucket)
        store_at = began_at if store_at is None else min(store_at, began_at)
        batches = None if listing is None else objects_below(root, listing, store)
        if share is not None:
            batches = share.objects(store, root, batches)
        inventory.add_objects(root, store.batches(root) if batches is None else batches)
    listed_at = None
    if listing is not None and store_at is not None:
        listed_at = min(listing.taken_at, store_at)
    with source.snapshot() as snapshot:
        skew = timedelta(0)
        if store is not None and inventory.roots:
            skew = abs(store.now(inventory.roots[0].bucket) - snapshot.taken_at)
        elsewhere = NOWHERE
        if share is None:
            inventory.add_rows(snapshot.batches(include_archives=not ignore_archives))
        else:
            elsewhere = share.read(inventory, snapshot, store, include_archives=not ignore_archives)
        known = snapshot.dag_ids()
        open_for = _uncommitted_for(snapshot)
        mark = Mark(
            store_at=store_at,
            database_at=snapshot.taken_at,
            skew=skew,
            replica=snapshot.is_replica,
            cutoff=(listed_at or store_at or snapshot.taken_at) - min_age - open_for,
            open_for=open_for,
            newest_run=snapshot.newest_run(),
            elsewhere=elsewhere,
            listed_at=listed_at,
        )
    return mark, known


def _uncommitted_for(snapshot: Snapshot) -> timedelta:
    """How long a transaction has been open that may yet commit the row of an object: the grace period grows by it."""
    oldest = snapshot.oldest_transaction_at
    return timedelta(0) if oldest is None else max(snapshot.taken_at - oldest, timedelta(0))
