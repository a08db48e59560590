"""A policy file on a real database and store: what goes is what the file says, and all the rest stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.schemas.airflow_database import SHAPES, Shape
from tests.services.deployment import DAY, Deploy, Deployment
from tests.services.sweeps import sweep
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.inventory.policy_check import match_policy
from xcomctl.models import Root
from xcomctl.policy.file import load_policy

POLICY = """\
[defaults]
older_than = "30d"

[[rules]]
dag = "etl"
older_than = "14d"
keep_last = 0
keep_last_per_key = 1

[[rules]]
dag = "etl"
key = "big"
older_than = "3d"

[[rules]]
dag = "train"
keep_failed = true
keep_last = 2

[[pins]]
dag = "train"
run = "r0"
reason = "audit 4711"
"""

ENGINES = [pytest.param("sqlite", shape, id=f"sqlite {shape}") for shape in SHAPES] + [
    pytest.param("postgres", SHAPES[-1], id=f"postgres {SHAPES[-1]}")
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The policy file."""
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    return path


def world(here: Deployment) -> None:
    """Runs of three DAGs, old and new, finished, failed and running."""
    for run, age in (("r0", 60), ("r1", 20), ("r2", 10), ("r3", 1)):
        here.push("etl", run, age=age * DAY)
    here.push("etl", "r0", name="rare", age=60 * DAY)
    here.push("etl", "r2", name="big", age=10 * DAY)
    here.push("etl", "r3", name="big", age=1 * DAY)
    for run, age, state in (
        ("r0", 90, "success"),
        ("r1", 80, "failed"),
        ("r2", 70, "success"),
        ("r3", 60, "success"),
        ("r4", 50, "success"),
        ("r5", 50, "running"),
    ):
        here.push("train", run, age=age * DAY, state=state)
    here.push("other", "r0", age=40 * DAY)
    here.push("other", "r1", age=20 * DAY)


GONE = {
    "etl/r0/load:return_value",
    "etl/r1/load:return_value",
    "etl/r2/load:big",
    "train/r2/load:return_value",
    "other/r0/load:return_value",
}


@pytest.mark.parametrize(("engine", "shape"), sweep(ENGINES, lambda engine, _: engine == "postgres"))
def test_what_a_file_lets_go_goes_with_its_objects(
    deploy: Deploy, file: Path, engine: str, shape: Shape
) -> None:
    """The most specific rule counts for each row; last runs, last values, failed runs and pins stay."""
    here = deploy(engine, shape)
    world(here)
    before, keys = here.refs(), here.keys()
    plan = here.plan(load_policy(file).policy, orphans=False)
    reasons = {
        f"{record['dag_id']}/{record['run_id']}:{record['key']}": record["reason"]
        for record in plan.records()
        if record["action"] == "delete_row"
    }
    assert reasons == {
        "etl/r0:return_value": "expired: 60.0d > 14d (policy.toml:4)",
        "etl/r1:return_value": "expired: 20.0d > 14d (policy.toml:4)",
        "etl/r2:big": "expired: 10.0d > 3d (policy.toml:10)",
        "train/r2:return_value": "expired: 70.0d > 30d (policy.toml:15)",
        "other/r0:return_value": "expired: 40.0d > 30d (policy.toml:1)",
    }
    here.apply(plan)
    assert before - here.refs() == GONE
    assert (len(keys - here.keys()), here.dangling()) == (len(GONE), set())


def test_a_check_counts_what_a_collection_takes(deploy: Deploy, file: Path) -> None:
    """`policy check` reads the rows alone, and judges them as a collection does."""
    here = deploy()
    world(here)
    policy = load_policy(file).policy
    found = match_policy(here.source, DialectRegistry(), [Root.parse(here.root)], policy)
    assert [(match.rule.place, match.rows, match.expiring) for match in found.rules] == [
        ("policy.toml:10", 2, 1),
        ("policy.toml:4", 5, 2),
        ("policy.toml:15", 6, 1),
        ("policy.toml:1", 2, 1),
    ]
    assert found.pinned == 1
