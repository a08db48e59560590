"""Scenarios 14 and 19: databases of other deployments."""

from __future__ import annotations

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.scene import OLD, Scene, cause, run_here
from tests.services.deployment import NO_WAIT


@pytest.fixture
def two(make_scene: MakeScene) -> tuple[Scene, Scene]:
    """Two deployments with databases of their own, on one prefix of one bucket."""
    return make_scene(), make_scene()


def mixed(ours: Scene, theirs: Scene) -> tuple[str, ...]:
    """Options with our database and their store."""
    return (*ours.options[:2], *theirs.options[2:])


def test_14_the_database_of_another_deployment_is_refused(two: tuple[Scene, Scene]) -> None:
    """Right server, wrong database: its references match nothing, its DAGs are others. Exit 5, nothing deleted."""
    ours, theirs = two
    for run in range(12):
        key = ours.push("staging", f"r{run}", name="k")
        ours.here.client.delete_object(Bucket=ours.here.bucket, Key=key)
        ours.oracle.forget(f"staging/r{run}/load:k")
    theirs.push("prod")
    theirs.upload("prod")
    before = theirs.here.keys()
    done = run_here("gc", *mixed(ours, theirs), *NO_WAIT, "--yes")
    assert (done.code, theirs.here.keys()) == (5, before), done.stderr
    assert cause(done).startswith("refused by cross_match, unknown_dags")
    theirs.oracle.check()


def test_19_two_deployments_under_one_prefix_are_refused(two: tuple[Scene, Scene]) -> None:
    """What tasks of unknown DAGs wrote lately is somebody else's: exit 5, until the scope is our DAGs alone."""
    ours, theirs = two
    ours.push("etl")
    orphan = ours.upload("etl")
    theirs.push("report")
    refused = ours.gc()
    assert (refused.code, cause(refused).partition(":")[0]) == (5, "refused by unknown_dags")
    scoped = ours.gc("--dag", "etl")
    assert (scoped.code, ours.present(orphan)) == (0, [False]), scoped.stderr
    for scene in two:
        scene.oracle.check()


def test_19_a_store_that_another_database_collected_is_refused(two: tuple[Scene, Scene]) -> None:
    """The first collection leaves its mark: with another database, even one of the same DAGs, it is exit 5."""
    ours, theirs = two
    ours.push("etl")
    ours.upload("etl")
    assert ours.gc().code == 0
    theirs.push("etl")
    theirs.expired("etl")
    before = theirs.here.state()
    refused = theirs.gc(*OLD)
    assert (refused.code, theirs.here.state()) == (5, before), refused.stderr
    assert "owner" in cause(refused)
    for scene in two:
        scene.oracle.check()
