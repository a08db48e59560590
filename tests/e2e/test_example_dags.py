"""The example DAGs run for real: PostgreSQL on one side, S3 on the other, and the tool reads what they leave."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy

from tests.backend.airflow_environments import RELEASES, AirflowEnvironment, Release, install
from tests.services.object_stores import new_bucket, remove_bucket
from tests.services.postgres import PostgresServer
from xcomctl.demo.server import SeaweedFS

pytestmark = [pytest.mark.airflow, pytest.mark.matrix]

DAGS = Path(__file__).parents[2] / "examples" / "dags"
WITH_POSTGRES = [release for release in RELEASES if "apache-airflow-providers-postgres" in release.packages]
ORDERS = """
CREATE TABLE orders (id integer, customer text, amount numeric(10, 2), ordered_at timestamptz);
INSERT INTO orders SELECT n, 'Zoë ' || n % 3, n + 0.10, '2026-11-01T06:00:00Z' FROM generate_series(1, 12) n
"""


@pytest.fixture(scope="module", params=WITH_POSTGRES, ids=lambda release: f"airflow-{release.version}")
def airflow(
    request: pytest.FixtureRequest,
    seaweed: SeaweedFS,
    postgres: PostgresServer,
    airflow_environments: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowEnvironment]:
    """A release with its database and the shop's on PostgreSQL, credentials of S3 from the environment."""
    release: Release = request.param
    folder = install(release, airflow_environments)
    shop, own = postgres.create_database(), postgres.create_database()
    engine = sqlalchemy.create_engine(postgres.url(shop), poolclass=sqlalchemy.pool.NullPool)
    with engine.begin() as connection:
        for statement in ORDERS.split(";"):
            connection.execute(sqlalchemy.text(statement))
    engine.dispose()
    bucket = new_bucket(seaweed)
    settings = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url(own),
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__XCOM_BACKEND": "xcomctl_backend.S3XComBackend",
        "AIRFLOW__XCOMCTL_BACKEND__PATH": f"s3://{bucket}/airflow/xcom",
        "AIRFLOW__XCOMCTL_BACKEND__ENDPOINT_URL": seaweed.endpoint_url,
        "AIRFLOW_CONN_SHOP": postgres.url(shop).replace("postgresql+psycopg2", "postgresql"),
        "AWS_ACCESS_KEY_ID": seaweed.access_key,
        "AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
        "AWS_DEFAULT_REGION": seaweed.region,
    }
    environment = AirflowEnvironment(release, folder, tmp_path_factory.mktemp("home"), settings)
    environment.migrate()
    yield environment
    for name in (shop, own):
        postgres.drop_database(name)
    remove_bucket(seaweed, bucket)


def _xcomctl(airflow: AirflowEnvironment, *arguments: str) -> str:
    environment = airflow.environment()
    del environment["PYTHONPATH"]
    done = subprocess.run(
        [sys.executable, "-m", "xcomctl", *arguments],
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_article_s_dag(airflow: AirflowEnvironment, seaweed: SeaweedFS) -> None:
    """Rows of a query are handled one by one, a frame is handed over, and the tool lists and shows it and finds no fault."""
    arguments = ["2026-01-02"] if airflow.release.generation == 2 else []
    for dag_id in ("orders_one_by_one", "orders_as_a_frame"):
        airflow.airflow("dags", "test", dag_id, *arguments)
    # One row for each of the orders that were handled one by one.
    assert _xcomctl(airflow, "ls", "-o", "json").count('"handle"') == 12
    _xcomctl(airflow, "fsck")
    bucket = airflow.settings["AIRFLOW__XCOMCTL_BACKEND__PATH"].split("/")[2]
    with closing(seaweed.client()) as client:
        keys = [found["Key"] for found in client.list_objects_v2(Bucket=bucket)["Contents"]]
    folders = sorted((key.split("/")[2], key.split("/")[4], key.rpartition(".")[2]) for key in keys)
    assert folders == [("orders_as_a_frame", "extract", "parquet"), ("orders_one_by_one", "extract", "json")]
    [frame] = [key for key in keys if key.endswith("parquet")]
    assert "Zoë" in _xcomctl(airflow, "show", f"s3://{bucket}/{frame}")
