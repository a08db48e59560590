"""What applying a plan did so far; it stays true when applying is cut short by an error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from xcomctl.gc.plan import Plan
from xcomctl.s3.interface import StoreErrorInfo
from xcomctl.s3.uploads import AbortOutcome
from xcomctl.state.trash.intents import DiscardOutcome
from xcomctl.state.trash.recovery import Recovery

ROW_RESULTS = ("deleted", "changed", "gone", "run_active")
"""Of rows: deleted, or why not."""

OBJECT_RESULTS = (
    "deleted",
    "changed",
    "gone",
    "referenced",
    "failed",
    "trashed",
    "kept",
    "restored",
    "occupied",
    "purged",
    "foreign",
)
"""Of objects. deleted: left their place, and those of them that can come back are trashed, too. kept: the store cannot
delete them safely. restored: back in their place. occupied: not brought back, since another object is there. foreign: no
dialect claims them, so that they stay, though rows went that named them."""

UPLOAD_RESULTS = ("aborted", "gone", "denied", "failed")
"""Of unfinished uploads. denied: they stay, since the right is missing, which is no failure."""

_FAILURES_KEPT = 20


@dataclass(slots=True)
class Outcome:
    """Counts of rows, objects and uploads by what became of them; see `ROW_RESULTS`, `OBJECT_RESULTS`, `UPLOAD_RESULTS`."""

    rows: Counter[str] = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)
    uploads: Counter[str] = field(default_factory=Counter)
    bytes_aborted: int = 0
    """Of the parts of the uploads that were aborted, as far as they are known."""
    denials: list[StoreErrorInfo] = field(default_factory=list)
    """Why uploads stay: one for all of a kind."""
    bytes_reclaimed: int = 0
    """Of the objects that left their place; those in the trash are paid for until they are purged."""
    failures: list[str] = field(default_factory=list)
    """The first few failed objects, with the store's word for the cause."""

    @property
    def failed(self) -> int:
        """Actions that were meant to happen and did not; a skipped one is none."""
        return self.objects["failed"] + self.uploads["failed"]

    def add_discards(self, outcomes: Sequence[DiscardOutcome]) -> None:
        """Count objects that were to go."""
        for outcome in outcomes:
            gone = outcome.result in ("trashed", "deleted")
            self.objects["deleted" if gone else outcome.result] += 1
            if outcome.result == "trashed":
                self.objects["trashed"] += 1
            if gone:
                self.bytes_reclaimed += outcome.info.size
            if outcome.result == "failed":
                self._note(outcome.info.address.uri, outcome.cause)

    def add_recoveries(self, recoveries: Sequence[Recovery]) -> None:
        """Count objects that were to come out of the trash, back or for good."""
        for recovery in recoveries:
            # What is in its place already is as wanted.
            result = "restored" if recovery.result == "there" else recovery.result
            self.objects[result] += 1
            if recovery.result == "failed":
                self._note(recovery.discarded.original.uri, recovery.cause)

    def take_back(self, recoveries: Sequence[Recovery]) -> None:
        """Count objects that left their place a moment ago and were brought back."""
        self.add_recoveries(recoveries)
        for recovery in recoveries:
            if recovery.result in ("restored", "there"):
                self.objects["deleted"] -= 1
                self.objects["trashed"] -= 1
                self.bytes_reclaimed -= recovery.discarded.size

    def add_aborts(self, outcomes: Sequence[AbortOutcome]) -> None:
        """Count uploads that were to be aborted."""
        for outcome in outcomes:
            self.uploads[outcome.result] += 1
            if outcome.result == "aborted":
                self.bytes_aborted += outcome.upload.size or 0
            if outcome.result == "failed":
                self._note(outcome.upload.address.uri, outcome.cause)
            if outcome.result == "denied" and not self.denials:
                self.denials.append(StoreErrorInfo(outcome.cause or "denied", outcome.hint))

    def summary(self) -> dict[str, int]:
        """The counts that the journal keeps."""
        return {
            "rows": self.rows["deleted"],
            "objects": self.objects["deleted"],
            "bytes": self.bytes_reclaimed,
            "restored": self.objects["restored"],
            "purged": self.objects["purged"],
            "foreign": self.objects["foreign"],
            "uploads": self.uploads["aborted"],
            "failed": self.failed,
        }

    def document(self, plan: Plan) -> dict[str, Any]:
        """The outcome as JSON types."""
        return {
            "schema": "xcomctl.outcome/1",
            "plan_id": plan.plan_id,
            "rows": {name: self.rows[name] for name in ROW_RESULTS},
            "objects": {name: self.objects[name] for name in OBJECT_RESULTS},
            "uploads": {name: self.uploads[name] for name in UPLOAD_RESULTS},
            "bytes_reclaimed": self.bytes_reclaimed,
            "bytes_aborted": self.bytes_aborted,
            "failures": self.failures,
        }

    def _note(self, uri: str, cause: str | None) -> None:
        if len(self.failures) < _FAILURES_KEPT:
            self.failures.append(f"{uri}: {cause}")
