"""Reading the whole table, on PostgreSQL with three million rows."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.comparison import OURS, Case, Wanted
from benchmarks.database import filled
from benchmarks.setting import Setting

DAGS = 100
RUNS = 2000


def cases(setting: Setting) -> Iterator[Case]:
    """One case."""
    runs = setting.scaled(RUNS, 2)
    with filled(DAGS, runs, small=True) as url:
        yield Case(
            f"scan {DAGS * runs * 15:,} rows on PostgreSQL",
            (
                setting.script(OURS, "scan_rows.py", "ours", url, env={}),
                setting.script("SQLAlchemy Core", "scan_rows.py", "core", url, env={}),
                setting.script("SQLAlchemy ORM", "scan_rows.py", "orm", url, env={}),
            ),
            (Wanted("cpu", "SQLAlchemy ORM", 15), Wanted("cpu", "SQLAlchemy Core", 2)),
        )
