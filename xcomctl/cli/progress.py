"""What is said on stderr while a verb works: notes, and progress on a terminal. Data never goes here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from xcomctl.render.text import visible

Advance = Callable[[int], None]
"""Report that this many more units are done."""


class Talk:
    """The voice of one run of a verb."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.verbose = verbose

    def note(self, text: str, *, hint: str | None = None) -> None:
        """Say something that the user should know; silent with `--quiet`."""
        if not self.quiet:
            print(f"note: {visible(text)}", file=sys.stderr)  # noqa: T201 - cli/ is where printing belongs
            if hint:
                print(f"hint: {visible(hint)}", file=sys.stderr)  # noqa: T201

    def detail(self, text: str) -> None:
        """Say something that is of interest with `--verbose` only."""
        if self.verbose and not self.quiet:
            print(visible(text), file=sys.stderr)  # noqa: T201

    @contextmanager
    def progress(self, what: str, *, total: int | None = None, done: int = 0) -> Iterator[Advance]:
        """Show how far a long step is. `total` in units, None if unknown; `done` of them were before.

        Nothing is shown off a terminal.
        """
        if self.quiet or not sys.stderr.isatty():
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
