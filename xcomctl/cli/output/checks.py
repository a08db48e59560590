"""The checks of `doctor` as people read them: one line each, what to do below it, and how many there are of each kind."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from xcomctl.cli.output.columns import Column
from xcomctl.cli.output.text import visible
from xcomctl.doctor.interface import CheckResult, Status

STATUSES: tuple[Status, ...] = ("ok", "warn", "fail", "skipped")

CHECK_COLUMNS: tuple[Column[CheckResult], ...] = (
    Column("status", lambda one: one.status, "STATUS"),
    Column("check", lambda one: one.check, "CHECK"),
    Column("subject", lambda one: one.subject, "SUBJECT"),
    Column("why", lambda one: one.why, "WHY"),
    Column("hint", lambda one: one.hint, "HINT"),
    Column("facts", lambda one: dict(one.facts)),
)
"""What is told of each check."""

_STYLES: dict[Status, str] = {"ok": "green", "warn": "yellow", "fail": "bold red", "skipped": "dim"}

_STATUS_WIDTH = 6
_NAME_WIDTH = 23
_LEAST_WIDTH = 30


def print_checks(console: Console, results: Iterable[CheckResult]) -> None:
    """Print each check as soon as it is done, those that were skipped together at the end, and the counts."""
    counts: Counter[Status] = Counter()
    skipped: dict[str, list[str]] = {}
    for one in results:
        counts[one.status] += 1
        if one.status == "skipped":
            skipped.setdefault(one.why, []).append(one.check)
            continue
        _print(console, one.status, one.check, one.why)
        if one.hint is not None:
            _print(console, None, "", f"hint: {one.hint}")
    for why, names in skipped.items():
        one_of_them = len(names) == 1
        name = names[0] if one_of_them else f"{len(names)} checks"
        _print(console, "skipped", name, why if one_of_them else f"{why}: {', '.join(names)}")
    told = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    console.print(f"{counts.total()} checks: {told}", soft_wrap=True)


def _print(console: Console, status: Status | None, name: str, text: str) -> None:
    word = "skip" if status == "skipped" else status or ""
    head = f"{word:<{_STATUS_WIDTH}}{name:<{_NAME_WIDTH}} "
    for number, line in enumerate(_lines(console, visible(text), len(head))):
        shown = Text((head if number == 0 else " " * len(head)) + line)
        if number == 0 and status is not None:
            shown.stylize(_STYLES[status], 0, len(word))
        console.print(shown, soft_wrap=True)


def _lines(console: Console, text: str, indent: int) -> list[str]:
    """The text as lines of a terminal; elsewhere it stays on one, to be searched."""
    if not console.is_terminal:
        return [text]
    width = max(_LEAST_WIDTH, console.width - indent)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
