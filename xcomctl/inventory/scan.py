"""Scan both sides: list the stores to their end, then read every row in one snapshot, and note both clocks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from xcomctl.airflow.interface import Snapshot, Source
from xcomctl.dialects.interface import Dialects
from xcomctl.errors import StoreError
from xcomctl.inventory import Inventory
from xcomctl.inventory.shard_scan import NO_OTHERS, OtherShards, ShardScan
from xcomctl.meanwhile import Meanwhile
from xcomctl.models import Root
from xcomctl.s3.interface import Store, StoredListing, objects_below

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_MIN_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Scan:
    """What one scan saw beside rows and objects: both clocks, and for the guards what they ask for.

    `store_at` is when the listing began, by the store, which is asked side by side; `database_at` when the rows were read,
    by the database.
    """

    store_at: datetime | None
    database_at: datetime
    skew: timedelta
    replica: bool
    cutoff: datetime
    open_for: timedelta = timedelta(0)
    """How long a transaction has been open whose rows are not seen."""
    newest_run: int | None = None
    """The highest number that any DAG run has."""
    known_dags: frozenset[str] = frozenset()
    """DAGs that the database knows, with XComs or without."""
    others: OtherShards = NO_OTHERS
    """What the scan of a shard saw of the others."""
    listed_at: datetime | None = None
    """When a stored listing was taken, by the clock of the store; None where the stores were listed anew."""

    @property
    def objects_at(self) -> datetime | None:
        """What was written until then, by the clock of the store, is among the objects; None without a store."""
        return self.listed_at or self.store_at

    @property
    def listed_by_database_clock(self) -> datetime | None:
        """When listing the stores began, by the clock of the database, and rather earlier; None without a store."""
        return None if self.store_at is None else self.store_at - self.skew


class Listings:
    """The objects below some roots: from here on the first one is listed, and the store is asked for its times.

    A `listing` that was taken before stands for listing them. With a `shard` only what is of it is listed.
    """

    def __init__(
        self,
        store: Store | None,
        roots: Sequence[Root],
        listing: StoredListing | None = None,
        shard: ShardScan | None = None,
    ) -> None:
        self.store = store
        self.taken_at = None if listing is None else listing.taken_at
        self._begun: list[tuple[Root, Iterator[pa.RecordBatch]]] = []
        self._clocks: list[Meanwhile[datetime]] = []
        if store is None:
            return
        for bucket in sorted({root.bucket for root in roots}):
            self._clocks.append(Meanwhile(partial(store.now, bucket)))
        for root in roots:
            batches = None if listing is None else objects_below(root, listing, store)
            if shard is not None:
                batches = shard.objects(store, root, batches)
            self._begun.append((root, store.batches(root) if batches is None else batches))
        self._first = [Meanwhile(partial(next, batches, None)) for _, batches in self._begun[:1]]

    def each(self) -> Iterator[tuple[Root, Iterator[pa.RecordBatch]]]:
        """Each root with its objects, in batches. To be taken once. Raises StoreError."""
        for number, (root, batches) in enumerate(self._begun):
            yield root, batches if number else self._continued(batches)

    def _continued(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        first = self._first[0].result()
        if first is not None:
            yield first
            yield from batches

    def begun_at(self) -> datetime | None:
        """When the listing began, by the clock of the store that is behind; None without a store. Raises StoreError."""
        return min((clock.result() for clock in self._clocks), default=None)


def scan(
    inventory: Inventory,
    source: Source,
    listings: Listings,
    *,
    min_age: timedelta,
    ignore_archives: bool,
    shard: ShardScan | None = None,
) -> Scan:
    """List every root to its end, then read all rows in one snapshot, into the inventory.

    What does not depend on that is asked side by side: whether the database is there, and for the times of the store.
    Where a listing was taken before, the cutoff is that much earlier.
    With a `shard` only what is of it is listed and read, and what of the others is needed to judge it.

    Raises StoreError or SourceError if either side does not come whole.
    """
    database = Meanwhile(partial(_reach, source))
    try:
        for root, batches in listings.each():
            inventory.add_objects(root, database.over(batches))
    except StoreError:
        # Where both sides fail, it is the same one that is told each time.
        database.result()
        raise
    store, store_at = listings.store, listings.begun_at()
    database.result()
    listed_at = None
    if listings.taken_at is not None and store_at is not None:
        listed_at = min(listings.taken_at, store_at)
    with source.snapshot() as snapshot:
        store_clock = None
        if store is not None and inventory.roots:
            # It is asked for now, as the view is, and not when its rows are read.
            store_clock = Meanwhile(partial(store.now, inventory.roots[0].bucket))
        others = NO_OTHERS
        if shard is None:
            inventory.add_rows(snapshot.batches(include_archives=not ignore_archives))
            inventory.add_mentions(snapshot.mentions(inventory.roots))
        else:
            others = shard.read(inventory, snapshot, store, include_archives=not ignore_archives)
        known = snapshot.dag_ids()
        open_for = _uncommitted_for(snapshot)
        return Scan(
            store_at=store_at,
            database_at=snapshot.taken_at,
            skew=timedelta(0) if store_clock is None else abs(store_clock.result() - snapshot.taken_at),
            replica=snapshot.is_replica,
            cutoff=(listed_at or store_at or snapshot.taken_at) - min_age - open_for,
            open_for=open_for,
            newest_run=snapshot.newest_run(),
            others=others,
            known_dags=frozenset(known),
            listed_at=listed_at,
        )


def _reach(source: Source) -> None:
    """Raises SourceError if the rows, or what is looked through beside them, may not be read."""
    source.info()
    source.require_places()


def _uncommitted_for(snapshot: Snapshot) -> timedelta:
    """How long a transaction has been open that may yet commit the row of an object: the grace period grows by it."""
    oldest = snapshot.oldest_transaction_at
    return timedelta(0) if oldest is None else max(snapshot.taken_at - oldest, timedelta(0))


def propose_roots(source: Source, dialects: Dialects) -> Counter[str]:
    """Roots that the stored references themselves show, with the number of references under each.

    The key '' counts references of known backends that name no bucket.
    """
    found: Counter[str] = Counter()
    with source.snapshot() as snapshot:
        for batch in snapshot.batches(include_archives=False):
            for value in batch.column("raw"):
                for reference in dialects.references(value.as_py(), ()):
                    if reference.confidence != "ambiguous":
                        found[reference.root.uri if reference.root else ""] += 1
    return found
