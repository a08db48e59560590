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
    def progress(self, what: str, *, total: int | None = None) -> Iterator[Advance]:
        """Show how far a long step is. `total` in units, None if unknown. Nothing is shown off a terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield lambda _units: None
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.completed:,}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(what, total=total)
            yield lambda units: bar.advance(task, units)
