"""Marking: both sides in hand as Parquet, joined and judged, retention with the newest runs kept included."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.comparison import OURS, Case, Wanted
from benchmarks.parquet import NOW, write_both
from benchmarks.setting import Setting

_MILLIONS = 10_000_000
_MEMORY = 400 << 20
_PEAK = 750e6
_POLICY = (5, 300)
"""The newest runs that stay, and days."""


def cases(setting: Setting) -> Iterator[Case]:
    """One case."""
    count = setting.scaled(_MILLIONS, 20_000)
    folder = write_both(setting.folder, count, dags=max(count // 10_000, 5))
    sets = "Python sets of str"
    yield Case(
        f"mark {count:,} objects and as many references",
        (
            setting.script(OURS, "mark_ours.py", folder, *_POLICY, NOW, _MEMORY, env={}),
            setting.script(sets, "mark_sets.py", folder, *_POLICY, NOW, env={}),
        ),
        (Wanted("wall", sets, 2), Wanted("peak", sets, 2.5), Wanted("peak", most=_PEAK)),
        rounds=1 if count >= _MILLIONS else 3,
    )
