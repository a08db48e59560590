"""Ask the rows again: which objects does some row keep now?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from xcomctl.dialects.interface import Dialects
from xcomctl.inventory import Inventory
from xcomctl.inventory.build import Report, silent
from xcomctl.metadata.interface import Source
from xcomctl.models import ObjectAddress, Root
from xcomctl.stores.interface import ObjectInfo

if TYPE_CHECKING:
    import pyarrow as pa


OBJECTS_PER_CHECK = 10_000
"""Objects that one reading of all rows clears for deletion ..."""

CHECK_HOLDS = 120.0
"""... for so many seconds: then the rows are read again."""


def still_referenced(
    objects: Sequence[ObjectInfo],
    source: Source,
    dialects: Dialects,
    *,
    roots: Sequence[Root],
    ignore_archives: bool,
    report: Report = silent,
) -> set[ObjectAddress]:
    """Which of the objects some row keeps now: by any reading, or by mentioning what is unique of the key.

    An object outside of the roots cannot be asked for, and counts as kept. Raises SourceError.
    """
    with Inventory(dialects, roots, search_whole_keys=True, report=report) as inventory:
        outside = {one.address for one in objects if not inventory.contains(one.address)}
        add_objects(inventory, objects)
        return outside | referenced_now(inventory, source, ignore_archives=ignore_archives)


def add_objects(inventory: Inventory, objects: Sequence[ObjectInfo]) -> None:
    """Put objects into an inventory as if they had been listed."""
    for root in inventory.roots:
        inventory.add_objects(root, [_batch([one for one in objects if root.contains(one.address)])])


def referenced_now(inventory: Inventory, source: Source, *, ignore_archives: bool) -> set[ObjectAddress]:
    """Read every row, and tell which objects of the inventory some row keeps. Raises SourceError."""
    with source.snapshot() as snapshot:
        inventory.add_rows(snapshot.batches(include_archives=not ignore_archives))
    found = inventory.run("SELECT DISTINCT bucket, key FROM objects JOIN links USING (object_id)")
    return {ObjectAddress(bucket, key) for bucket, key in found}


def _batch(objects: Sequence[ObjectInfo]) -> pa.RecordBatch:
    import pyarrow as pa

    from xcomctl.stores.interface import object_schema

    return pa.RecordBatch.from_pylist(
        [
            {
                "bucket": one.address.bucket,
                "key": one.address.key,
                "size": one.size,
                "etag": one.etag,
                "last_modified": one.last_modified,
            }
            for one in objects
        ],
        schema=object_schema(),
    )
