"""Collections beside a database that mentions objects outside of its XComs: what is mentioned stays, and explain says where."""

from __future__ import annotations

import json

import pytest

from tests.conformance.test_explain import explained
from tests.conformance.test_source_places import add_places, reader
from tests.services.deployment import MONTH, Deploy, deleted_keys, two_runs
from xcomctl.airflow.database import DatabaseSource
from xcomctl.errors import SourceError
from xcomctl.inventory.explain.facts import PlaceFacts

ENGINES = ["sqlite", "postgres"]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_collection_keeps_what_other_places_mention(deploy: Deploy, engine: str) -> None:
    """Orphans and objects of expired rows stay if the conf of a run or a Variable mentions them; explain tells where."""
    here = deploy(engine)
    gone, _ = two_runs(here)
    orphan, other = here.upload(), here.upload()
    add_places(here.database)
    uuid = orphan.rpartition("/")[2]
    here.database._insert("variable", id=1, key="latest", val=f"deadbeef{uuid}")
    here.database.execute(
        "UPDATE dag_run SET conf = :conf WHERE run_id = 'new'", conf=json.dumps({"of": here.uri(gone)})
    )
    assert deleted_keys(here.plan(MONTH)) == {other}
    found = explained(here, f"s3://{here.bucket}/{orphan}")
    assert found.object is not None
    assert (found.object.state, found.object.reason, found.rows_total) == ("live", "1 place mentions it", 0)
    assert found.places == (PlaceFacts("variable", "val", "latest"),)
    assert found.document()["places"] == [{"table": "variable", "column": "val", "row": "latest"}]
    assert uuid not in json.dumps(found.document()["places"])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_mention_that_comes_after_the_plan_keeps_its_object(deploy: Deploy, engine: str) -> None:
    """The reading before a deletion looks through the other places as well."""
    here = deploy(engine)
    add_places(here.database)
    gone, new = two_runs(here)
    orphan = here.upload()
    plan = here.plan(MONTH)
    assert deleted_keys(plan) == {gone, orphan}
    here.database._insert("variable", id=1, key="latest", val=here.uri(orphan))
    outcome = here.apply(plan)
    assert outcome.objects["referenced"] == 1
    assert {orphan, new} <= here.keys()
    assert gone not in here.keys()


def test_a_shard_keeps_what_other_places_mention(deploy: Deploy) -> None:
    """Places are of no shard: each share keeps what they mention."""
    here = deploy()
    two_runs(here)
    orphan = here.upload()
    add_places(here.database)
    here.database._insert("variable", id=1, key="latest", val=here.uri(orphan))
    from xcomctl.inventory.shards import Shard

    plans = [here.plan(MONTH, shard=Shard(number, 2)) for number in (1, 2)]
    assert all(orphan not in deleted_keys(plan) for plan in plans)


def test_a_right_that_is_missing_stops_before_anything_is_listed(deploy: Deploy) -> None:
    """Who may not look through a place learns it at once, and no plan is made."""
    here = deploy("postgres")
    two_runs(here)
    add_places(here.database)
    with (
        reader(here.database, "SELECT ON dag_run, task_instance, connection, asset_event") as url,
        pytest.raises(SourceError, match="may not look through variable"),
    ):
        source = DatabaseSource(url)
        try:
            here.plan(MONTH, source=source)
        finally:
            source.close()
