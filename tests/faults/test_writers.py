"""Scenarios 01 to 06: tasks that write while the tool collects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.scene import OLD, Scene, outcome
from tests.services.deployment import NO_WAIT
from tests.services.fault_proxy import Fault
from tests.services.s3_requests import deletes, is_copy, is_listing_of_objects, names
from tests.services.store_faults import at, ignores_batch_conditions, ignores_conditions, only


def once(when: Callable[..., bool], act: Callable[[], object], *, after: bool = False) -> Fault:
    """Something happens once, at the first request that `when` means."""
    return only(when, at(lambda: (act(), None)[1], after=after), times=1)


@pytest.fixture(params=["plain", "versioned"])
def stored(request: pytest.FixtureRequest, make_scene: MakeScene) -> Scene:
    """A scene on a bucket that keeps no versions, and on one that does."""
    scene = make_scene()
    if request.param == "versioned":
        scene.keep_versions()
    return scene


@pytest.mark.parametrize("moment", ["before the rows are read", "before the deletion", "afterwards"])
def test_01_an_upload_whose_row_is_late_is_left_alone(scene: Scene, moment: str) -> None:
    """Within the grace period the object of a row that is not committed yet is nobody's candidate."""
    scene.push()
    gone = scene.expired()
    body = scene.new_body()
    key = scene.upload(body=body)

    def commit() -> None:
        scene.commit(key, body)

    faults = {
        "before the rows are read": [once(is_listing_of_objects, commit, after=True)],
        "before the deletion": [once(deletes(gone), commit)],
        "afterwards": [],
    }
    with scene.proxy.with_faults(*faults[moment]):
        done = scene.run("gc", "--min-age", "1h", "--yes", "-o", "json", *OLD)
    if moment == "afterwards":
        commit()
    assert (done.code, scene.present(gone, key)) == (0, [False, True]), done.stderr
    scene.oracle.check()


def test_02_a_row_that_comes_too_late_gets_its_object_back(stored: Scene) -> None:
    """A zombie commits long after the grace period: its object is in the trash, and the next collection restores it."""
    stored.push()
    body = stored.new_body()
    key = stored.upload(body=body)
    assert (stored.gc().code, stored.present(key)) == (0, [False])
    stored.commit(key, body, "etl", "zombie", state="failed")
    done = stored.gc()
    assert (done.code, outcome(done)["objects"]) == (0, {"restored": 1}), done.stderr
    stored.oracle.check()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_02_a_row_that_comes_while_its_object_goes_gets_it_back_at_once(stored: Scene, after: bool) -> None:
    """Between the last question and the deletion nobody can look: what is referenced afterwards is restored."""
    stored.push()
    body = stored.new_body()
    key = stored.upload(body=body)
    with stored.proxy.with_faults(once(deletes(key), lambda: stored.commit(key, body), after=after)):
        done = stored.gc()
    assert (done.code, outcome(done)["objects"]["restored"]) == (0, 1), done.stderr
    stored.oracle.check()


@pytest.mark.parametrize("moment", ["copy", "deletion"])
def test_03_a_retry_that_writes_the_key_again_keeps_its_bytes(stored: Scene, moment: str) -> None:
    """The deletion is on the condition that the object is the judged one: it is not, and stays."""
    stored.push()
    key = stored.upload(key=stored.reusable())

    def retry() -> None:
        stored.push("etl", "gone", key=key)

    when = deletes(key) if moment == "deletion" else lambda asked: is_copy(asked) and names(key)(asked)
    with stored.proxy.with_faults(once(when, retry)):
        done = stored.gc()
    assert done.code == 0, done.stderr
    stored.oracle.check()


def test_04_a_retry_that_writes_the_same_bytes_again_keeps_them(stored: Scene) -> None:
    """Same key, same content, same etag: no condition can tell; the object is back before the operation ends."""
    stored.push()
    body = stored.new_body()
    key = stored.upload(key=stored.reusable(), body=body)
    with stored.proxy.with_faults(once(deletes(key), lambda: stored.push("etl", "gone", key=key, body=body))):
        done = stored.gc()
    assert done.code == 0, done.stderr
    stored.oracle.check()


@pytest.mark.parametrize("fault", [ignores_conditions, ignores_batch_conditions])
def test_05_a_store_without_conditions_loses_nothing_that_is_written_again(
    postgres_scene: Scene, fault: Fault
) -> None:
    """The probe finds out. Keys that are written again are kept where no condition works; those with a uuid go."""
    scene = postgres_scene
    scene.push()
    again, never = scene.upload(key=scene.reusable()), scene.upload()

    def retry() -> None:
        scene.push("etl", "gone", key=again)

    with scene.proxy.with_faults(once(deletes(again), retry), fault):
        done = scene.gc()
    assert (done.code, scene.present(never)) == (0, [False]), done.stderr
    if fault is ignores_conditions:
        assert (outcome(done)["objects"]["kept"], scene.present(again)) == (1, [True])
    scene.oracle.check()


def test_06_a_task_that_is_cleared_after_the_plan_keeps_everything(scene: Scene, tmp_path: Path) -> None:
    """The run is not over any more when the plan is applied: neither row nor object of it goes."""
    scene.push()
    key = scene.expired()
    plan = str(tmp_path / "plan.xcp")
    planned = scene.run("plan", *NO_WAIT, *OLD, "--out", plan)
    assert planned.code == 0, planned.stderr
    scene.here.database.execute("UPDATE task_instance SET state = NULL WHERE run_id = 'old'")
    scene.here.database.execute("UPDATE dag_run SET state = 'queued' WHERE run_id = 'old'")
    applied = scene.run("apply", plan, "--yes", "-o", "json")
    assert applied.code == 0, applied.stderr
    assert outcome(applied) == {"rows": {"run_active": 1}, "objects": {"referenced": 1}}
    assert scene.present(key) == [True]
    scene.oracle.check()
