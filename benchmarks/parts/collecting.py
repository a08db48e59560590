"""The whole of `gc --dry-run` against a script: 600,000 rows and as many objects, 60 ms for each request to the store."""

from __future__ import annotations

import json
from collections.abc import Iterator

from benchmarks.bucket import NAME, PREFIX, TASKS, even
from benchmarks.canned import serving
from benchmarks.comparison import OURS, Answer, Case, Contender, Wanted
from benchmarks.database import filled
from benchmarks.parts.listing import LATENCY
from benchmarks.setting import Setting

_OBJECTS = 600_000
_DAGS = 100
_SCRIPT = "boto3, SQLAlchemy ORM, dicts"


def cases(setting: Setting) -> Iterator[Case]:
    """One case."""
    bucket = setting.bucket("even", even(setting.scaled(_OBJECTS, 1000), _DAGS))
    with serving(bucket.folder, LATENCY) as server, filled(_DAGS, bucket.count // _DAGS // TASKS) as url:
        env = server.environment()
        command = setting.tool(
            *("gc", "--dry-run", "--output", "json", "--quiet"),
            *("--db", url, "--store", f"s3://{NAME}/{PREFIX}"),
        )
        yield Case(
            f"gc --dry-run on {bucket.count:,} rows and as many objects, 60 ms a request",
            (
                Contender(OURS, command, setting.environment(env), _totals),
                setting.script(_SCRIPT, "collect_naive.py", url, NAME, PREFIX, env=env),
            ),
            (Wanted("wall", _SCRIPT, 20), Wanted("cpu", _SCRIPT, 15), Wanted("peak", _SCRIPT, 2)),
        )


def _totals(output: bytes) -> Answer:
    totals = json.loads(output)["totals"]
    return {"orphaned": totals["objects_orphaned"], "dangling": totals["rows_dangling"]}
