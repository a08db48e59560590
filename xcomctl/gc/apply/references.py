"""Ask the rows again: which objects does some row keep now?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from xcomctl.airflow.interface import Source
from xcomctl.dialects.interface import Dialects
from xcomctl.inventory import Inventory
from xcomctl.inventory.workspace import Resources
from xcomctl.models import ObjectAddress, Root
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import ObjectInfo
from xcomctl.state.operation import RowsSeen

if TYPE_CHECKING:
    import pyarrow as pa

OBJECTS_PER_CHECK = 50_000
"""Objects that one reading of all rows clears for deletion ..."""

CHECK_HOLDS = 120.0
"""... for so many seconds: then the rows are read again."""


@dataclass(frozen=True, slots=True)
class RowReading:
    """How all rows are read again before something is deleted. `resources` bound each inventory that this takes."""

    dialects: Dialects
    ignore_archives: bool = False
    resources: Resources = field(default_factory=Resources)
    report: Progress = no_progress


def still_referenced(
    objects: Sequence[ObjectInfo], source: Source, roots: Sequence[Root], reading: RowReading
) -> set[ObjectAddress]:
    """Which of the objects some row keeps now: by any reading, or by mentioning what is unique of the key.

    An object outside of the roots cannot be asked for, and counts as kept. Raises SourceError.
    """
    with Inventory(
        reading.dialects,
        roots,
        resources=reading.resources,
        search_substring_keys=True,
        report=reading.report,
    ) as inventory:
        outside = {one.address for one in objects if not inventory.contains(one.address)}
        inventory.add_described(objects)
        link_rows(inventory, source, ignore_archives=reading.ignore_archives)
        found = inventory.run("SELECT DISTINCT bucket, key FROM listed_objects JOIN links USING (object_id)")
    return outside | {ObjectAddress(bucket, key) for bucket, key in found}


def link_rows(inventory: Inventory, source: Source, *, ignore_archives: bool) -> RowsSeen:
    """Read every row, link the objects of the inventory to those that keep them, and tell how much there is.

    The inventory holds nothing of any other row. Raises SourceError.
    """
    seen = _Seen()
    with source.snapshot() as snapshot:
        inventory.add_links(seen.passing(snapshot.batches(include_archives=not ignore_archives)))
        inventory.add_mentions(snapshot.mentions(inventory.roots))
        return RowsSeen(seen.rows, snapshot.newest_run(), seen.newest_at)


class _Seen:
    """Counts the rows of the live tables as they pass."""

    def __init__(self) -> None:
        self.rows = 0
        self.newest_at: datetime | None = None

    def passing(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import pyarrow as pa
        import pyarrow.compute as pc

        for batch in batches:
            live = batch.filter(pc.invert(batch.column("archived")))
            self.rows += live.num_rows
            # The machine may not have the zones at hand that a time with one asks for.
            newest = pc.max(live.column("written_at").cast(pa.timestamp("us"))).as_py()
            if newest is not None:
                at = newest.replace(tzinfo=timezone.utc)
                self.newest_at = at if self.newest_at is None else max(self.newest_at, at)
            yield batch
