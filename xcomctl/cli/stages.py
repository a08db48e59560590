"""Progress of an operation that reports stages ("objects", "rows", ...): one counter after the other on stderr."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from xcomctl.cli.stderr import Advance, StderrLog
from xcomctl.progress import Progress

_BETWEEN_MILESTONES = 10.0
"""Seconds after which a log hears of a stage that goes on."""

_REST = "rest"
"""The phase of what comes after the last report: judging, mostly."""


@contextmanager
def stages(log: StderrLog, *, totals: Mapping[str, int] | None = None) -> Iterator[Progress]:
    """Progress that shows the stage at hand; silent off a terminal and with `--quiet`.

    Of stages in `totals` it is known how many units there are: they show the time that is left, too. The time between
    two reports is that of the stage that reports last.
    """
    known = totals or {}
    done: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    reported_at = told_at = time.monotonic()
    with ExitStack() as shown:
        current: list[tuple[str, Advance]] = []

        def report(stage: str, count: int) -> None:
            nonlocal reported_at, told_at
            if not current or current[0][0] != stage:
                shown.close()
                total = known.get(stage)
                # A stage that others interrupted goes on where it was, if it has an end.
                progress = log.progress(stage, total=total, done=done[stage] if total else 0)
                current[:] = [(stage, shown.enter_context(progress))]
            done[stage] += count
            current[0][1](count)
            now = time.monotonic()
            seconds[stage] += now - reported_at
            reported_at = now
            if now - told_at >= _BETWEEN_MILESTONES:
                told_at = now
                log.milestone("progress", stage, done[stage], known.get(stage), seconds[stage])

        try:
            yield report
        finally:
            seconds[_REST] += time.monotonic() - reported_at
            log.spent(seconds)
            for stage, count in done.items():
                log.milestone("stage", stage, count, known.get(stage), seconds[stage])
