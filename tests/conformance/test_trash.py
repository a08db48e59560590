"""What leaves its place goes to the trash, comes back bit for bit, and is gone for good only once nobody wants it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import timedelta
from typing import Any, cast

import pytest

from tests.conformance.trash_bench import (
    KINDS,
    MakeBench,
    bench,
    journal_of,
    left_in_trash,
    make_bench,
    objects_of,
    rows_of,
    trash_of,
)
from tests.services.deployment import DAY, MONTH, Deploy, Deployment, two_runs
from tests.services.fault_proxy import fault_proxy
from tests.services.interposed import Died, Interposed, dies, nth
from tests.services.object_stores import point_to
from tests.services.store_faults import ignores_conditions
from xcomctl.demo.server import SeaweedFS
from xcomctl.gc.apply import Outcome
from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import DeleteOutcome, ObjectInfo, Store
from xcomctl.s3.store import S3Settings, S3Store
from xcomctl.state.journal import steps

__all__ = ["bench", "make_bench"]

NO_WAIT = timedelta(seconds=-5)
"""A time in the trash that is always over."""

GONE = {"deleted": 1, "trashed": 1}


def described(here: Deployment) -> str:
    """An orphan with a content type and metadata of its own; its key."""
    key = here.upload()
    here.client.put_object(
        Bucket=here.bucket,
        Key=key,
        Body=b"\x00\xff" * 1000,
        ContentType="application/x-parquet",
        Metadata={"airflow": "3.3.2"},
    )
    return key


def counts(outcome: Any) -> dict[str, int]:
    """What became of the objects, without the zeros."""
    return {name: number for name, number in outcome.objects.items() if number}


def test_what_goes_to_the_trash_comes_back_bit_for_bit(bench: Deployment) -> None:
    """Content, content type and metadata are those of before, and nothing stays in the trash."""
    gone, new = two_runs(bench)
    orphan = described(bench)
    before = objects_of(bench)
    outcome = bench.apply(bench.plan(MONTH))
    assert (bench.keys(), bench.trashed()) == ({new}, {gone, orphan})
    assert counts(outcome) == {"deleted": 2, "trashed": 2}
    with bench.operation() as operation:
        results = [recovery.result for recovery in operation.restore(trash_of(bench))]
    assert results == ["restored", "restored"]
    assert (objects_of(bench), left_in_trash(bench)) == (before, set())


def test_what_was_in_the_trash_for_long_is_purged(bench: Deployment) -> None:
    """A later collection deletes it for good; nothing of it is left, no copy and no version."""
    bench.push()
    key = bench.upload()
    bench.apply(bench.plan())
    assert bench.plan(trash_keep=DAY).action_counts()["purge_object"] == 0
    plan = bench.plan(trash_keep=NO_WAIT)
    assert plan.action_counts()["purge_object"] == 1
    assert counts(bench.apply(plan)) == {"purged": 1}
    assert (bench.trashed(), left_in_trash(bench)) == (set(), set())
    assert bench.store.versions(ObjectAddress(bench.bucket, key)) == []
    assert bench.plan(trash_keep=NO_WAIT).is_empty


def test_what_a_row_references_again_comes_back_first(bench: Deployment) -> None:
    """A database that was set back to a backup finds its objects again at the next collection."""
    bench.push()
    key = bench.upload()
    before = objects_of(bench)
    bench.apply(bench.plan())
    bench.push("back", key=key)
    assert bench.dangling() == {key}
    plan = bench.plan(trash_keep=NO_WAIT)
    kinds = {kind: number for kind, number in plan.action_counts().items() if number}
    assert kinds == {"restore_object": 1}
    assert counts(bench.apply(plan)) == {"restored": 1}
    assert (objects_of(bench), left_in_trash(bench), bench.dangling()) == (before, set(), set())


@pytest.mark.parametrize("kind", KINDS[:2])
def test_what_a_row_mentions_is_not_purged(make_bench: MakeBench, kind: str) -> None:
    """Right before it is gone for good all rows are read: whoever only mentions its uuid gets it back."""
    here = make_bench(kind)
    here.push()
    key = here.upload()
    here.apply(here.plan())
    plan = here.plan(trash_keep=NO_WAIT)
    here.add_row("late", "r1", {"log": f"see {key.rpartition('/')[2].upper()}, please"})
    assert counts(here.apply(plan)) == {"restored": 1}
    assert {key} <= here.keys()


def test_a_row_that_appears_at_the_last_moment_gets_its_object_back(bench: Deployment) -> None:
    """Between the last reading of the rows and the deletion: it is back before the operation ends."""
    bench.push()
    key = bench.upload()
    before = objects_of(bench)

    def push(objects: Any) -> None:
        if any(info.address.key == key for info in objects):
            bench.push("late", key=key)

    busy: Any = Interposed(bench.store, before={"delete": push})
    outcome = bench.apply(bench.plan(), store=busy)
    assert counts(outcome) == {"restored": 1}
    assert (objects_of(bench), bench.dangling(), left_in_trash(bench)) == (before, set(), set())
    assert outcome.bytes_reclaimed == 0


def test_also_an_operation_that_is_interrupted_looks_a_last_time(make_bench: MakeBench) -> None:
    """What it had taken until then, and a row names by now, is back before it ends."""
    here = make_bench("moto_server")
    here.push()
    key = here.upload()

    def report(stage: str, count: int) -> None:
        if stage == "objects deleted":
            here.push("late", key=key)
            raise KeyboardInterrupt

    outcome = Outcome()
    with pytest.raises(KeyboardInterrupt):
        here.apply(here.plan(), report=report, outcome=outcome)
    assert (counts(outcome), here.dangling()) == ({"restored": 1}, set())
    assert [record.state for record in journal_of(here)] == ["interrupted"]


def test_what_is_overwritten_at_the_last_moment_is_not_hidden(bench: Deployment) -> None:
    """A write right after our deletion stays in its place, and what it replaced is no loss."""
    bench.push()
    key = bench.upload(key=f"{bench.prefix}/etl/r9/load/ti-{'1' * 8}-1111-7111-8111-{'1' * 12}/x.json")

    def overwrite(objects: Any) -> None:
        if any(info.address.key == key for info in objects):
            bench.client.put_object(Bucket=bench.bucket, Key=key, Body=b"a new value")
            bench.push("late", key=key)

    busy: Any = Interposed(bench.store, after={"delete": overwrite})
    bench.apply(bench.plan(), store=busy)
    assert objects_of(bench)[key][0] == b"a new value"
    assert bench.dangling() == set()


def test_what_has_its_place_taken_stays_in_the_trash(bench: Deployment) -> None:
    """Nothing is overwritten by what comes back."""
    bench.push()
    key = bench.upload()
    bench.apply(bench.plan())
    bench.client.put_object(Bucket=bench.bucket, Key=key, Body=b"a new value")
    with bench.operation() as operation:
        (recovery,) = operation.restore(trash_of(bench))
    assert (recovery.result, objects_of(bench)[key][0]) == ("occupied", b"a new value")


@pytest.mark.parametrize("kind", ["seaweed", "moto_server"])
def test_a_key_of_full_length_has_its_copy_by_another_name(make_bench: MakeBench, kind: str) -> None:
    """Behind the folder of the trash it would be too long: a ledger tells whose copy it is."""
    here = make_bench(kind)
    here.push()
    folders = "/".join(["x" * 200] * 4)
    uuid = "11111111-1111-4111-8111-111111111111"
    key = here.upload(key=f"{here.prefix}/{folders}/etl/r1/{'y' * 140}/{uuid}")
    before = objects_of(here)
    plan = here.plan()
    assert counts(here.apply(plan)) == GONE
    assert (here.trashed(), len(left_in_trash(here))) == ({key}, 2)
    assert here.plan(trash_keep=DAY).is_empty
    with here.operation() as operation:
        assert [one.result for one in operation.restore(trash_of(here))] == ["restored"]
    assert (objects_of(here), left_in_trash(here)) == (before, set())


def test_without_a_trash_nothing_is_left_behind(bench: Deployment) -> None:
    """`--trash-keep 0s`: gone for good at the end of the operation, keys that are written once and others alike."""
    bench.push()
    bench.upload()
    bench.upload(key=f"{bench.prefix}/etl/r9/load/ti-{'1' * 8}-1111-7111-8111-{'1' * 12}/x.json")
    live = bench.keys() & bench.named()
    outcome = bench.apply(bench.plan(), trash_keep=timedelta(0))
    assert outcome.objects["deleted"] == 2
    assert (bench.keys(), left_in_trash(bench)) == (live, set())
    assert bench.plan(trash_keep=NO_WAIT).is_empty


def test_without_conditions_a_key_that_may_be_written_again_is_kept(
    deploy: Deploy, seaweed: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that deletes whatever is there: only keys that no writer puts twice go, and the others are counted."""
    here = deploy("postgres")
    here.push()
    unique = here.upload()
    reusable = here.upload(key=f"{here.prefix}/etl/r9/load/ti-{'1' * 8}-1111-7111-8111-{'1' * 12}/x.json")
    with fault_proxy(seaweed, ignores_conditions) as careless:
        point_to(monkeypatch, careless)
        with closing(S3Store(S3Settings())) as store:
            outcome = here.apply(here.plan(store=store), store=store)
    assert counts(outcome) == {"kept": 1, "deleted": 1, "trashed": 1}
    assert ({reusable} <= here.keys(), here.trashed()) == (True, {unique})


@pytest.mark.parametrize(
    "cause", ["SlowDown: Please reduce your request rate.", "http://s3 failed on s3://b (503)"]
)
def test_a_busy_store_is_asked_again_later(make_bench: MakeBench, cause: str) -> None:
    """A store that has no time for one of the keys is neither a failure nor a reason to forget it."""
    here = make_bench("moto_server")
    here.push()
    keys = {here.upload() for _ in range(3)}
    outcome = here.apply(here.plan(), store=cast("Any", Busy(here.store, min(keys), cause)))
    assert (counts(outcome), outcome.failures) == ({"deleted": 3, "trashed": 3}, [])
    assert (here.trashed(), len(left_in_trash(here))) == (keys, 3)


class Busy(Interposed):
    """A store that does not delete one key when it is asked to for the first time."""

    def __init__(self, store: Store, key: str, cause: str) -> None:
        super().__init__(store)
        self._key = key
        self._cause: str | None = cause

    def delete(self, objects: Sequence[ObjectInfo]) -> list[DeleteOutcome]:
        """Delete all but that one."""
        if self._cause is None or all(one.address.key != self._key for one in objects):
            return cast("list[DeleteOutcome]", self._port.delete(objects))
        cause, self._cause = self._cause, None
        (busy,) = (one.address for one in objects if one.address.key == self._key)
        deleted = {
            outcome.address: outcome
            for outcome in self._port.delete([one for one in objects if one.address != busy])
        }
        deleted[busy] = DeleteOutcome(busy, "failed", cause)
        return [deleted[one.address] for one in objects]


@pytest.mark.parametrize("stride", [pytest.param(1, marks=pytest.mark.slow), 11], ids=["each", "some"])
@pytest.mark.parametrize("kind", ["moto_server", "moto_server versions"])
def test_a_kill_at_any_step_is_settled_by_the_next_operation(
    make_bench: MakeBench, kind: str, stride: int
) -> None:
    """Whatever request to the store is the last one: no row dangles, and the next operation finishes the books."""
    here = make_bench(kind)
    here.push(run="new")
    number = 1
    while _dies_at(here, number):
        number += stride
    assert number > 10


def _dies_at(here: Deployment, number: int) -> bool:
    """One collection that is killed before its request of that number, and the next one; whether it was."""
    here.push(run=f"old{number}", age=40 * DAY)
    orphan = here.upload()
    plan = here.plan(MONTH)
    dead = False

    def die(*_: Any, **__: Any) -> None:
        nonlocal dead
        dead = True
        raise Died

    def refuse(*_: Any, **__: Any) -> None:
        if dead:
            raise Died
        strike()

    strike = nth(number, die)
    killed: Any = Interposed(here.store, before=dict.fromkeys(("put", "copy", "delete"), refuse))
    try:
        here.apply(plan, store=killed)
    except Died:
        # What a dead process holds is lost to it in time.
        here.client.delete_object(Bucket=here.bucket, Key=f"{here.prefix}/.xcomctl/lock.json")
    assert here.dangling() == set()
    here.apply(here.plan(MONTH))
    assert (here.dangling(), {orphan} & here.keys(), len(rows_of(here))) == (set(), set(), 1)
    assert {record.state for record in journal_of(here)} <= {"done", "interrupted"}
    return dead


@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_kill_while_the_trash_is_purged_is_settled(bench: Deployment, done: bool) -> None:
    """The next operation asks the store whether it is still there, be it a copy or a hidden version."""
    bench.push()
    key = bench.upload()
    bench.apply(bench.plan())
    where = "after" if done else "before"
    killed: Any = Interposed(bench.store, **{where: {"delete": dies, "delete_versions": dies}})
    with suppress(Died):
        bench.apply(bench.plan(trash_keep=NO_WAIT), store=killed)
    bench.client.delete_object(Bucket=bench.bucket, Key=f"{bench.prefix}/.xcomctl/lock.json")
    with bench.operation(command="next"):
        pass
    record = next(record for record in journal_of(bench) if record.state == "interrupted")
    results = [entry["result"] for step in steps(bench.store, record) for entry in step.outcome or ()]
    assert results == ["purged" if done else "failed"]
    bench.apply(bench.plan(trash_keep=NO_WAIT))
    assert (left_in_trash(bench), bench.store.versions(ObjectAddress(bench.bucket, key))) == (set(), [])
