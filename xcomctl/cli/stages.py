"""Progress of an operation that reports stages ("objects", "rows", ...): one counter after the other on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from xcomctl.cli.progress import Advance, Talk
from xcomctl.inventory.build import Report


@contextmanager
def stages(talk: Talk) -> Iterator[Report]:
    """A Report that shows the stage at hand; silent off a terminal and with `--quiet`."""
    with ExitStack() as shown:
        current: list[tuple[str, Advance]] = []

        def report(stage: str, count: int) -> None:
            if not current or current[0][0] != stage:
                shown.close()
                current[:] = [(stage, shown.enter_context(talk.progress(stage)))]
            current[0][1](count)

        yield report
