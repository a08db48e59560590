"""What guards mean in a shard: they judge a deployment, of which a shard sees a part."""

from __future__ import annotations

import pytest

from tests.services.deployment import Deploy, Deployment, deleted_keys
from xcomctl.gc.plan import Plan
from xcomctl.inventory.shards import Shard


def shard_of(dag: str, *, but: str) -> Shard:
    """A shard that has one DAG and does not have the other one."""
    shards = (Shard(number, of) for of in range(2, 9) for number in range(1, of + 1))
    return next(shard for shard in shards if shard.takes(dag) and not shard.takes(but))


def refusals(plan: Plan) -> dict[str, float | str]:
    """What stands in the way of a plan, with its value."""
    return {guard.id: guard.value for guard in plan.refusals}


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """A DAG with a row and its object, and another one that ran and left nothing but an orphan."""
    made = deploy()
    made.push("etl")
    made.database.add_run("train", "r1")
    made.upload("train")
    return made


def test_a_shard_without_rows_is_no_empty_database(here: Deployment) -> None:
    """Rows of others count, and some of their references tell that database and store belong together."""
    plan = here.plan(shard=shard_of("train", but="etl"))
    values = {guard.id: guard.value for guard in plan.guards}
    assert (refusals(plan), len(deleted_keys(plan))) == ({}, 1)
    assert (values["empty_database"], values["cross_match"]) == (1, 1.0)
    assert plan.totals["rows_scanned"] == 0


def test_the_wrong_database_is_told_in_each_shard(here: Deployment) -> None:
    """Where the references of no DAG match, those of the others do not help."""
    for key in here.keys():  # noqa: SIM118
        if "/etl/" in key:
            here.client.delete_object(Bucket=here.bucket, Key=key)
    assert refusals(here.plan(shard=shard_of("train", but="etl"))) == {"cross_match": 0.0}


def test_a_row_of_others_that_nobody_can_read_refuses(here: Deployment) -> None:
    """It may mean an object of this shard."""
    here.add_row("etl", "r1", f"see {here.bucket}/{here.prefix}/somewhere", name="odd")
    plan = here.plan(shard=shard_of("train", but="etl"))
    assert refusals(plan) == {"unreadable_references": 1}
    [cause] = [guard.cause for guard in plan.refusals]
    assert "such as etl/r1/load:odd" in cause


def test_an_object_that_a_row_of_another_shard_names_stays(here: Deployment) -> None:
    """Its DAG's rows are read to see whether they expire, and are nobody's but their own shard's."""
    [orphan] = [key for key in here.keys() if "/train/" in key]  # noqa: SIM118
    here.push("etl", name="other", key=orphan)
    plan = here.plan(shard=shard_of("train", but="etl"))
    assert (deleted_keys(plan), plan.totals["rows_scanned"], plan.totals["objects_live"]) == (set(), 0, 1)
