"""Deleting rows on a local PostgreSQL: from a plan to the end of the operation, against one bare statement.

The statement keeps nothing, and judges nothing again: what it takes is what the database itself takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.bucket import NAME, PREFIX, TASKS
from benchmarks.comparison import OURS, Case, Wanted
from benchmarks.database import filled
from benchmarks.setting import Setting
from xcomctl.demo.server import SeaweedFS

_ROWS = 600_000
_DAGS = 100
_BARE = "a bare DELETE ... WHERE"
_ROWS_A_SECOND = 20_000


def cases(setting: Setting) -> Iterator[Case]:
    """One case, with a database for each: what is gone cannot be deleted again."""
    runs = setting.scaled(_ROWS // _DAGS // TASKS)
    count = runs * _DAGS * TASKS
    with ExitStack() as opened:
        server = opened.enter_context(SeaweedFS())
        server.create_bucket(NAME)
        env = server.environment()
        urls = [opened.enter_context(filled(_DAGS, runs)) for _ in range(2)]
        store = f"s3://{NAME}/{PREFIX}"
        yield Case(
            f"delete {count:,} rows",
            (
                setting.script(OURS, "delete_rows.py", "ours", urls[0], store, env=env),
                setting.script(_BARE, "delete_rows.py", "bare", urls[1], store, env=env),
            ),
            (Wanted("wall", _BARE, 1 / 25), Wanted("cpu", most=count / _ROWS_A_SECOND)),
            rounds=1,
        )
