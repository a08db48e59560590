"""Ask the rows again: which objects does some row keep now?"""

from __future__ import annotations

from collections.abc import Sequence

from xcomctl.dialects.interface import Dialects
from xcomctl.inventory import Inventory
from xcomctl.inventory.build import Report, silent
from xcomctl.metadata.interface import Source
from xcomctl.models import ObjectAddress, Root
from xcomctl.stores.interface import ObjectInfo

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
        inventory.add_described(objects)
        return outside | referenced_now(inventory, source, ignore_archives=ignore_archives)


def referenced_now(inventory: Inventory, source: Source, *, ignore_archives: bool) -> set[ObjectAddress]:
    """Read every row, and tell which objects of the inventory some row keeps. Raises SourceError."""
    with source.snapshot() as snapshot:
        inventory.add_rows(snapshot.batches(include_archives=not ignore_archives))
    found = inventory.run("SELECT DISTINCT bucket, key FROM objects JOIN links USING (object_id)")
    return {ObjectAddress(bucket, key) for bucket, key in found}
