"""The mark: list the stores to their end, then read every row in one snapshot, and note both clocks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from xcomctl.inventory import Inventory
from xcomctl.inventory.build import Report, silent
from xcomctl.metadata.interface import Snapshot, Source
from xcomctl.stores.interface import Store

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


def fill(
    inventory: Inventory,
    source: Source,
    store: Store | None,
    *,
    min_age: timedelta,
    ignore_archives: bool,
    report: Report = silent,
) -> tuple[Mark, set[str]]:
    """List every root to its end, then read all rows in one snapshot. Returns the clocks and the known DAGs.

    Raises StoreError or SourceError if either side does not come whole.
    """
    source.info()
    store_at = None
    for root in inventory.roots:
        assert store is not None, "roots need a store"  # noqa: S101 - a caller's mistake, not a user's
        began_at = store.now(root.bucket)
        store_at = began_at if store_at is None else min(store_at, began_at)
        inventory.add_objects(root, store.batches(root))
    with source.snapshot() as snapshot:
        skew = timedelta(0)
        if store is not None and inventory.roots:
            skew = abs(store.now(inventory.roots[0].bucket) - snapshot.taken_at)
        inventory.add_rows(snapshot.batches(include_archives=not ignore_archives))
        known = snapshot.dag_ids()
        open_for = _uncommitted_for(snapshot)
        mark = Mark(
            store_at=store_at,
            database_at=snapshot.taken_at,
            skew=skew,
            replica=snapshot.is_replica,
            cutoff=(store_at or snapshot.taken_at) - min_age - open_for,
            open_for=open_for,
            newest_run=snapshot.newest_run(),
        )
    return mark, known


def _uncommitted_for(snapshot: Snapshot) -> timedelta:
    """How long a transaction has been open that may yet commit the row of an object: the grace period grows by it."""
    oldest = snapshot.oldest_transaction_at
    return timedelta(0) if oldest is None else max(snapshot.taken_at - oldest, timedelta(0))
