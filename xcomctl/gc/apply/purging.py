"""Deleting from the trash for good: only what no row references, asked for again right before. The rest comes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from xcomctl.dialects.interface import Dialects
from xcomctl.gc.apply.outcome import Outcome
from xcomctl.gc.apply.references import CHECK_HOLDS, OBJECTS_PER_CHECK, still_referenced
from xcomctl.gc.rate_limit import MOST_AT_ONCE, RateLimit
from xcomctl.inventory.resources import Resources
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import ObjectInfo
from xcomctl.state.operation import Operation
from xcomctl.state.trash.entries import TrashEntry


def purge_unreferenced(
    entries: Iterable[TrashEntry],
    operation: Operation,
    dialects: Dialects,
    *,
    ignore_archives: bool,
    outcome: Outcome,
    pace: RateLimit,
    resources: Resources | None = None,
    report: Progress = no_progress,
) -> None:
    """Purge `entries`, which are taken as they are needed, counting in `outcome`.

    What a row references, or mentions, is restored instead. Raises SourceError, StoreError, RefusedError.
    """
    for window in _parts(entries, OBJECTS_PER_CHECK):
        waiting = window
        while waiting:
            referenced = still_referenced(
                [ObjectInfo(one.original, one.size, one.etag, one.discarded_at) for one in waiting],
                operation.source,
                dialects,
                roots=operation.roots,
                ignore_archives=ignore_archives,
                resources=resources,
                report=report,
            )
            checked_at = pace.now()
            for part in _parts([one for one in waiting if one.original in referenced], MOST_AT_ONCE):
                outcome.add_recoveries(operation.restore(part))
            waiting = [one for one in waiting if one.original not in referenced]
            while waiting and pace.now() - checked_at < CHECK_HOLDS:
                size = pace.batch_size
                chosen, waiting[:size] = waiting[:size], []
                pace.take(len(chosen))
                outcome.add_recoveries(operation.purge(chosen))
                report("objects purged", len(chosen))


def _parts(entries: Iterable[TrashEntry], size: int) -> Iterator[list[TrashEntry]]:
    remaining = iter(entries)
    while part := list(islice(remaining, size)):
        yield part
