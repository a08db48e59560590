"""What becomes of objects in the life of a run, on every release, measured: the table of `docs/backend-orphans.md`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.backend.airflow_environments import RELEASES, AirflowEnvironment, Release, connection_to, install
from tests.e2e.deployment import Deployment, free_port, running, settings_for
from tests.services.object_stores import new_bucket, remove_bucket
from tests.services.postgres import PostgresServer
from xcomctl.demo.server import SeaweedFS
from xcomctl_backend._reference import MARKER

pytestmark = [pytest.mark.airflow, pytest.mark.matrix]

DAGS = Path(__file__).parent / "dags"
CANNOT = "cannot be done"
PAGE = Path(__file__).parents[2] / "docs" / "backend-orphans.md"
ON_POSTGRES = ("2.5.0", "2.11.2", "3.3.2")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=\.[a-z]+$)")


@dataclass
class World:
    """A deployment and its bucket."""

    deployment: Deployment
    seaweed: SeaweedFS
    bucket: str

    def objects(self) -> set[str]:
        """Keys of all objects."""
        with closing(self.seaweed.client()) as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
            return {found["Key"] for page in pages for found in page.get("Contents", [])}

    def orphans(self) -> set[str]:
        """Keys of the objects that no row of an XCom table names."""
        values = []
        postgres = self.deployment.url.startswith("postgresql")
        for table in self._tables():
            value = "value"
            if postgres:
                value = "convert_from(value, 'UTF8')" if self.deployment.generation == 2 else "value::text"
            values += [
                str(row[0]) for row in self.deployment.query(f"select cast({value} as text) from {table}")
            ]
        text = "\n".join(values)
        return {key for key in self.objects() if self._unique(key) not in text}

    def _unique(self, key: str) -> str:
        match = _UUID.search(key)
        assert match is not None, key
        return match.group()

    def _tables(self) -> tuple[str, ...]:
        return (
            ("xcom_v1", "xcom_v2")
            if self.deployment.environment.release.version.startswith("3.4")
            else ("xcom",)
        )

    @contextmanager
    def new_orphans(self) -> Iterator[list[str]]:
        """Names (`task[:key]`) of the objects that what is done within leaves without a row."""
        before, found = self.orphans(), list[str]()
        yield found
        parts = (key.split("/")[-4:] for key in self.orphans() - before)
        found.extend(
            sorted(task if key == "return_value" else f"{task}:{key}" for task, _index, key, _name in parts)
        )


@pytest.fixture(scope="module", params=RELEASES, ids=lambda release: f"airflow-{release.version}")
def world(
    request: pytest.FixtureRequest,
    seaweed: SeaweedFS,
    postgres: PostgresServer,
    airflow_environments: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """A running release with the backend, on PostgreSQL or SQLite."""
    release: Release = request.param
    folder = install(release, airflow_environments)
    home = tmp_path_factory.mktemp("home")
    database = postgres.create_database() if release.version in ON_POSTGRES else None
    url = f"sqlite:///{home / 'airflow.db'}" if database is None else postgres.url(database)
    bucket, port = new_bucket(seaweed), free_port()
    settings = {
        **settings_for(url, port, DAGS, release.generation),
        "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor"
        if release.generation == 2 and database is None
        else "LocalExecutor",
        "AIRFLOW__CORE__XCOM_BACKEND": "xcomctl_backend.S3XComBackend",
        "AIRFLOW__XCOMCTL_BACKEND__PATH": f"s3://store@{bucket}/x",
        "AIRFLOW_CONN_STORE": connection_to(seaweed),
    }
    environment = AirflowEnvironment(release, folder, home, settings)
    environment.migrate()
    with running(environment, url, port, home / "processes.log") as deployment:
        yield World(deployment, seaweed, bucket)
    if database is not None:
        postgres.drop_database(database)
    remove_bucket(seaweed, bucket)


def _measure(world: World) -> dict[str, list[str]]:
    deployment, found = world.deployment, {}
    with world.new_orphans() as found["run with a retry and a key pushed twice"]:
        assert deployment.run("life", "first", "2026-02-01T00:00:00+00:00") == "success"
    with world.new_orphans() as found["run that pulls with include_prior_dates"]:
        assert deployment.run("life", "second", "2026-02-02T00:00:00+00:00") == "success"
    with world.new_orphans() as found["run that fails after a push"]:
        assert deployment.run("fails", "first", "2026-02-01T00:00:00+00:00") == "failed"
    with world.new_orphans() as found["task cleared, runs again"]:
        assert deployment.clear("life", "first", "prior") == "success"
    with world.new_orphans() as found["mapped task cleared, runs again"]:
        assert deployment.clear("life", "first", "repeat") == "success"
    if not deployment.environment.release.version.startswith("3.0"):
        with world.new_orphans() as found["XCom deleted in the web interface or by REST"]:
            deployment.delete_xcom("life", "first", "repush", "return_value")
    if deployment.generation == 3:
        shown = deployment.rest("GET", deployment.xcom("life", "first", "retry", "return_value"))
        assert MARKER in json.dumps(shown), "the REST API shows the reference"
        with world.new_orphans() as found["XCom changed by REST"]:
            deployment.change_xcom("life", "first", "retry", "return_value")
    with world.new_orphans() as found["run deleted"]:
        deployment.delete_run("fails", "first")
    assert deployment.run("fails", "second", "2026-02-02T00:00:00+00:00") == "failed"
    with world.new_orphans() as found["airflow dags delete"]:
        deployment.environment.airflow("dags", "delete", "fails", "--yes")
    with world.new_orphans() as found["airflow db clean --tables xcom"]:
        options = ["--clean-before-timestamp", "2100-01-01", "--yes"]
        deployment.environment.airflow("db", "clean", "--tables", "xcom", *options)
    return found


def test_the_page_says_what_is_left(world: World) -> None:
    """Runs, retries, clears and deletions leave exactly the objects without a row that the page says."""
    version = world.deployment.environment.release.version
    if version.startswith("3.4"):
        assert world.deployment.run("loops", "first", "2026-02-01T00:00:00+00:00") == "success"
    measured = {action: ", ".join(dict.fromkeys(names)) or "-" for action, names in _measure(world).items()}
    page = {action: names for action, names in _page().get(version, {}).items() if names != CANNOT}
    assert measured == page, f"measured on {version}: {json.dumps(measured)}"


def _page() -> dict[str, dict[str, str]]:
    """What the table of the page says, by release and action."""
    lines = [
        line.strip("| ").split(" | ")
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line[:1] == "|"
    ]
    header, _rule, *rows = lines
    return {
        version: {row[0].strip("`"): row[column].strip() for row in rows}
        for column, version in enumerate(header)
        if column
    }
