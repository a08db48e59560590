"""`show` of a Parquet object of a gigabyte, against a download and `pandas.read_parquet`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.bucket import NAME, even
from benchmarks.canned import CannedServer, serving
from benchmarks.comparison import OURS, Answer, Case, Contender, Wanted
from benchmarks.setting import Setting

_ROWS = 26_000_000
_GROUP = 1_000_000
_COLUMNS = ("id", "amount", "share", "score", "weight")
_PANDAS = "download, pandas.read_parquet"


def cases(setting: Setting) -> Iterator[Case]:
    """One case."""
    bucket = setting.bucket("even", even(1000))
    rows = setting.scaled(_ROWS, 20_000)
    key = f"frame-{rows}.parquet"
    path = _write_frame(bucket.folder / "files" / key, rows)
    with serving(bucket.folder) as server:
        env = server.environment()
        command = setting.tool("show", f"s3://{NAME}/{key}", "--output", "json", "--head", 3)
        ours = Contender(OURS, command, setting.environment(env), _first_rows, _sent(server))
        theirs = setting.script(_PANDAS, "show_parquet.py", NAME, key, env=env)
        yield Case(
            f"show a Parquet object of {path.stat().st_size / 1e6:,.0f} MB",
            (ours, replace(theirs, sent=_sent(server))),
            (Wanted("sent", _PANDAS, 50), Wanted("wall", _PANDAS, 20)),
        )


def _sent(server: CannedServer) -> Callable[[], int]:
    return lambda: server.statistics()["sent"]


def _first_rows(output: bytes) -> Answer:
    frame = json.loads(output)["preview"]
    return {
        "rows": frame["rows"],
        "columns": [column["name"] for column in frame["columns"]],
        "first": [row[0] for row in frame["head"]],
    }


def _write_frame(path: Path, rows: int) -> Path:
    """A table of numbers drawn at random, which nothing compresses."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        random = np.random.default_rng(7)
        part = path.with_suffix(".part")
        schema = pa.schema([("id", pa.int64()), *((name, pa.float64()) for name in _COLUMNS[1:])])
        with pq.ParquetWriter(part, schema) as writer:
            for first in range(0, rows, _GROUP):
                count = min(_GROUP, rows - first)
                numbers = {name: random.random(count) for name in _COLUMNS[1:]}
                writer.write_table(pa.table({"id": np.arange(first, first + count), **numbers}, schema))
        part.rename(path)
    return path
