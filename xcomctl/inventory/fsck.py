"""Check that rows and objects fit: orphaned, dangling, unresolved and foreign. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from xcomctl.inventory import Inventory
from xcomctl.inventory.classify import Totals, bytes_by_state, totals
from xcomctl.inventory.judging import Question, Sides, judged
from xcomctl.inventory.unfinished_uploads import FoundUploads, upload_totals
from xcomctl.inventory.workspace import sql_text
from xcomctl.units import format_time

KINDS = ("orphaned", "dangling", "unresolved", "foreign", "unfinished")
"""Kinds of findings. A dangling row is one whose object is gone (git uses the word for the opposite).

unfinished: a multipart upload that was begun, and neither completed nor aborted.
"""

ALARMS = ("orphaned", "dangling", "unresolved")
"""Kinds that make `fsck` exit with findings; foreign objects are somebody else's and no fault, and uploads may go on."""


@dataclass(frozen=True, slots=True)
class KindSummary:
    """How many findings of one kind, and the bytes of their objects (0 for rows)."""

    kind: str
    count: int
    bytes: int


class FsckResult:
    """The result of one check; its findings are streamed."""

    def __init__(
        self, inventory: Inventory, checked_at: datetime, uploads: FoundUploads | None = None
    ) -> None:
        self._inventory = inventory
        self.checked_at = checked_at
        self.notes = () if uploads is None else uploads.notes
        """What could not be told, and is no fault."""
        self._counts_uploads = uploads is not None and uploads.complete

    def totals(self) -> Totals:
        """Counts by state."""
        return totals(self._inventory)

    def bytes_by_state(self) -> dict[str, int]:
        """`bytes_<state>` of the objects; it takes a while where there are many."""
        return bytes_by_state(self._inventory)

    def upload_totals(self) -> dict[str, int]:
        """Unfinished uploads by state, and their bytes; empty where the store does not tell."""
        return upload_totals(self._inventory) if self._counts_uploads else {}

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
def check(sides: Sides, question: Question, *, now: datetime) -> Iterator[FsckResult]:
    """Join rows and objects and find what does not fit. Raises UsageError, SourceError, StoreError as `judged` does."""
    with judged(sides, question) as found:
        found.inventory.run(sql_text("findings.sql"))
        yield FsckResult(found.inventory, now, found.uploads)
