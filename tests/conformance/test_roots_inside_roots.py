"""Roots around a root and inside of it: their owner, their lock and what they keep count."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest

from tests.services.deployment import DAY, MONTH, Deploy, Deployment, deleted_keys
from tests.services.fault_proxy import fault_proxy
from tests.services.s3_requests import names
from tests.services.store_faults import begun_earlier, error, only
from xcomctl.airflow.interface import Selection
from xcomctl.demo.server import SeaweedFS
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import LockedError, StoreError
from xcomctl.gc.plan import Plan
from xcomctl.gc.removal import Removal, plan_removal
from xcomctl.inventory.explain import explain
from xcomctl.inventory.judging import Question, Sides
from xcomctl.inventory.shards import Shard
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.store import S3Settings, S3Store
from xcomctl.state.lock import LockWait, lock_address
from xcomctl.state.operation import Extent
from xcomctl.state.owner import owner_address


@pytest.fixture
def staging(deploy: Deploy) -> Deployment:
    """Another deployment, which has collected its root inside of `airflow` before; its trash is not empty."""
    made = deploy(prefix="airflow/staging")
    made.push("etl", "live")
    made.upload("etl", "gone")
    made.apply(made.plan())
    return made


def around(deploy: Deploy) -> Deployment:
    """Production, which lies in `airflow/prod`, and is collected at `airflow`."""
    made = deploy(prefix="airflow/prod")
    made.push("etl", "new")
    made.upload("etl", "old")
    made.prefix = "airflow"
    return made


def refusals(plan: Plan) -> dict[str, float | str]:
    """The value of each guard that refuses."""
    return {guard.id: guard.value for guard in plan.refusals}


def test_a_root_around_the_root_of_another_database_is_refused(deploy: Deploy, staging: Deployment) -> None:
    """By the name of its owner, which the listing shows; accepted, what lies in there is still nobody's candidate."""
    here = around(deploy)
    plan = here.plan(orphans=True)
    other = staging.source.identity()
    assert refusals(plan) == {"owner": other}
    (guard,) = plan.refusals
    assert guard.cause.startswith(
        f"s3://{here.bucket}/airflow/staging, inside of the store, belongs to another database,"
        f" {staging.source.info().label} ({other}); this one is {here.source.identity()}"
    )
    accepted = here.plan(accepted=[f"owner={other}"])
    assert (refusals(accepted), {key.split("/")[1] for key in deleted_keys(accepted)}) == ({}, {"prod"})
    assert (accepted.totals["objects_foreign"], accepted.totals["objects_orphaned"]) == (1, 1)


def test_the_trash_of_another_database_is_left_alone(deploy: Deploy, staging: Deployment) -> None:
    """Neither is it purged when its time is over, nor does anything come back from it for a row of ours."""
    here = around(deploy)
    (gone,) = staging.trashed()
    here.push("etl", "again", key=gone)
    accepted = [f"owner={staging.source.identity()}"]
    for keep in (timedelta(days=14), timedelta(0)):
        plan = here.plan(accepted=accepted, trash_keep=keep)
        here.apply(plan)
        assert {action["uri"].split("/")[4] for action in plan.actions.records()} == {"prod"}
    assert staging.trashed() == {gone}


def test_a_row_that_expires_takes_nothing_from_the_root_of_another_database(
    deploy: Deploy, staging: Deployment
) -> None:
    """Even if it names the object exactly: the row goes, the object stays."""
    here = around(deploy)
    (theirs,) = staging.keys() & staging.named()
    here.push("etl", "ancient", key=theirs, age=40 * DAY)
    plan = here.plan(MONTH, accepted=[f"owner={staging.source.identity()}"], orphans=False)
    assert (plan.action_counts()["delete_row"], deleted_keys(plan)) == (1, set())


def test_an_upload_in_the_root_of_another_database_is_not_aborted(
    deploy: Deploy, staging: Deployment, seaweed: SeaweedFS
) -> None:
    """However long ago it was begun, and whatever claims its key: only our own goes."""
    here = around(deploy)
    for place in ("prod", "staging"):
        key = f"airflow/{place}/etl/r1/load/7d0a3b1c-0000-4000-8000-000000000001"
        here.client.create_multipart_upload(Bucket=here.bucket, Key=key)
    with (
        fault_proxy(seaweed, begun_earlier(8 * DAY)) as proxy,
        closing(S3Store(S3Settings(endpoint_url=proxy.endpoint_url))) as store,
    ):
        plan = here.plan(accepted=[f"owner={staging.source.identity()}"], store=store)
    aborted = [action["uri"].split("/")[4] for action in plan.actions.records("abort_upload")]
    assert (aborted, plan.totals["uploads_abandoned"], plan.totals["uploads_foreign"]) == (["prod"], 1, 1)


def test_explain_says_in_whose_root_an_object_lies(deploy: Deploy, staging: Deployment) -> None:
    """It is foreign there, with the name of the database."""
    here = around(deploy)
    (theirs,) = staging.keys() & staging.named()
    subject = ObjectAddress(here.bucket, theirs)
    found = explain(subject, here.sides(), Question(min_age=timedelta(hours=-1))).object
    assert found is not None
    assert (found.state, found.reason) == (
        "foreign",
        f"it lies in {staging.root}, the root of another database: {staging.source.info().label}",
    )


def test_a_root_inside_of_our_own_is_ours(deploy: Deploy) -> None:
    """Collected at `airflow/prod` before, it may be collected at `airflow`."""
    here = deploy(prefix="airflow/prod")
    here.push("etl", "new")
    here.upload("etl", "old")
    here.apply(here.plan())
    orphan = here.upload("etl", "old")
    here.prefix = "airflow"
    plan = here.plan()
    assert (refusals(plan), deleted_keys(plan)) == ({}, {orphan})


def test_a_root_inside_of_the_root_of_another_database_is_refused(deploy: Deploy) -> None:
    """The markers of the folders above are asked for."""
    other = deploy(prefix="airflow")
    other.push("etl", "live")
    other.upload("etl", "gone")
    other.apply(other.plan())
    here = deploy(prefix="airflow/team/prod")
    here.push("etl", "new")
    here.upload("etl", "old")
    plan = here.plan()
    assert refusals(plan) == {"owner": other.source.identity()}
    assert plan.refusals[0].cause.startswith(
        f"s3://{here.bucket}/airflow, in which the store lies, belongs to another database, "
    )
    assert refusals(here.plan(accepted=[f"owner={other.source.identity()}"])) == {}


def test_several_others_are_accepted_together(deploy: Deploy, staging: Deployment) -> None:
    """By one value, which is another one as soon as there is one more of them."""
    second = deploy(prefix="airflow/dev")
    second.push("etl", "live")
    second.upload("etl", "gone")
    second.apply(second.plan())
    here = around(deploy)
    value = refusals(here.plan())["owner"]
    assert value not in {one.source.identity() for one in (staging, second, here)}
    assert "and 1 more roots to others" in here.plan().refusals[0].cause
    assert refusals(here.plan(accepted=[f"owner={value}"])) == {}
    third = deploy(prefix="airflow/test")
    third.push("etl", "live")
    third.upload("etl", "gone")
    third.apply(third.plan())
    assert set(refusals(here.plan(accepted=[f"owner={value}"]))) == {"owner"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda here, address: here.client.delete_object(Bucket=address.bucket, Key=address.key),
        lambda here, address: here.client.put_object(Bucket=address.bucket, Key=address.key, Body=b"{}"),
    ],
    ids=["missing", "damaged"],
)
def test_a_root_inside_of_which_nothing_tells_the_owner_is_refused(
    deploy: Deploy, staging: Deployment, spoil: Callable[[Deployment, ObjectAddress], object]
) -> None:
    """A marker that is missing is made up for by the journal; where that is missing, too, or it is damaged, nobody knows."""
    here = around(deploy)
    spoil(staging, owner_address(Root.parse(staging.root)))
    assert set(refusals(here.plan())) == {"owner"}
    for key in staging.all_keys():
        if "/.xcomctl/journal/" in key:
            staging.client.delete_object(Bucket=here.bucket, Key=key)
    plan = here.plan()
    assert set(refusals(plan)) == {"owner"}
    accepted = here.plan(accepted=[f"owner={plan.refusals[0].value}"])
    assert (refusals(accepted), {key.split("/")[1] for key in deleted_keys(accepted)}) == ({}, {"prod"})


def test_of_the_shares_the_one_that_has_the_inner_root_is_refused(
    deploy: Deploy, staging: Deployment
) -> None:
    """What lies in it is in one share; none makes a candidate of it."""
    here = around(deploy)
    plans = [here.plan(shard=Shard(number, 3)) for number in (1, 2, 3)]
    assert [refusals(plan) for plan in plans if plan.refusals] == [{"owner": staging.source.identity()}]
    assert {key.split("/")[1] for plan in plans for key in deleted_keys(plan)} == {"prod"}


def test_rm_takes_nothing_from_the_root_of_another_database(deploy: Deploy, staging: Deployment) -> None:
    """Without a listing the folders of the objects are asked for a marker."""
    here = around(deploy)
    (theirs,) = staging.keys() & staging.named()
    here.push("etl", "odd", key=theirs)
    sides = Sides(here.source, here.store, DialectRegistry(), (Root.parse(here.root),))

    def removal(*accepted: str) -> Plan:
        rows = here.source.rows(Selection(run="odd"))
        return plan_removal(
            sides, rows, Removal({"run": "odd"}), now=datetime.now(timezone.utc), accepted=accepted
        )

    other = staging.source.identity()
    assert refusals(removal()) == {"owner": other}
    plan = removal(f"owner={other}")
    assert (refusals(plan), plan.action_counts()["delete_row"], deleted_keys(plan)) == ({}, 1, set())


def test_a_lock_around_or_inside_is_respected(deploy: Deploy) -> None:
    """Who works above or below works on the same objects: he is named, and nothing of ours stays locked."""
    here = deploy(prefix="airflow/prod")
    inner, outer = Root.parse(here.root), Root(here.bucket, "airflow/")
    with here.operation(roots=[outer]):
        begun = here.operation(roots=[inner])
        with pytest.raises(LockedError, match=f"^{outer.uri} is locked by kim@worker"):
            begun.__enter__()
    assert here.store.stat(lock_address(inner)) is None
    with here.operation(roots=[inner]):
        begun = here.operation(roots=[outer], extent=Extent(inside=(inner,)))
        with pytest.raises(LockedError, match=f"^{inner.uri} is locked by kim@worker"):
            begun.__enter__()
        assert here.store.stat(lock_address(outer)) is None
    with here.operation(roots=[outer], extent=Extent(inside=(inner,))):
        pass


def test_a_lock_around_is_waited_for(deploy: Deploy) -> None:
    """As one's own is; once its time is over it is none."""
    here = deploy(prefix="airflow/prod")
    outer = Root(here.bucket, "airflow/")
    told: list[str] = []
    with here.operation(roots=[outer]):
        held = here.store.read(lock_address(outer))
    expired = json.loads(held) | {
        "expires_at": (here.store.now(here.bucket) + timedelta(seconds=2)).isoformat()
    }
    here.client.put_object(Bucket=here.bucket, Key=lock_address(outer).key, Body=json.dumps(expired).encode())
    with here.operation(lock_wait=LockWait(timedelta(seconds=30), told.append)) as operation:
        assert operation.journal is not None
    assert len(told) == 1


def test_a_plan_names_the_roots_inside(deploy: Deploy, staging: Deployment) -> None:
    """So that whoever applies it knows whose locks to look at, and whose owners to ask for again."""
    plan = around(deploy).plan()
    assert plan.header()["inside"] == [f"s3://{staging.bucket}/airflow/staging/"]


def test_where_we_may_not_look_above_there_is_nothing(deploy: Deploy, seaweed: SeaweedFS) -> None:
    """Credentials are often bound to a prefix. What fails in another way is an error, and not an answer."""
    here = deploy(prefix="airflow/prod")
    here.push("etl", "new")
    here.upload("etl", "old")
    above = owner_address(Root(here.bucket, "airflow/")).key
    for status, code in ((403, "AccessDenied"), (500, "InternalError")):
        with (
            fault_proxy(seaweed, only(names(above), error(status, code))) as proxy,
            closing(S3Store(S3Settings(endpoint_url=proxy.endpoint_url))) as store,
        ):
            if status == 403:
                assert refusals(here.plan(store=store)) == {}
            else:
                with pytest.raises(StoreError):
                    here.plan(store=store)
