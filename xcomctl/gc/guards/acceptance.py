"""What overrules a guard: its exact value, in the user's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from xcomctl.errors import UsageError
from xcomctl.gc.plan import Guard

_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")

_IDENTITY = re.compile(r"[0-9a-f]{8,64}")

GUARD_IDS = (
    "empty_database",
    "shrunk_database",
    "older_database",
    "cross_match",
    "unreadable_references",
    "unknown_dags",
    "unknown_runs",
    "unused_dialects",
    "orphan_share",
    "owner",
    "open_transaction",
    "replica",
    "clock_skew",
)
"""Every guard, in the order in which they are judged and told."""


def acceptances(words: Sequence[str]) -> dict[str, float | str]:
    """Read the `id=value` words of the user. Raises UsageError for what is none, or contradicts another one."""
    accepted: dict[str, float | str] = {}
    for word in words:
        name, _, text = word.partition("=")
        pattern = _IDENTITY if name == "owner" else _NUMBER
        if name not in GUARD_IDS or not pattern.fullmatch(text):
            raise UsageError(
                f"--accept {word!r} is not GUARD=VALUE",
                hint=f"guards are {', '.join(GUARD_IDS)}; the refusal says the value",
            )
        value = text if name == "owner" else float(text)
        if accepted.setdefault(name, value) != value:
            raise UsageError(
                f"--accept names two values for {name}", hint="give the one that the refusal says"
            )
    return accepted


def overruled(guards: Iterable[Guard], words: Sequence[str]) -> tuple[Guard, ...]:
    """The guards, those that refuse with just the value that `words` accept as ok. Raises UsageError as `acceptances`."""
    accepted = acceptances(words)
    return tuple(
        replace(guard, ok=True) if not guard.ok and accepted.get(guard.id) == guard.value else guard
        for guard in guards
    )
