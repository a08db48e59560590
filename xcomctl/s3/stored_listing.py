"""Listings that were taken before, in the place of one that is made now: which objects there were, at some time.

Objects that were written later may be missing in one, and some that it names may be gone or written again. So nothing
that follows from it alone is done: the grace period counts from its time, and what it makes a candidate is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from xcomctl.models import RESERVED_FOLDER, Root
from xcomctl.s3.interface import Store

if TYPE_CHECKING:
    import pyarrow as pa

_RESERVED = r"(?s)^(?P<folder>(?:.*?/)?" + RESERVED_FOLDER.replace(".", r"\.") + ")"
"""The outermost folder of the tool in which a key lies."""


class StoredListing(Protocol):
    """What says which objects there were at some time."""

    @property
    def uri(self) -> str:
        """Where it lies."""

    @property
    def taken_at(self) -> datetime:
        """When it was begun, aware UTC, by the store's clock: what was written until then is in it."""

    def batches(self, root: Root) -> Iterator[pa.RecordBatch]:
        """Every object below `root` that is in it, in batches of `object_schema()`. It is whole, or it is an error."""


def objects_below(root: Root, listing: StoredListing, store: Store) -> Iterator[pa.RecordBatch]:
    """Every object below `root`: those of `listing`, but what the tool keeps for itself (trash, journal) as it is now.

    Batches are of `object_schema()`. Raises what both sides raise.
    """
    import pyarrow.compute as pc

    reserved = {RESERVED_FOLDER}
    for batch in listing.batches(root):
        below = pc.utf8_slice_codeunits(batch.column("key"), len(root.prefix))
        folders = pc.struct_field(pc.extract_regex(below, _RESERVED), "folder")
        reserved.update(pc.unique(folders.drop_null()).to_pylist())
        yield batch.filter(pc.is_null(folders))
    for folder in sorted(reserved):
        yield from store.batches(Root(root.bucket, root.prefix + folder))
