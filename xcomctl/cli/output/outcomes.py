"""The trash and what came out of it, as people read it and as programs do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from xcomctl.cli.output.columns import Column, Fit
from xcomctl.cli.output.text import print_line
from xcomctl.state.trash.entries import TrashEntry
from xcomctl.units import format_size, quantity

if TYPE_CHECKING:
    from rich.console import Console

_MEANINGS = {
    "inserted": ("row", "put back"),
    "identical": ("row", "there already"),
    "conflict": ("row", "in whose place is another value"),
    "no_task_instance": ("row", "whose task instance is gone"),
    "misfit": ("row", "that the database does not take"),
    "no_object": ("row", "whose object is gone"),
    "restored": ("object", "put back"),
    "there": ("object", "there already"),
    "occupied": ("object", "in whose place is another one"),
    "gone": ("object", "purged from the trash before"),
    "deleted": ("object", "deleted for good before"),
    "purged": ("object", "deleted for good"),
    "failed": ("object", "that failed"),
}

_EXPECTED = {"inserted": ("row", "to put back"), "restored": ("object", "to put back")}


def trash_columns(keep: timedelta) -> list[Column[TrashEntry]]:
    """The columns of what is in the trash. `keep` is how long it stays there."""
    return [
        Column("uri", lambda entry: entry.original.uri, "URI", fit=Fit.middle),
        Column(
            "size",
            lambda entry: entry.size,
            "SIZE",
            human=lambda entry: format_size(entry.size),
            number=True,
            fit=Fit.whole,
        ),
        Column("discarded_at", lambda entry: entry.discarded_at, "DISCARDED", fit=Fit.whole),
        Column("operation", lambda entry: entry.operation_id, "OPERATION", fit=Fit.whole),
        Column("purged_after", lambda entry: entry.discarded_at + keep, "PURGED AFTER", fit=Fit.whole),
    ]


def print_results(
    console: Console,
    counts: Sequence[Mapping[str, int]],
    examples: Mapping[str, Sequence[str]],
    *,
    expected: bool = False,
) -> None:
    """A line for each kind of result that occurred, with a few examples of what is not as it was wanted.

    `expected` tells that nothing was done yet.
    """
    meanings = _MEANINGS | _EXPECTED if expected else _MEANINGS
    for results in counts:
        for result, number in results.items():
            if number:
                noun, what = meanings[result]
                print_line(console, f"{quantity(number, noun)} {what}")
                for example in examples.get(result, ()):
                    print_line(console, f"  {example}")
