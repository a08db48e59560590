"""What is said on stderr while a verb works: notes, and progress on a terminal. Data never goes here."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from xcomctl.cli import speech

Advance = Callable[[int], None]
"""Report that this many more units are done."""


class Talk:
    """The voice of one run of a verb, and how long its phases took."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose
        self.phases: defaultdict[str, float] = defaultdict(float)
        """Seconds by phase, of those that came to an end."""

    def note(self, text: str, *, hint: str | None = None) -> None:
        """Say something that the user should know; silent with `--quiet`."""
        if not self.quiet:
            speech.say("info", "note", text, hint=hint)

    def detail(self, text: str) -> None:
        """Say something that is of interest with `--verbose` only."""
        if self.verbose and not self.quiet:
            speech.say("debug", "detail", text)

    def spent(self, seconds: Mapping[str, float]) -> None:
        """Add what phases took."""
        for phase, more in seconds.items():
            self.phases[phase] += more

    def milestone(self, event: str, stage: str, done: int, total: int | None, seconds: float) -> None:
        """Tell a log how far a stage is. People see it by `progress`."""
        if not self.quiet and speech.in_json():
            speech.say("info", event, None, stage=stage, done=done, total=total, seconds=round(seconds, 1))

    @contextmanager
    def progress(self, what: str, *, total: int | None = None, done: int = 0) -> Iterator[Advance]:
        """Show how far a long step is. `total` in units, None if unknown; `done` of them were before.

        Nothing is shown off a terminal, and where logs are JSON.
        """
        if self.quiet or not sys.stderr.isatty() or speech.in_json():
            yield lambda _units: None
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        counted = "{task.completed:,}" if total is None else "{task.completed:,} of {task.total:,}"
        columns = [
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn(counted),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
        ]
        if total is not None:
            columns += [TextColumn("left"), TimeRemainingColumn()]
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total, completed=done, rate="")

            def advance(units: int) -> None:
                bar.advance(task, units)
                if speed := bar.tasks[0].speed:
                    bar.update(task, rate=f"{speed:,.0f}/s")

            yield advance
