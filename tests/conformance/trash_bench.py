"""A deployment on every kind of bucket that a trash can be in, and what is in it bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.conformance.bench import remove_versions
from tests.schemas.airflow_database import AirflowDatabase, Shape
from tests.services.deployment import Deployment
from tests.services.object_stores import new_bucket, point_to, remove_bucket
from tests.services.sweeps import sweep
from xcomctl.models import Root
from xcomctl.state.journal import OperationRecord, operations
from xcomctl.state.trash.contents import contents
from xcomctl.state.trash.entries import TrashEntry

KINDS = ("seaweed", "seaweed versions", "moto_server", "moto_server versions")

MakeBench = Callable[..., Deployment]


@pytest.fixture
def make_bench(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[MakeBench]:
    """Makes deployments on new buckets: `make_bench(kind, engine=..., shape=...)`, `kind` being one of `KINDS`."""
    with ExitStack() as opened:

        def make(kind: str, engine: str = "sqlite", shape: Shape = "airflow-3") -> Deployment:
            name, _, versions = kind.partition(" ")
            server = request.getfixturevalue(name)
            point_to(monkeypatch, server)
            bucket = new_bucket(server)
            opened.callback(remove_bucket, server, bucket)
            url = (
                f"sqlite:///{tmp_path / f'{bucket}.db'}"
                if engine == "sqlite"
                else request.getfixturevalue(f"{engine}_database")
            )
            here = opened.enter_context(Deployment(AirflowDatabase(url, shape).create(), server, bucket))
            if versions:
                here.client.put_bucket_versioning(
                    Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
                )
                opened.callback(lambda: _without_versions(here))
            return here

        yield make


@pytest.fixture(params=sweep(KINDS, lambda kind: kind in ("seaweed", "moto_server versions")))
def bench(request: pytest.FixtureRequest, make_bench: MakeBench) -> Deployment:
    """A deployment on each kind of bucket; by default once with versions and once without."""
    return make_bench(request.param)


def _without_versions(here: Deployment) -> None:
    client = here.server.client()
    remove_versions(client, here.bucket)
    client.close()


def objects_of(here: Deployment) -> dict[str, tuple[bytes, str, dict[str, str]]]:
    """Every object outside the tool's own folder: content, content type, metadata."""
    found = {}
    for key in sorted(here.keys()):
        answer = here.client.get_object(Bucket=here.bucket, Key=key)
        found[key] = (answer["Body"].read(), answer["ContentType"], answer["Metadata"])
    return found


def rows_of(here: Deployment) -> list[dict[str, Any]]:
    """Every row with all its columns."""
    with here.database.connection() as connection:
        found = connection.execute(sa.text(f"SELECT * FROM {here.database.table}")).mappings().all()
    return sorted((dict(row) for row in found), key=str)


def trash_of(here: Deployment) -> list[TrashEntry]:
    """All that is in the trash."""
    return list(contents(here.store, (Root.parse(here.root),)))


def left_in_trash(here: Deployment) -> set[str]:
    """Keys of all objects in the folder of the trash."""
    return {key for key in here.all_keys() if "/.xcomctl/trash/" in key}


def journal_of(here: Deployment) -> list[OperationRecord]:
    """All operations, newest first."""
    return list(operations(here.store, (Root.parse(here.root),)))
