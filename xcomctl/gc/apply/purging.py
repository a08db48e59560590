"""Deleting from the trash for good: only what no row references, asked for again right before. The rest comes back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from xcomctl.gc.apply.outcome import Outcome
from xcomctl.gc.apply.references import CHECK_HOLDS, OBJECTS_PER_CHECK, RowReading, still_referenced
from xcomctl.gc.rate_limit import MOST_AT_ONCE, RateLimit
from xcomctl.s3.interface import ObjectInfo
from xcomctl.state.operation import Operation
from xcomctl.state.trash.entries import TrashEntry


def purge_unreferenced(
    entries: Iterable[TrashEntry],
    operation: Operation,
    reading: RowReading,
    *,
    outcome: Outcome,
    rate: RateLimit,
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
                operation.roots,
                reading,
            )
            checked_at = rate.now()
            for part in _parts([one for one in waiting if one.original in referenced], MOST_AT_ONCE):
                outcome.add_recoveries(operation.restore(part))
            waiting = [one for one in waiting if one.original not in referenced]
            while waiting and rate.now() - checked_at < CHECK_HOLDS:
                size = rate.batch_size
                chosen, waiting[:size] = waiting[:size], []
                rate.take(len(chosen))
                outcome.add_recoveries(operation.purge(chosen))
                reading.report("objects purged", len(chosen))


def _parts(entries: Iterable[TrashEntry], size: int) -> Iterator[list[TrashEntry]]:
    remaining = iter(entries)
    while part := list(islice(remaining, size)):
        yield part
