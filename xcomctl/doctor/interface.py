"""What a check of `doctor` is, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from xcomctl.doctor.context import CheckContext

Status = Literal["ok", "warn", "fail", "skipped"]
"""fail: something does not work, or will lose data. warn: it works, and should be looked at."""

Part = Literal["database", "store"]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What came of one check."""

    check: str
    """Which check: `store.lifecycle`."""
    status: Status
    why: str
    """In one line."""
    hint: str | None = None
    """What to type, or to do."""
    subject: str | None = None
    """What was looked at where there are several: a root."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Numbers behind it, as JSON types; never a value of an XCom or a secret."""

    def document(self) -> dict[str, Any]:
        """It as JSON types."""
        return {
            "check": self.check,
            "status": self.status,
            "subject": self.subject,
            "why": self.why,
            "hint": self.hint,
            "facts": dict(self.facts),
        }


@dataclass(frozen=True, slots=True)
class Check:
    """One check. It is skipped where a part that it `needs` could not be opened.

    A check that `opens` a part decides that: by one result at least that is neither `fail` nor `skipped`. An error of
    our tree that `run` raises is a `fail`.
    """

    name: str
    run: Callable[[CheckContext], Iterator[CheckResult]]
    needs: frozenset[Part] = frozenset()
    opens: Part | None = None
    slow: bool = False
    """Whether it reads or lists more the more there is."""
