"""The maintenance DAG of the examples, unchanged, on real releases: shards on the workers, and a worker that is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.backend.airflow_environments import RELEASES, AirflowEnvironment, Release, install
from tests.e2e.deployment import Deployment, free_port, running, settings_for
from tests.services.object_stores import new_bucket, remove_bucket
from tests.services.postgres import PostgresServer
from xcomctl.demo.server import SeaweedFS

# Each takes minutes, with a scheduler of its own.
pytestmark = [pytest.mark.airflow, pytest.mark.matrix]

PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "examples" / "dags" / "xcomctl_maintenance.py"
SEEDS = Path(__file__).parent / "maintenance_dags" / "seed.py"
BY_VERSION = {release.version: release for release in RELEASES}
CELERY = ("apache-airflow-providers-celery", "apache-airflow-providers-postgres", "asyncpg")
NO_WAIT = ["--min-age", "0s", "--unsafe-min-age"]
SHARDS = 4


@dataclass
class Maintained:
    """A running Airflow, its bucket, and the tool as the DAG calls it."""

    deployment: Deployment
    seaweed: SeaweedFS
    bucket: str
    command: Path

    def seed(self, day: str) -> None:
        """A run of three of the seeds, whose rows and objects are there then."""
        for number in range(3):
            assert self.deployment.run(f"seed_{number}", day, f"{day}T00:00:00+00:00") == "success"

    def abandon(self, each: int, of: str = "seed") -> set[str]:
        """Objects that no row names, of seeds that ran and of others; their keys."""
        keys = [f"x/{of}_{number}/r/load/{uuid.uuid4()}" for number in range(8) for _ in range(each)]
        with closing(self.seaweed.client()) as client, ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda key: client.put_object(Bucket=self.bucket, Key=key, Body=b"{}"), keys))
        return set(keys)

    def keys(self) -> set[str]:
        """Every key of the bucket but those that the tool keeps."""
        with closing(self.seaweed.client()) as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
            found = {item["Key"] for page in pages for item in page.get("Contents", [])}
        return {key for key in found if not key.startswith("x/.xcomctl/")}

    def holder(self) -> int | None:
        """The process that holds the lock, None if nobody does."""
        with closing(self.seaweed.client()) as client:
            try:
                body = client.get_object(Bucket=self.bucket, Key="x/.xcomctl/lock.json")["Body"].read()
            except client.exceptions.NoSuchKey:
                return None
        return int(json.loads(body)["pid"])

    def trigger(self, run: str, *options: str) -> None:
        """Begin a run of the maintenance."""
        statement = "select count(*) from serialized_dag"
        self.deployment.wait(lambda: self.deployment.query(statement) == [(9,)], "parsed DAGs")
        self.deployment.environment.airflow("dags", "unpause", "xcomctl_maintenance")
        given = {"shards": SHARDS, "options": [*NO_WAIT, *options]}
        command = ("dags", "trigger", "xcomctl_maintenance", "--run-id", run, "--conf", json.dumps(given))
        self.deployment.environment.airflow(*command)

    def outcome(self, run: str) -> str:
        """State of that run when it is over."""
        return self.deployment.outcome("xcomctl_maintenance", run)

    def summary(self, run: str) -> dict[str, Any]:
        """What the last task of a run of the DAG gave back, as the row holds it."""
        value = "convert_from(value, 'UTF8')" if self.deployment.generation == 2 else "value::text"
        where = f"dag_id = 'xcomctl_maintenance' and run_id = '{run}' and task_id = 'sum_up'"
        [(text,)] = self.deployment.query(f"select {value} from xcom where {where} and key = 'return_value'")
        found: Any = json.loads(text)
        return json.loads(found) if isinstance(found, str) else dict(found)

    def tries(self) -> list[int]:
        """How often each shard was tried."""
        found = self.deployment.query(
            "select try_number from task_instance where dag_id = 'xcomctl_maintenance' and task_id = 'collect'"
        )
        return sorted(number for (number,) in found)

    def findings(self) -> list[Any]:
        """What does not fit between rows and objects."""
        done = subprocess.run(
            [self.command, "fsck", *NO_WAIT, "-o", "json"],
            env=self.deployment.environment.environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode in (0, 4), done.stderr[-3000:]
        return list(json.loads(done.stdout)["findings"])


@contextmanager
def maintained(
    release: Release,
    environments: Path,
    seaweed: SeaweedFS,
    postgres: PostgresServer,
    folder: Path,
    settings: dict[str, str],
) -> Iterator[Maintained]:
    """A release on PostgreSQL whose DAGs are the seeds and the example."""
    installed = install(release, environments)
    dags, home, command = folder / "dags", folder / "home", folder / "xcomctl"
    for place in (dags, home):
        place.mkdir()
    for file in (EXAMPLE, SEEDS):
        shutil.copy(file, dags)
    command.write_text(f'#!/bin/sh\ncd {PROJECT}\nunset PYTHONPATH\nexec {sys.executable} -m xcomctl "$@"\n')
    command.chmod(0o755)
    database, bucket, port = postgres.create_database(), new_bucket(seaweed), free_port()
    url = postgres.url(database)
    variables = {
        **settings_for(url, port, dags, release.generation),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(SHARDS),
        "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "5",
        # A busy machine is no failure.
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__CORE__XCOM_BACKEND": "xcomctl_backend.S3XComBackend",
        "AIRFLOW__XCOMCTL_BACKEND__PATH": f"s3://{bucket}/x",
        "AIRFLOW__XCOMCTL_BACKEND__ENDPOINT_URL": seaweed.endpoint_url,
        "AWS_ACCESS_KEY_ID": seaweed.access_key,
        "AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
        "AWS_DEFAULT_REGION": seaweed.region,
        "XCOMCTL_COMMAND": str(command),
        "XCOMCTL_DB": url,
        "XCOMCTL_STORE": f"s3://{bucket}/x",
        "XCOMCTL_ENDPOINT_URL": seaweed.endpoint_url,
        **settings,
    }
    environment = AirflowEnvironment(release, installed, home, variables)
    environment.migrate()
    with running(environment, url, port, home / "processes.log") as deployment:
        yield Maintained(deployment, seaweed, bucket, command)
    postgres.drop_database(database)
    remove_bucket(seaweed, bucket)


@pytest.mark.parametrize("version", ["2.11.2", "3.3.2"])
def test_the_maintenance_collects_in_shards(
    version: str, seaweed: SeaweedFS, postgres: PostgresServer, airflow_environments: Path, tmp_path: Path
) -> None:
    """Each shard by a task of its own; orphans of all DAGs are gone, every row has its object, and the sum is right."""
    with maintained(BY_VERSION[version], airflow_environments, seaweed, postgres, tmp_path, {}) as airflow:
        airflow.seed("2026-01-02")
        needed = airflow.keys()
        orphans = airflow.abandon(5)
        assert (len(needed), airflow.keys()) == (6, needed | orphans)
        airflow.trigger("weekly")
        assert airflow.outcome("weekly") == "success"
        assert (airflow.keys(), airflow.findings()) == (needed, [])
        told = {"shards": SHARDS, "rows": 0, "objects": len(orphans), "purged": 0, "bytes": 2 * len(orphans)}
        assert airflow.summary("weekly") == told


@pytest.mark.parametrize("version", ["3.3.2"])
def test_a_worker_that_is_killed_midway(
    version: str, seaweed: SeaweedFS, postgres: PostgresServer, airflow_environments: Path, tmp_path: Path
) -> None:
    """With Celery on two workers. The shard is tried again when the lock of the dead has run out, and nothing is lost."""
    release = replace(BY_VERSION[version], packages=CELERY)
    port, folder = free_port(), tmp_path
    url = f"redis://127.0.0.1:{port}/0"
    settings = {
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": url,
        "AIRFLOW__CELERY__RESULT_BACKEND": url,
        "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
        # How soon a dead worker is noticed: the names of both generations.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "5",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "5",
        "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "60",
        "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "5",
    }
    with ExitStack() as stack:
        stack.enter_context(redis(port, folder))
        airflow = stack.enter_context(
            maintained(release, airflow_environments / "celery", seaweed, postgres, folder, settings)
        )
        workers = [stack.enter_context(worker(airflow.deployment, name)) for name in ("w1", "w2")]
        airflow.seed("2026-01-02")
        kept = airflow.keys()
        airflow.seed("2026-01-03")
        needed = airflow.keys() - kept
        airflow.abandon(20)
        airflow.trigger("weekly", "--older-than", "1s", "--keep-last", "1", "--max-rate", "4")
        killed: list[int] = []

        def kill_one_at_work() -> bool:
            holder = airflow.holder()
            for process in workers:
                family = [process.pid, *descendants(process.pid)]
                # It has taken something away, and not all of it.
                if holder in family and len(airflow.keys()) < 160:
                    for number in family:
                        os.kill(number, signal.SIGKILL)
                    killed.append(process.pid)
            return bool(killed)

        airflow.deployment.wait(kill_one_at_work, "worker that deletes")
        assert airflow.outcome("weekly") == "success"
        assert airflow.tries()[-1] > 1
        assert (airflow.keys(), airflow.findings()) == (needed, [])
        # What is refused fails loudly: the shard, the task that sums up, and the run with it.
        alien = airflow.abandon(1, of="nobody")
        airflow.trigger("refused")
        assert airflow.outcome("refused") == "failed"
        assert airflow.keys() == needed | alien


@contextmanager
def redis(port: int, folder: Path) -> Iterator[None]:
    """Debian's Redis, in memory only."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("needs redis-server: apt install redis-server")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    with process_of(command, folder, dict(os.environ), folder / "redis.log"):
        yield


@contextmanager
def worker(deployment: Deployment, name: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that takes two tasks at once."""
    command = [str(deployment.environment.folder / "bin" / "airflow"), "celery", "worker"]
    command += ["--concurrency", "2", "--celery-hostname", f"{name}@%h", "--skip-serve-logs"]
    home = deployment.environment.home
    variables = {**deployment.environment.environment(), "C_FORCE_ROOT": "1"}
    with process_of(
        [*command, "--pid", str(home / f"{name}.pid")], home, variables, home / f"{name}.log"
    ) as process:
        yield process


@contextmanager
def process_of(
    command: Sequence[str], folder: Path, variables: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, killed at the end with all that it started."""
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            for number in (*descendants(process.pid), process.pid):
                try:
                    os.kill(number, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def descendants(pid: int) -> list[int]:
    """Processes that this one started, and those that they started."""
    parents: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found = [pid]
    for one in found:
        found += parents.get(one, [])
    return found[1:]
