# ruff: noqa: T201, S603 - a program that prints, and runs another one of ours
"""`python -m benchmarks.backend [FOLDER]`: this backend against Airflow's own and the tutorials', in one run.

Makes an environment with Airflow and starts an S3 server itself; FOLDER keeps the environment. Prints two Markdown tables:
medians of some rounds, and how many times as much as this backend the others take (the median of the rounds' ratios).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from statistics import median

from tests.backend.airflow_environments import (
    AirflowEnvironment,
    Release,
    connection_to,
    environments,
    install,
)
from xcomctl.demo.server import SeaweedFS

WORKLOAD = Path(__file__).with_name("workload.py")
RELEASE = Release(
    "3.3.2",
    "2026-09-25",
    ("apache-airflow-providers-common-io", "apache-airflow-providers-amazon[s3fs]", "pandas", "pyarrow"),
)
SMALL = "10,000 small values"
CASES = ("DataFrame, 10 MB", "DataFrame, 500 MB", "dict, 5 MB of JSON", SMALL)
ROUNDS = 3
OURS = "xcomctl"
BACKENDS = {
    OURS: "xcomctl_backend.S3XComBackend",
    "common.io": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
    "naive": None,
}


def measure(environment: AirflowEnvironment, server: SeaweedFS, backend: str, case: str) -> dict[str, float]:
    """Seconds, CPU seconds, bytes of peak memory and of stored objects."""
    bucket = environment.settings["BENCH_BUCKET"]
    before = _stored(server, bucket)
    variables = environment.environment()
    if BACKENDS[backend]:
        variables["AIRFLOW__CORE__XCOM_BACKEND"] = str(BACKENDS[backend])
    done = subprocess.run(
        [str(environment.folder / "bin" / "python"), str(WORKLOAD), backend, case],
        env=variables,
        cwd=environment.home,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{backend}, {case}: {done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**result, "stored": _stored(server, bucket) - before}


def _stored(server: SeaweedFS, bucket: str) -> int:
    with closing(server.client()) as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return sum(found["Size"] for page in pages for found in page.get("Contents", []))


def main(base: Path) -> None:
    """Run every case with every backend."""
    with SeaweedFS() as server, tempfile.TemporaryDirectory() as home:
        server.create_bucket("bench")
        environment = AirflowEnvironment(
            RELEASE,
            install(RELEASE, base / "benchmark"),
            Path(home),
            {
                "BENCH_BUCKET": "bench",
                "AIRFLOW__XCOMCTL_BACKEND__PATH": "s3://aws_default@bench/ours",
                "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": "s3://aws_default@bench/theirs",
                "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "1024",
                "AIRFLOW_CONN_AWS_DEFAULT": connection_to(server),
                **server.environment(),
            },
        )
        environment.migrate()
        print("| case | backend | push, s | pull, s | CPU, s | peak memory, MB | stored, MB |")
        print("|---|---|---|---|---|---|---|")
        ratios = []
        for case in CASES:
            # The naive backend would store every small dict in S3, which takes an hour.
            compared = [backend for backend in BACKENDS if (backend, case) != ("naive", SMALL)]
            # In turn, so that a machine that gets busier does so for all of them.
            rounds = [
                {backend: measure(environment, server, backend, case) for backend in compared}
                for _ in range(ROUNDS)
            ]
            for backend in compared:
                print(f"| {case} | {backend} | {_figures([one[backend] for one in rounds])} |", flush=True)
            ratios += [
                f"| {case} | {backend} | {_ratios([(one[backend], one[OURS]) for one in rounds])} |"
                for backend in compared
                if backend != OURS
            ]
        print("\n| case | backend | push | pull | CPU | peak memory | stored |")
        print("|---|---|---|---|---|---|---|")
        print("\n".join(ratios))


def _figures(results: Sequence[dict[str, float]]) -> str:
    """Medians, as the cells of a line."""
    figures = {name: median(result[name] for result in results) for name in results[0]}
    times = f"{figures['push']:.2f} | {figures['pull']:.2f} | {figures['cpu']:.2f}"
    return f"{times} | {figures['peak'] / 1e6:.0f} | {figures['stored'] / 1e6:.2f}"


def _ratios(pairs: Sequence[tuple[dict[str, float], dict[str, float]]]) -> str:
    """How many times as much as ours, as the cells of a line; nothing where ours is too little to divide by."""
    cells = []
    for name, least in (("push", 1e-3), ("pull", 1e-3), ("cpu", 1e-3), ("peak", 1e7), ("stored", 1e5)):
        ratios = [theirs[name] / ours[name] for theirs, ours in pairs if ours[name] >= least]
        cells.append(f"{median(ratios):.1f}" if ratios else "")
    return " | ".join(cells)


if __name__ == "__main__":
    with environments(sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        main(folder)
