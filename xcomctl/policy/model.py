"""A policy as a value: rules of what may go, and pins of what must stay."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from xcomctl.globs import overlap, specificity

DEFAULT_KEEP_LAST = 1
"""Newest finished runs that are kept per DAG unless told otherwise, because tasks pull from prior runs."""

LEAST_MIN_AGE = timedelta(hours=1)
"""A shorter grace period of unreferenced objects needs somebody who knows that no task is running right now."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What may go of the rows that it is for: those whose DAG, task and key match its globs (None matches all).

    With neither `older_than` nor `keep_last` nothing goes. The others keep, each by itself.
    """

    dag: str | None = None
    task: str | None = None
    key: str | None = None
    older_than: timedelta | None = None
    """Rows go that are older, from the later of two times: when the row was written, and when its run ended."""
    keep_last: int | None = None
    """Newest finished runs that are kept of each DAG, among those that have XComs."""
    keep_last_per_key: int | None = None
    """Newest finished runs that are kept of each DAG, task, map index and key: what `include_prior_dates` pulls."""
    keep_failed: timedelta | Literal[True] | None = None
    """How long rows of failed runs are kept; True is for ever."""
    min_size: int | None = None
    """Rows are kept that take less: bytes of the value in the row, and of the objects that it references."""
    place: str | None = None
    """Where it is written, `policy.toml:7`; None on the command line."""

    @property
    def lets_go(self) -> bool:
        """Whether any row can expire by it."""
        return self.older_than is not None or self.keep_last is not None

    @property
    def runs_kept(self) -> int:
        """Newest finished runs that are kept per DAG."""
        return DEFAULT_KEEP_LAST if self.keep_last is None else self.keep_last

    @property
    def globs(self) -> dict[str, str | None]:
        """By columns of a row: what it is for."""
        return {"dag_id": self.dag, "task_id": self.task, "key": self.key}

    @property
    def is_for_all(self) -> bool:
        """Whether it has no glob at all."""
        return all(glob is None for glob in self.globs.values())

    @property
    def specificity(self) -> tuple[tuple[bool, int], ...]:
        """Orders rules, the higher the more specific: by DAG, then by task, then by key."""
        return tuple(specificity(glob) for glob in self.globs.values())

    def ties_with(self, other: Rule) -> bool:
        """Whether some row may match both rules, and neither is the more specific one."""
        return self.specificity == other.specificity and all(
            overlap(glob, other.globs[column]) for column, glob in self.globs.items()
        )


@dataclass(frozen=True, slots=True)
class Pin:
    """Keep what matches all globs (None matches all), whatever the rules say, before `until` (None: for ever)."""

    reason: str
    dag: str | None = None
    run: str | None = None
    task: str | None = None
    key: str | None = None
    until: datetime | None = None
    place: str | None = None

    @property
    def globs(self) -> dict[str, str | None]:
        """By columns of a row: what it keeps."""
        return {"dag_id": self.dag, "run_id": self.run, "task_id": self.task, "key": self.key}

    def holds_at(self, now: datetime) -> bool:
        """Whether it is in force."""
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Policy:
    """What may go. Without a word of the user that something may, nothing expires.

    `older_than` and `keep_last` are the rule of the command line, for whatever no rule of `rules` is for.
    """

    older_than: timedelta | None = None
    keep_last: int | None = None
    dag: str | None = None
    """Glob: only XComs of these DAGs are judged."""
    rules: tuple[Rule, ...] = ()
    pins: tuple[Pin, ...] = ()

    @property
    def expires_anything(self) -> bool:
        """Whether the policy can let a row go at all."""
        return any(rule.lets_go for rule in self.ordered_rules)

    @property
    def runs_kept(self) -> int:
        """Newest finished runs that the rule of the command line keeps per DAG."""
        return self.ordered_rules[-1].runs_kept

    @property
    def ordered_rules(self) -> tuple[Rule, ...]:
        """All rules, the most specific first: for each row the first one that matches counts. The last matches all.

        The command line's rule is the last one where `rules` has none for all rows.
        """
        by_specificity = sorted(self.rules, key=lambda rule: rule.specificity, reverse=True)
        if any(rule.is_for_all for rule in by_specificity):
            return tuple(by_specificity)
        return (*by_specificity, Rule(older_than=self.older_than, keep_last=self.keep_last))
