"""Progress of an operation that reports stages ("objects", "rows", ...): one counter after the other on stderr."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from xcomctl.cli.progress import Advance, Talk
from xcomctl.inventory.build import Report


@contextmanager
def stages(talk: Talk, *, totals: Mapping[str, int] | None = None) -> Iterator[Report]:
    """A Report that shows the stage at hand; silent off a terminal and with `--quiet`.

    Of stages in `totals` it is known how many units there are: they show the time that is left, too.
    """
    known = totals or {}
    done: Counter[str] = Counter()
    with ExitStack() as shown:
        current: list[tuple[str, Advance]] = []

        def report(stage: str, count: int) -> None:
            if not current or current[0][0] != stage:
                shown.close()
                total = known.get(stage)
                # A stage that others interrupted goes on where it was, if it has an end.
                progress = talk.progress(stage, total=total, done=done[stage] if total else 0)
                current[:] = [(stage, shown.enter_context(progress))]
            done[stage] += count
            current[0][1](count)

        yield report
