# ruff: noqa: T201
"""What a script of an evening does, `FOLDER KEEP_LAST DAYS NOW`: Python sets of what objects.parquet and rows.parquet name.

Counts the objects that no row names, the rows whose object is not there, and the rows that may go: older than so many
days, of runs that are not the newest of their DAG.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def main(folder: str, keep_last: str, days: str, now: str) -> None:
    """Mark, and print what was found."""
    objects: set[str] = set()
    for batch in _parquet(f"{folder}/objects.parquet").iter_batches(columns=["bucket", "key"]):
        for bucket, key in zip(batch["bucket"].to_pylist(), batch["key"].to_pylist(), strict=True):
            objects.add(f"s3://{bucket}/{key}")
    named: set[str] = set()
    runs: dict[str, set[tuple[int, str]]] = defaultdict(set)
    columns = ["dag_id", "run_id", "run_at", "run_state", "raw"]
    dangling = 0
    for batch in _parquet(f"{folder}/rows.parquet").iter_batches(columns=columns):
        for dag, run, at, state, raw in zip(*(_values(batch[name]) for name in columns), strict=True):
            if state in ("success", "failed"):
                runs[dag].add((at, run))
            value = json.loads(raw)
            if isinstance(value, str) and value.startswith("s3://"):
                named.add(value)
                dangling += value not in objects
    orphaned = len(objects - named)
    kept = {
        (dag, run) for dag, found in runs.items() for _, run in sorted(found, reverse=True)[: int(keep_last)]
    }
    cutoff = int((datetime.fromisoformat(now) - timedelta(days=float(days))).timestamp() * 1e6)
    columns = ["dag_id", "run_id", "run_state", "run_ended_at", "written_at"]
    expired = 0
    for batch in _parquet(f"{folder}/rows.parquet").iter_batches(columns=columns):
        for dag, run, state, ended, written in zip(*(_values(batch[name]) for name in columns), strict=True):
            over = state in ("success", "failed") and max(ended, written) < cutoff
            expired += over and (dag, run) not in kept
    print(json.dumps({"orphaned": orphaned, "dangling": dangling, "expired": expired}))


def _values(column: pa.Array) -> list[Any]:
    """As Python objects; times as microseconds, since datetimes would take most of the time."""
    return (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()  # type: ignore[no-any-return]


def _parquet(path: str) -> pq.ParquetFile:
    """A file of which only what is asked for is in memory: read ahead, all of it would stay there to the end."""
    return pq.ParquetFile(path, pre_buffer=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
