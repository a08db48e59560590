# ruff: noqa: D102 - methods as Airflow knows them
# mypy: ignore-errors
"""One push and one pull of one value by one backend, in a process of its own; prints what they took as JSON."""

import json
import os
import pickle
import resource
import sys
import time
import uuid
from importlib import import_module
from types import SimpleNamespace

WHERE = {"key": "k", "task_id": "t", "dag_id": "bench", "run_id": "r", "map_index": -1}
BUCKET = os.environ["BENCH_BUCKET"]


class Naive:
    """What tutorials write: a CSV or a pickle under a random key."""

    @staticmethod
    def serialize_value(value, **_where):
        import boto3
        import pandas as pd

        frame = isinstance(value, pd.DataFrame)
        if not frame and not isinstance(value, (list, dict)):
            return value
        key = f"data_{'csv' if frame else 'dat'}_{uuid.uuid4()}"
        body = value.to_csv(index=False).encode() if frame else pickle.dumps(value)
        boto3.client("s3").put_object(Bucket=BUCKET, Key=key, Body=body)
        return f"xcom_s3://{key}"

    @staticmethod
    def deserialize_value(result):
        import boto3
        import pandas as pd

        key = str(result.value).replace("xcom_s3://", "")
        if not str(result.value).startswith("xcom_s3://"):
            return result.value
        body = boto3.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"]
        return pd.read_csv(body) if key.startswith("data_csv_") else pickle.loads(body.read())  # noqa: S301


def frame_of(megabytes):
    """A DataFrame of so many MB in memory: numbers, times and words, as tables have them."""
    import numpy as np
    import pandas as pd

    rows = megabytes * 1_000_000 // 40
    random = np.random.default_rng(7)
    words = np.array([f"customer {number:05d}" for number in range(5000)], dtype=object)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "amount": random.normal(100, 20, rows).round(2),
            "share": random.random(rows),
            "at": pd.Timestamp("2026-01-01") + pd.to_timedelta(random.integers(0, 10**7, rows), unit="s"),
            "customer": words[random.integers(0, 5000, rows)],
        }
    )


def tree_of(megabytes):
    """A dict whose JSON has about so many MB."""
    item = {"name": "Zoë Example", "tags": ["new", "paid"], "amount": 12.5, "n": 7, "ok": True, "none": None}
    return {str(number): {**item, "n": number} for number in range(megabytes * 1_000_000 // 110)}


CASES = {
    "DataFrame, 10 MB": (lambda: frame_of(10), 1),
    "DataFrame, 500 MB": (lambda: frame_of(500), 1),
    "dict, 5 MB of JSON": (lambda: tree_of(5), 1),
    "10,000 small values": (lambda: {"status": "ok", "rows": 7}, 10_000),
}


def main(backend, case):
    """Measure and print."""
    make, times = CASES[case]
    kind = Naive if backend == "naive" else import_module("airflow.sdk.execution_time.xcom").XCom
    value = make()
    # Connections and imports are made once in a task: here before the clock starts.
    kind.deserialize_value(SimpleNamespace(value=kind.serialize_value({"w": "x" * 5000}, **WHERE)))
    if "DataFrame" in case:
        kind.deserialize_value(SimpleNamespace(value=kind.serialize_value(value.head(10), **WHERE)))
    before = resource.getrusage(resource.RUSAGE_SELF)
    started, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        stored = kind.serialize_value(value, **WHERE)
    pushed = time.perf_counter()
    for _ in range(times):
        kind.deserialize_value(SimpleNamespace(value=stored))
    pulled = time.perf_counter()
    print(  # noqa: T201 - the parent reads it
        json.dumps(
            {
                "push": pushed - started,
                "pull": pulled - pushed,
                "cpu": time.process_time() - cpu,
                "peak": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before.ru_maxrss) * 1024,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
