"""Collections and checks from an S3 Inventory: as from a listing, but for what changed since."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest

from tests.services.deployment import DAY, MONTH, Deploy, Deployment, deleted_keys
from tests.services.fault_proxy import fault_proxy
from tests.services.s3_inventories import FORMATS, Format, InventoryWriter
from tests.services.s3_requests import names
from tests.services.store_faults import error, only
from tests.services.sweeps import sweep
from xcomctl.demo.server import SeaweedFS
from xcomctl.errors import StoreError
from xcomctl.inventory.fsck import FsckResult, check
from xcomctl.inventory.judging import Question
from xcomctl.inventory.shards import Shard
from xcomctl.models import Root
from xcomctl.s3.interface import StoredListing
from xcomctl.s3.inventory.listing import S3Inventory
from xcomctl.s3.store import S3Settings, S3Store

HOUR = timedelta(hours=1)
GRACE = timedelta(hours=24)


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """Expired and live rows, orphans old and young, a dangling row, a foreign object: all older than an hour."""
    made = deploy()
    made.push(run="old", age=40 * DAY, object_age=40 * DAY)
    made.push(run="new", age=2 * HOUR, object_age=2 * HOUR)
    made.push("lost", key=f"{made.prefix}/lost/r1/load/{uuid4()}", age=2 * HOUR)
    for run in ("gone", "gone 1+2 é%41", "gone too"):
        made.upload(run=run, age=3 * DAY)
    made.upload(run="young", age=20 * HOUR)
    made.upload(key=f"{made.prefix}/READ ME + %20é.txt", age=3 * DAY)
    made.settle()
    return made


def inventory_of(here: Deployment, kind: Format = "CSV") -> StoredListing:
    """An inventory of the bucket as it is now, begun an hour ago."""
    uri = InventoryWriter(here.client, here.bucket).write(kind, datetime.now(timezone.utc) - HOUR)
    return S3Inventory.open(here.store, uri, [Root.parse(here.root)])


def checked(here: Deployment, listing: StoredListing | None, min_age: timedelta = GRACE) -> dict[str, Any]:
    """What a check tells."""
    sides = replace(here.sides(), listing=listing)
    with check(sides, Question(min_age=min_age), now=datetime.now(timezone.utc)) as result:
        return told(result)


def told(result: FsckResult) -> dict[str, Any]:
    """Totals, counts and findings."""
    return {
        "totals": result.totals(),
        **{kind.kind: kind.count for kind in result.summary()},
        "findings": list(result.findings()),
    }


def key_of(here: Deployment, run: str) -> str:
    """The key of the one object of a run."""
    (key,) = (key for key in sorted(here.keys()) if f"/{run}/" in key)
    return key


@pytest.mark.parametrize("kind", sweep(FORMATS, lambda kind: kind == "Parquet"))
def test_an_inventory_leads_where_a_listing_does(here: Deployment, kind: Format) -> None:
    """Findings, totals, guards and actions are the same, to the last column, as long as nothing changed."""
    listing = inventory_of(here, kind)
    by_listing = checked(here, None)
    assert [by_listing[name] for name in ("orphaned", "dangling", "unresolved", "foreign")] == [3, 1, 0, 1]
    assert checked(here, listing) == by_listing
    expected, plan = (here.plan(MONTH, min_age=GRACE, listing=given) for given in (None, listing))
    assert len(expected.actions) == 5
    found, wanted = (
        sorted(one.actions.records(), key=lambda action: (action["action"], action["uri"]))
        for one in (plan, expected)
    )
    assert found == wanted
    assert (plan.totals, plan.guards, plan.scope) == (expected.totals, expected.guards, expected.scope)


def test_what_changed_since_the_inventory_is_as_it_is_now(here: Deployment) -> None:
    """Objects that are gone are no candidates, nor those that were written again; those that came since are left alone."""
    listing = inventory_of(here)
    gone, again = key_of(here, "gone"), key_of(here, "gone too")
    here.client.delete_object(Bucket=here.bucket, Key=gone)
    here.client.put_object(Bucket=here.bucket, Key=again, Body=b"a new value")
    fresh = here.push("later")
    loose = here.upload("later", "no row yet")
    found = checked(here, listing)
    assert (found["orphaned"], found["dangling"], found["totals"].objects_recent) == (1, 1, 2)
    plan = here.plan(MONTH, min_age=GRACE, listing=listing)
    assert deleted_keys(plan) == {key_of(here, "old"), key_of(here, "gone 1+2 é%41")}
    outcome = here.apply(plan)
    assert (outcome.rows["deleted"], outcome.objects["deleted"]) == (1, 2)
    assert {again, fresh, loose} <= here.keys()


def test_an_expired_object_that_is_gone_since_makes_its_row_dangling(here: Deployment) -> None:
    """As it would by a listing; its row goes all the same."""
    listing = inventory_of(here)
    here.client.delete_object(Bucket=here.bucket, Key=key_of(here, "old"))
    plans = [here.plan(MONTH, min_age=GRACE, listing=given, orphans=False) for given in (None, listing)]
    assert plans[1].totals == plans[0].totals
    assert [plan.action_counts()["delete_row"] for plan in plans] == [1, 1]
    assert [deleted_keys(plan) for plan in plans] == [set(), set()]


def test_an_object_that_was_written_again_long_ago_goes_as_it_is(here: Deployment) -> None:
    """An inventory may be behind: what it tells wrongly of an old object does not keep that from going."""
    writer = InventoryWriter(here.client, here.bucket)
    lines = [replace(line, at=line.at - DAY, etag="0" * 32) for line in writer.objects(here.prefix)]
    uri = writer.write("CSV", datetime.now(timezone.utc) - HOUR, lines + lines[:2])
    listing = S3Inventory.open(here.store, uri, [Root.parse(here.root)])
    plan = here.plan(MONTH, min_age=GRACE, listing=listing)
    outcome = here.apply(plan)
    assert (outcome.objects["deleted"], outcome.objects["changed"], outcome.objects["gone"]) == (4, 0, 0)


def test_the_grace_period_counts_from_the_inventory(here: Deployment) -> None:
    """An orphan of 20 hours is 19 hours old for an inventory of an hour ago."""
    listing = inventory_of(here)
    found = [checked(here, listing, timedelta(hours=hours))["orphaned"] for hours in (18, 19.5)]
    assert found == [4, 3]


def test_an_object_that_went_to_the_trash_since_comes_back(here: Deployment) -> None:
    """The trash is looked at as it is: what a row references again is brought back, though the inventory has it."""
    listing = inventory_of(here)
    gone = key_of(here, "gone too")
    here.apply(here.plan(min_age=GRACE))
    assert gone in here.trashed()
    here.push("etl", "gone too", key=gone)
    plan = here.plan(min_age=GRACE, listing=listing)
    assert {kind: count for kind, count in plan.action_counts().items() if count} == {"restore_object": 1}
    here.apply(plan)
    assert gone in here.keys()  # noqa: SIM118 - not a dict
    # By now it is back in its place, and the next plan knows, whatever the inventory says.
    assert here.plan(min_age=GRACE, listing=listing).is_empty


def test_an_object_that_came_back_since_is_not_put_back_again(here: Deployment) -> None:
    """What is in the trash stays there if its place is taken, though the inventory says that it is free."""
    gone = key_of(here, "gone too")
    here.apply(here.plan(min_age=GRACE))
    listing = inventory_of(here)
    here.push("etl", "gone too", key=gone)
    here.client.put_object(Bucket=here.bucket, Key=gone, Body=b"a new value")
    assert here.plan(min_age=GRACE, listing=listing).is_empty


def test_the_guards_know_how_old_the_objects_are(here: Deployment) -> None:
    """References that are younger than the inventory do not speak against it; DAGs that wrote before it are active."""
    for number in range(30):
        here.push("etl", f"later{number}")
    unknown = here.upload("stranger", "r1", age=12 * DAY)
    here.settle()
    writer = InventoryWriter(here.client, here.bucket)
    before = [line for line in writer.objects() if "/later" not in line.key]
    uri = writer.write("CSV", datetime.now(timezone.utc) - 10 * DAY, before)
    listing = S3Inventory.open(here.store, uri, [Root.parse(here.root)])
    plan = here.plan(MONTH, min_age=GRACE, listing=listing)
    assert unknown in deleted_keys(plan)
    refused = {guard.id: guard.value for guard in plan.refusals}
    assert refused == {"unknown_dags": 1}
    (match,) = (guard.value for guard in plan.guards if guard.id == "cross_match")
    assert match == 1.0


def test_a_candidate_that_cannot_be_asked_for_is_an_error(here: Deployment, seaweed: SeaweedFS) -> None:
    """It may be gone, or written again: neither is assumed."""
    listing = inventory_of(here)
    before = here.state()
    fault = only(names(key_of(here, "gone too")), error(403, "AccessDenied"))
    with (
        fault_proxy(seaweed, fault) as proxy,
        closing(S3Store(S3Settings(endpoint_url=proxy.endpoint_url))) as store,
        pytest.raises(StoreError, match=r"gone too/.* cannot be asked for: access to .* is denied"),
    ):
        here.plan(MONTH, min_age=GRACE, listing=listing, store=store)
    assert here.state() == before


def test_shards_of_an_inventory_are_together_all_of_it(here: Deployment) -> None:
    """Each machine reads the list, and takes its shard of it."""
    listing = inventory_of(here)
    whole = here.plan(MONTH, min_age=GRACE, listing=listing)
    shards = [
        here.plan(MONTH, min_age=GRACE, listing=listing, shard=Shard(number, 3)) for number in (1, 2, 3)
    ]
    uris = [action["uri"] for plan in shards for action in plan.actions.records()]
    assert sorted(uris) == sorted(action["uri"] for action in whole.actions.records())
    assert sum(plan.totals["objects_scanned"] for plan in shards) == whole.totals["objects_scanned"]
