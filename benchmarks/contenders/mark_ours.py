# ruff: noqa: T201
"""The tool's inventory, `FOLDER KEEP_LAST DAYS NOW MEMORY`, filled from objects.parquet and rows.parquet, and judged."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timedelta
from itertools import pairwise

import pyarrow.parquet as pq

from benchmarks.bucket import NAME, PREFIX
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.inventory import Inventory
from xcomctl.inventory.classify import classify, count, totals
from xcomctl.inventory.dangling import confirm_dangling
from xcomctl.inventory.workspace import Resources, sql_text
from xcomctl.models import Root
from xcomctl.policy import Policy

_AT_ONCE = 50_000


def main(folder: str, keep_last: str, days: str, now: str, memory: str) -> None:
    """Mark, and print what was found."""
    root = Root.parse(f"s3://{NAME}/{PREFIX}")
    policy = Policy(older_than=timedelta(days=float(days)), keep_last=int(keep_last))
    moment = datetime.fromisoformat(now)
    dialects = DialectRegistry()
    with Inventory(dialects, (root,), resources=Resources(memory=int(memory))) as inventory:
        laps = [time.perf_counter()]
        inventory.add_objects(root, _parquet(f"{folder}/objects.parquet").iter_batches(_AT_ONCE))
        laps.append(time.perf_counter())
        inventory.add_rows(_parquet(f"{folder}/rows.parquet").iter_batches(_AT_ONCE))
        laps.append(time.perf_counter())
        classify(inventory, policy, now=moment, cutoff=moment - timedelta(days=1))
        laps.append(time.perf_counter())
        confirm_dangling(inventory, None, dialects)
        found = totals(inventory)
        query = sql_text("suspects.sql")
        # The tool would ask the store for each of them.
        dangling = count(inventory, f"SELECT count(DISTINCT row_id) FROM ({query})")  # noqa: S608 - a query of the tool
        laps.append(time.perf_counter())
        ((size, blocks),) = inventory.run("SELECT block_size, used_blocks FROM pragma_database_size()")
    seconds = [round(end - begin, 2) for begin, end in pairwise(laps)]
    print(
        json.dumps(
            {
                "orphaned": found.objects_orphaned,
                "dangling": dangling,
                "expired": found.rows_expired,
                "MB on disk": round(size * blocks / 1e6),
                "seconds of objects, rows, verdicts, dangling": seconds,
            }
        )
    )


def _parquet(path: str) -> pq.ParquetFile:
    """A file of which only what is asked for is in memory: read ahead, all of it would stay there to the end."""
    return pq.ParquetFile(path, pre_buffer=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
