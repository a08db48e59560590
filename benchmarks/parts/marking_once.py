"""A hundred million objects and as many references, with 1 GiB: half an hour and twenty gigabytes of disk, so once."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.comparison import OURS, Case, Wanted
from benchmarks.parquet import NOW, write_both
from benchmarks.setting import Setting

_OBJECTS = 100_000_000
_MEMORY = 1 << 30


def cases(setting: Setting) -> Iterator[Case]:
    """One case, ours alone: nobody else gets through it in this memory."""
    count = setting.scaled(_OBJECTS, 20_000)
    folder = write_both(setting.folder, count, dags=max(count // 100_000, 5))
    yield Case(
        f"mark {count:,} objects and as many references in 1 GiB",
        (setting.script(OURS, "mark_ours.py", folder, 5, 300, NOW, _MEMORY, env={}),),
        (Wanted("peak", most=1.3 * _MEMORY),),
        rounds=1,
    )
