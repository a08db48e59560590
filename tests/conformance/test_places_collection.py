"""Collections where the database mentions objects outside of its XComs: these stay, and explain says where."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

import pytest

from tests.conformance.test_explain import explained
from tests.conformance.test_source_places import add_places, reader
from tests.services.deployment import MONTH, Deploy, deleted_keys, two_runs
from tests.services.processes import free_port
from xcomctl.airflow.database import DatabaseSource
from xcomctl.errors import SourceError
from xcomctl.inventory.explain import explain
from xcomctl.inventory.explain.facts import PlaceFacts
from xcomctl.inventory.judging import Question
from xcomctl.inventory.shards import Shard
from xcomctl.models import ObjectAddress
from xcomctl.s3.store import S3Settings, S3Store

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
    assert here.keys() & {gone, orphan, new} == {orphan, new}


def test_a_shard_keeps_what_other_places_mention(deploy: Deploy) -> None:
    """Places are of no shard: each share keeps what they mention."""
    here = deploy()
    two_runs(here)
    orphan = here.upload()
    add_places(here.database)
    here.database._insert("variable", id=1, key="latest", val=here.uri(orphan))
    plans = [here.plan(MONTH, shard=Shard(number, 2)) for number in (1, 2)]
    assert all(orphan not in deleted_keys(plan) for plan in plans)


def test_a_right_that_is_missing_is_told_at_once(deploy: Deploy) -> None:
    """Who may not look through a place learns it while the store is asked, whatever that says, and no plan is made."""
    here = deploy("postgres")
    two_runs(here)
    add_places(here.database)
    nowhere = S3Store(S3Settings(endpoint_url=f"http://127.0.0.1:{free_port()}"))
    with (
        reader(here.database, "SELECT ON dag_run, task_instance, connection, asset_event") as url,
        closing(DatabaseSource(url)) as source,
    ):
        sides = replace(here.sides(), source=source, store=nowhere)
        with pytest.raises(SourceError, match="may not look through variable"):
            explain(ObjectAddress(here.bucket, "etl"), sides, Question(MONTH))
