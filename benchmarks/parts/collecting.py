"""The whole of `gc --dry-run`: 600,000 rows and as many objects, 60 ms for each request to the store.

Once against a script, which finds orphans and dangling rows; and once where nearly all of them go, which is what a first
collection of an old database is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from benchmarks.bucket import NAME, PREFIX, TASKS, even
from benchmarks.canned import serving
from benchmarks.comparison import OURS, Answer, Case, Contender, Wanted
from benchmarks.database import filled
from benchmarks.parts.listing import LATENCY
from benchmarks.setting import Setting
from xcomctl.inventory.workspace import DEFAULT_MEMORY

_OBJECTS = 600_000
_DAGS = 100
_SCRIPT = "boto3, SQLAlchemy ORM, dicts"


def cases(setting: Setting) -> Iterator[Case]:
    """Two cases."""
    bucket = setting.bucket("even", even(setting.scaled(_OBJECTS, 1000), _DAGS))
    with serving(bucket.folder, LATENCY) as server, filled(_DAGS, bucket.count // _DAGS // TASKS) as url:
        env = server.environment()
        places = ("--db", url, "--store", f"s3://{NAME}/{PREFIX}", "--quiet")
        command = setting.tool("gc", "--dry-run", "--output", "json", *places)
        yield Case(
            f"gc --dry-run on {bucket.count:,} rows and as many objects, 60 ms a request",
            (
                Contender(OURS, command, setting.environment(env), _totals),
                setting.script(_SCRIPT, "collect_naive.py", url, NAME, PREFIX, env=env),
            ),
            (Wanted("wall", _SCRIPT, 20), Wanted("cpu", _SCRIPT, 15), Wanted("peak", _SCRIPT, 2)),
        )
        command = setting.tool("gc", "--dry-run", "--older-than", "30d", *places)
        yield Case(
            f"gc --dry-run --older-than 30d on {bucket.count:,} rows and as many objects, nearly all of which go",
            (Contender(OURS, command, setting.environment(env), _expired),),
            (Wanted("peak", most=1.3 * DEFAULT_MEMORY),),
        )


def _totals(output: bytes) -> Answer:
    totals = json.loads(output)["totals"]
    return {"orphaned": totals["objects_orphaned"], "dangling": totals["rows_dangling"]}


def _expired(output: bytes) -> Answer:
    rows, objects = re.findall(r"([0-9,]+) expired", output.decode())[:2]
    return {"rows": rows, "objects": objects}
