"""Check that rows and objects fit: orphaned, dangling, unresolved and foreign. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from xcomctl.airflow.interface import Source
from xcomctl.dialects.interface import Dialects
from xcomctl.inventory import Inventory
from xcomctl.inventory.candidates import confirm_candidates
from xcomctl.inventory.classify import Totals, classify, totals
from xcomctl.inventory.dangling import confirm_dangling
from xcomctl.inventory.resources import Resources
from xcomctl.inventory.scan import DEFAULT_MIN_AGE, fill
from xcomctl.inventory.shard_scan import Share
from xcomctl.inventory.shards import Shard
from xcomctl.inventory.sizes import bytes_by_state
from xcomctl.inventory.workspace import sql_text
from xcomctl.models import Root
from xcomctl.policy import Policy
from xcomctl.progress import Report, silent
from xcomctl.s3.interface import Store
from xcomctl.s3.stored_listing import StoredListing
from xcomctl.units import format_time

KINDS = ("orphaned", "dangling", "unresolved", "foreign")
"""Kinds of findings. A dangling row is one whose object is gone (git uses the word for the opposite)."""

ALARMS = ("orphaned", "dangling", "unresolved")
"""Kinds that make `fsck` exit with findings; foreign objects are somebody else's and no fault."""


@dataclass(frozen=True, slots=True)
class KindSummary:
    """How many findings of one kind, and the bytes of their objects (0 for rows)."""

    kind: str
    count: int
    bytes: int


class Check:
    """The result of one check; its findings are streamed."""

    def __init__(self, inventory: Inventory, checked_at: datetime) -> None:
        self._inventory = inventory
        self.checked_at = checked_at

    def totals(self) -> Totals:
        """Counts by state."""
        return totals(self._inventory)

    def bytes_by_state(self) -> dict[str, int]:
        """`bytes_<state>` of the objects; it takes a while where there are many."""
        return bytes_by_state(self._inventory)

    def summary(self) -> list[KindSummary]:
        """One line per kind, all kinds, in their order."""
        found = {
            kind: KindSummary(kind, number, size)
            for kind, number, size in self._inventory.run(
                "SELECT finding, count(*), coalesce(sum(size), 0) FROM findings GROUP BY finding"
            )
        }
        return [found.get(kind, KindSummary(kind, 0, 0)) for kind in KINDS]

    def findings(self, kind: str | None = None, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """Findings as documents, ordered by kind and place; of one kind, at most `limit`, if asked."""
        cursor = self._inventory.sql.cursor().execute(
            "SELECT * EXCLUDE (kind_no) FROM findings WHERE $kind IS NULL OR finding = $kind"
            " ORDER BY kind_no, uri, dag_id, run_id, task_id, map_index, key LIMIT $limit",
            {"kind": kind, "limit": 2**62 if limit is None else limit},
        )
        names = [column[0] for column in cursor.description or ()]
        while batch := cursor.fetchmany(1000):
            for values in batch:
                record = dict(zip(names, values, strict=True))
                at: datetime | None = record["last_modified"]
                record["last_modified"] = None if at is None else format_time(at.replace(tzinfo=timezone.utc))
                yield record


@contextmanager
def check(
    source: Source,
    store: Store | None,
    dialects: Dialects,
    roots: tuple[Root, ...],
    *,
    now: datetime,
    min_age: timedelta = DEFAULT_MIN_AGE,
    ignore_archives: bool = False,
    listing: StoredListing | None = None,
    shard: Shard | None = None,
    resources: Resources | None = None,
    report: Report = silent,
) -> Iterator[Check]:
    """Join rows and objects and find what does not fit. Raises SourceError, StoreError if either side is not whole.

    With `listing` the store is asked only for what it makes look orphaned or dangling, and not listed. With `shard`
    only that share is checked: the shares together find what one check finds.
    """
    share = None if shard is None else Share(shard, Policy(), dialects, with_trash=False, resources=resources)
    with Inventory(dialects, roots, resources=resources, report=report) as inventory:
        mark, _ = fill(
            inventory,
            source,
            store,
            min_age=min_age,
            ignore_archives=ignore_archives,
            listing=listing,
            share=share,
            report=report,
        )
        classify(inventory, Policy(), now=mark.database_at, cutoff=mark.cutoff)
        if listing is not None and store is not None:
            confirm_candidates(inventory, store, orphans=True, cutoff=mark.cutoff, report=report)
        if share is not None:
            share.settle(inventory)
        confirm_dangling(inventory, store if inventory.roots else None, dialects, report)
        inventory.run(sql_text("findings.sql"))
        yield Check(inventory, now)
