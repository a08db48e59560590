"""Airflow works without a pause, and collections, removals and backups run against it at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.backend.airflow_environments import RELEASES, AirflowEnvironment, install
from tests.e2e.deployment import Deployment, free_port, running, settings_for
from tests.services.object_stores import new_bucket, remove_bucket
from tests.services.postgres import PostgresServer
from xcomctl.demo.server import SeaweedFS

pytestmark = [pytest.mark.airflow, pytest.mark.matrix]

SECONDS = float(os.environ.get("XCOMCTL_LIVE_SECONDS", "90"))
"""How long it goes on for each backend; ten minutes before a release."""

DAGS = Path(__file__).parent / "live_dags"
PROJECT = Path(__file__).parents[2]
RELEASE = replace(
    next(release for release in RELEASES if release.version == "3.3.2"),
    packages=("apache-airflow-providers-common-io", "apache-airflow-providers-amazon[s3fs]", "asyncpg"),
)
BACKENDS = {
    "common.io": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
    "xcomctl": "xcomctl_backend.S3XComBackend",
}
GRACE = ("--min-age", "15s", "--unsafe-min-age")
"""Shorter than any person would dare: the longest time between an upload and its row is some milliseconds here."""


@dataclass
class Live:
    """The running Airflow, the bucket, and the tool beside them."""

    deployment: Deployment
    root: str
    variables: Mapping[str, str]
    codes: Counter[str]

    def xcomctl(self, verb: str, *arguments: str, expected: tuple[int, ...] = (0,)) -> str:
        """Run a verb; what it prints. Any exit code but the expected ones fails the test."""
        connection = ("--db", self.deployment.url, "--store", self.root)
        done = subprocess.run(
            [sys.executable, "-m", "xcomctl", verb, *connection, *arguments],
            cwd=PROJECT,
            env={**os.environ, **self.variables},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.codes[f"{verb} {done.returncode}"] += 1
        assert done.returncode in expected, (verb, arguments, done.stderr[-3000:])
        return done.stdout

    def errors(self) -> list[str]:
        """What the tasks died of, but for what they are meant to."""
        found = []
        for log in (self.deployment.environment.home / "logs").rglob("attempt=*.log"):
            for line in log.read_text(errors="replace").splitlines():
                told = json.loads(line) if line.startswith("{") else {}
                causes = [str(one.get("exc_value")) for one in told.get("error_detail") or []]
                if causes and "fails once, as it should" not in causes:
                    found.append(f"{log.parent}: {told.get('timestamp')} {causes}")
        return found

    def runs(self) -> Counter[str]:
        """Runs by state."""
        return Counter(dict(self.deployment.query("select state, count(*) from dag_run group by state")))


@pytest.fixture(params=list(BACKENDS))
def live(
    request: pytest.FixtureRequest,
    seaweed: SeaweedFS,
    postgres: PostgresServer,
    airflow_environments: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Live]:
    """Airflow 3.3.2 on PostgreSQL with one of the backends, all its values in S3."""
    folder = install(RELEASE, airflow_environments / "live")
    database, bucket, port = postgres.create_database(), new_bucket(seaweed), free_port()
    url, home = postgres.url(database), tmp_path_factory.mktemp("home")
    connection = {
        "conn_type": "aws",
        "login": seaweed.access_key,
        "password": seaweed.secret_key,
        "extra": {"endpoint_url": seaweed.endpoint_url, "region_name": seaweed.region},
    }
    settings = {
        **settings_for(url, port, DAGS, 3),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__XCOM_BACKEND": BACKENDS[request.param],
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"s3://store@{bucket}/x",
        "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "0",
        "AIRFLOW__XCOMCTL_BACKEND__PATH": f"s3://store@{bucket}/x",
        "AIRFLOW__XCOMCTL_BACKEND__THRESHOLD": "0",
        "AIRFLOW_CONN_STORE": json.dumps(connection),
    }
    environment = AirflowEnvironment(RELEASE, folder, home, settings)
    environment.migrate()
    with running(environment, url, port, home / "processes.log") as deployment:
        yield Live(deployment, f"s3://{bucket}/x", seaweed.environment(), Counter())
    postgres.drop_database(database)
    remove_bucket(seaweed, bucket)


def test_nothing_that_airflow_needs_goes(live: Live, tmp_path: Path) -> None:
    """No run fails while old runs are collected, removed and backed up; at the end rows and objects fit exactly."""
    live.deployment.wait(lambda: live.runs()["success"] >= 3, "a run that is over")
    backup, deadline = str(tmp_path / "backup"), time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        live.xcomctl("gc", "--older-than", "20s", *GRACE, "--yes", "-o", "json")
        live.xcomctl("backup", "--to", backup)
        old = live.deployment.query(
            "select dag_id, run_id from dag_run where state = 'success' and dag_id = 'live_0'"
            " order by logical_date nulls first, id desc offset 2 limit 1"
        )
        for dag, run in old:
            live.xcomctl("rm", "--dag", dag, "--run", run, "--yes")
    states = live.runs()
    print(json.dumps({"runs": dict(states), "commands": dict(live.codes)}))  # noqa: T201 - seen with `pytest -s`
    assert live.errors() == []
    assert states["failed"] == 0
    assert states["success"] >= 4
    # Nothing new starts, not even the next task of a run; what is at work ends.
    live.deployment.environment.airflow("dags", "pause", "--treat-dag-id-as-regex", "live_.*", "--yes")
    active = "select 1 from task_instance where state in ('queued', 'running', 'restarting')"
    live.deployment.wait(lambda: not live.deployment.query(active), "the end of the last tasks")
    assert live.errors() == []
    assert live.runs()["failed"] == 0
    now = ("--min-age", "0s", "--unsafe-min-age")
    live.xcomctl("gc", *now, "--yes")
    assert json.loads(live.xcomctl("fsck", *now, "-o", "json"))["findings"] == []
    for row in json.loads(live.xcomctl("ls", "--limit", "0", "-o", "json")):
        live.xcomctl("show", row["id"], "-o", "json")
    # What tasks have pushed again since, and only that, has another value by now: done in part.
    live.xcomctl("restore", backup, "--dry-run", expected=(0, 3))
