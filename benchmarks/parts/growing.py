"""Growth: what ten times as much takes, and that the memory stays where it was set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

from benchmarks.comparison import OURS, Answer, Case, Contender, Wanted
from benchmarks.parquet import NOW, write_both
from benchmarks.setting import Setting

_SIZES = (100_000, 1_000_000, 10_000_000)
_MEMORY = 400 << 20
_LINEAR = 1.2
_TENTH = "a tenth of them"


def cases(setting: Setting) -> Iterator[Case]:
    """A case for each step."""
    counts = [setting.scaled(size, 10_000) for size in _SIZES]
    for smaller, larger in pairwise(counts):
        yield Case(
            f"mark {larger:,} objects, against {smaller:,}",
            (_marking(setting, OURS, larger), _marking(setting, _TENTH, smaller)),
            (Wanted("cpu", _TENTH, smaller / larger / _LINEAR), Wanted("peak", most=750e6)),
            rounds=1 if larger >= _SIZES[-1] else 3,
        )


def _marking(setting: Setting, name: str, count: int) -> Contender:
    folder = write_both(setting.folder, count, dags=max(count // 10_000, 5))
    marked = setting.script(name, "mark_ours.py", folder, 5, 300, NOW, _MEMORY, env={})
    return replace(marked, read=_share_of(count))


def _share_of(count: int) -> Callable[[bytes], Answer]:
    """Both find the same share: one in a hundred."""
    return lambda output: {
        name: round(found / count, 3)
        for name, found in json.loads(output.splitlines()[-1]).items()
        if name in ("orphaned", "dangling")
    }
