"""What a restore brings back, read by Airflow itself."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.backend.airflow_environments import RELEASES, AirflowEnvironment, install
from tests.services.command import Command
from tests.services.object_stores import empty_bucket
from tests.services.worlds import World
from xcomctl.demo.server import SeaweedFS

pytestmark = pytest.mark.airflow

_WORLD = "3.3.2-commonio-sqlite"
_READ = """
import hashlib, json, types
from airflow.models.xcom import XComModel
from airflow.sdk.execution_time.xcom import XCom
from airflow.utils.session import create_session
from sqlalchemy import select

found = {}
with create_session() as session:
    for dag_id, run_id in sorted(session.execute(select(XComModel.dag_id, XComModel.run_id).distinct())):
        for row in session.scalars(XComModel.get_many(dag_ids=dag_id, run_id=run_id)):
            value = XCom.deserialize_value(types.SimpleNamespace(key=row.key, value=row.value))
            digest = hashlib.sha256(repr(value).encode()).hexdigest()
            found[f"{dag_id}/{run_id}/{row.task_id}[{row.map_index}]:{row.key}"] = [type(value).__name__, digest]
print(json.dumps(found))
"""
"""Every value as a task would pull it, told by its type and a hash."""


def test_airflow_reads_what_a_restore_brought_back(
    world: Callable[..., World],
    seaweed: SeaweedFS,
    xcomctl: Command,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Backed up, rows and bucket emptied, restored: every value that Airflow pulls is equal by hash to the one before."""
    release = next(one for one in RELEASES if one.version == "3.3.2")
    kept = os.environ.get("XCOMCTL_AIRFLOW_ENVS")
    folder = install(release, Path(kept).resolve() if kept else tmp_path_factory.mktemp("environments"))
    here = world(_WORLD)
    connection = {
        "conn_type": "aws",
        "login": seaweed.access_key,
        "password": seaweed.secret_key,
        "extra": {"endpoint_url": seaweed.endpoint_url, "region_name": seaweed.region},
    }
    settings = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": here.db_url,
        "AIRFLOW__CORE__XCOM_BACKEND": "xcomctl_backend.S3XComBackend",
        "AIRFLOW__XCOMCTL_BACKEND__PATH": f"s3://aws_default@{here.bucket}/own",
        "AIRFLOW__XCOMCTL_BACKEND__LEGACY_COMMON_IO": f"s3://aws_default@{str(here.root).partition('://')[2]}",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection),
    }
    airflow = AirflowEnvironment(release, folder, tmp_path, settings)

    def pulled() -> dict[str, list[str]]:
        found: dict[str, list[str]] = json.loads(airflow.python(_READ).splitlines()[-1])
        return found

    before = pulled()
    assert {"dict", "list", "str", "int", "DataFrame"} <= {kind for kind, _ in before.values()}
    options = ("--db", here.db_url, "--store", str(here.root), "--endpoint-url", str(here.endpoint_url))
    assert xcomctl("backup", *options, "--to", str(tmp_path / "backups")).code == 0
    engine = sa.create_engine(here.db_url, poolclass=sa.pool.NullPool, future=True)
    with engine.begin() as database:
        database.execute(sa.text("DELETE FROM xcom"))
    engine.dispose()
    with closing(seaweed.client()) as client:
        empty_bucket(client, str(here.bucket))
    assert pulled() == {}
    done = xcomctl("restore", str(tmp_path / "backups"), *options, "--yes")
    assert (done.code, done.stderr) == (0, "")
    assert pulled() == before
