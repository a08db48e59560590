"""Runs that ran again in part between plan and apply."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.schemas.airflow_database import Shape
from tests.services.deployment import MONTH, Deploy, Deployment, two_runs
from xcomctl.gc.plan_file import load, save


def _ran_again(here: Deployment, run: str) -> None:
    """Some task of the run was cleared, ran, and is done: the run is over anew."""
    with here.database.connection() as connection:
        connection.exec_driver_sql(
            f"UPDATE dag_run SET end_date = '{here.began_at + timedelta(seconds=1):%Y-%m-%d %H:%M:%S.%f}'"
            f" WHERE run_id = '{run}'"
        )


@pytest.mark.parametrize(
    ("engine", "shape"),
    [("sqlite", "airflow-2"), ("sqlite", "airflow-3.4"), ("postgres", "airflow-3"), ("mariadb", "airflow-3")],
)
def test_a_run_that_ended_anew_since_the_plan_keeps_its_rows(
    deploy: Deploy, engine: str, shape: Shape, tmp_path: Path
) -> None:
    """Its rows count as young by now, as they would in a new plan, and their objects stay; also for a saved plan."""
    here = deploy(engine, shape)
    gone = here.push(run="older", age=timedelta(days=50))
    kept = two_runs(here)
    save(here.plan(MONTH), tmp_path / "plan.xcp")
    _ran_again(here, "old")
    outcome = here.apply(load(tmp_path / "plan.xcp"))
    assert (outcome.rows, outcome.objects) == (
        {"deleted": 1, "changed": 1},
        {"deleted": 1, "trashed": 1, "referenced": 1},
    )
    assert (here.keys(), here.refs()) == (
        set(kept),
        {"etl/old/load:return_value", "etl/new/load:return_value"},
    )
    assert gone not in here.keys()  # noqa: SIM118 - not a dict
    assert here.plan(MONTH).is_empty
