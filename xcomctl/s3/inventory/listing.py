"""S3 Inventory in the place of a listing: a daily or weekly list of a bucket, which S3 itself writes into a bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.errors import RefusedError, UsageError
from xcomctl.models import Root
from xcomctl.s3.interface import Store
from xcomctl.s3.inventory.manifest import InventoryManifest, read_manifest
from xcomctl.units import CLOCKS_MAY_DIFFER, format_duration, format_time

if TYPE_CHECKING:
    import pyarrow as pa

OLDEST = timedelta(days=14)
"""A weekly one takes up to two days to come: of those that are older there is a newer one, or should be."""

_SURELY_LISTED = timedelta(days=1)
"""What is older than the list by so much must be in it: what is younger may be missing, as AWS says."""


class S3Inventory:
    """An inventory as a listing (`s3.interface.StoredListing`), read through a store.

    One data file after the other is copied to `tmp` (the system's folder for temporary files if None).
    """

    def __init__(self, store: Store, manifest: InventoryManifest, tmp: Path | None = None) -> None:
        self._store = store
        self._manifest = manifest
        self._tmp = tmp

    @classmethod
    def open(cls, store: Store, uri: str, roots: Sequence[Root], tmp: Path | None = None) -> S3Inventory:
        """Read the manifest at `uri`, and check that it can stand for a listing of `roots`.

        Raises UsageError where `uri` is no manifest or one of another bucket, NotFoundError, UnreadableError where it is
        damaged, RefusedError where it is too old, StoreError.
        """
        manifest = read_manifest(store, uri)
        for root in roots:
            if root.bucket != manifest.source_bucket:
                raise UsageError(
                    f"{manifest.uri} lists the bucket {manifest.source_bucket!r}, and {root.uri} is in another one",
                    hint="run once for each bucket, with its own --store and --inventory",
                )
        _require_recent(manifest, store.now(manifest.source_bucket))
        return cls(store, manifest, tmp)

    @property
    def uri(self) -> str:
        """Where the manifest lies."""
        return self._manifest.uri

    @property
    def taken_at(self) -> datetime:
        """When S3 began to make the list."""
        return self._manifest.taken_at

    def batches(self, root: Root) -> Iterator[pa.RecordBatch]:
        """Every object below `root` in the list, in batches of `object_schema()`.

        Raises NotFoundError, UnreadableError, UsageError where columns are missing or nothing below `root` is in it,
        StoreError.
        """
        from xcomctl.s3.inventory.files import read_objects

        found = False
        for batch in read_objects(self._store, self._manifest, root, self._tmp):
            found = found or batch.num_rows > 0
            yield batch
        if not found:
            self._require_nothing_older_below(root)

    def _require_nothing_older_below(self, root: Root) -> None:
        """A list of another prefix has nothing of this root: a manifest does not say which prefix it is of."""
        some = next(self._store.batches(root), None)
        if some is None or not some.num_rows:
            return
        oldest: datetime = min(some.column("last_modified").to_pylist())
        if oldest < self.taken_at - _SURELY_LISTED:
            raise UsageError(
                f"{self.uri} holds nothing below {root.uri}, where there are objects that are older than it",
                hint="take the inventory of the whole bucket, or of a prefix that holds the store",
            )


def _require_recent(manifest: InventoryManifest, now: datetime) -> None:
    age = now - manifest.taken_at
    if age > OLDEST:
        raise RefusedError(
            f"{manifest.uri} is {format_duration(age)} old, and an inventory is good for {format_duration(OLDEST)};"
            " nothing was done",
            hint="take a newer one, or leave out --inventory",
        )
    if age < -CLOCKS_MAY_DIFFER:
        raise RefusedError(
            f"{manifest.uri} is of {format_time(manifest.taken_at)}, and the store's clock says {format_time(now)};"
            " nothing was done",
            hint="check the clock of the store; leave out --inventory",
        )
