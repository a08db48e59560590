"""Objects that no dialect claims: whatever a row says of them, they stay, and what goes with the row says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.faults.killing import Strike, finish_operation, run_under
from tests.faults.scene import OLD, Scene, outcome
from tests.services.deployment import DAY
from tests.services.s3_requests import is_writing
from tests.services.scripted_store import Asked
from tests.services.store_faults import only
from xcomctl.models import Root
from xcomctl.state.journal import JournalStep, find, steps


def golden(scene: Scene) -> str:
    """Somebody's model below the root, which an expired row names exactly; its key."""
    key = scene.upload(key=f"{scene.here.prefix}/golden/model.bin")
    scene.here.add_row("etl", "old", {"__s3_ref__": key}, age=40 * DAY)
    return key


def recorded(scene: Scene, operation_id: str) -> list[JournalStep]:
    """The steps of an operation."""
    store = scene.here.store
    return list(steps(store, find(store, [Root.parse(scene.here.root)], operation_id)))


def test_an_object_of_no_dialect_stays_though_an_expired_row_names_it_exactly(scene: Scene) -> None:
    """The row goes, the object stays; outcome, journal and log say so, and the next run has nothing to do."""
    scene.push()
    key, gone = golden(scene), scene.expired()
    done = scene.gc(*OLD)
    assert (done.code, scene.present(key, gone)) == (0, [True, False]), done.stderr
    result = outcome(done)
    assert (result["rows"], result["objects"]["foreign"]) == ({"deleted": 2}, 1)
    (kept,) = [
        one for one in recorded(scene, json.loads(done.stdout)["operation_id"]) if one.kind == "keep_objects"
    ]
    assert [entry["key"] for entry in kept.intent] == [key]
    assert kept.outcome == [{"uri": f"s3://{scene.here.bucket}/{key}", "result": "foreign"}]
    assert scene.log()[0]["summary"]["foreign"] == 1
    again = scene.gc(*OLD)
    assert (again.code, outcome(again), scene.present(key)) == (0, {"rows": {}, "objects": {}}, [True])


def test_the_plan_says_which_objects_stay_without_a_row(scene: Scene) -> None:
    """With the row that goes, in JSON and in the table; the object is counted as foreign, and no byte of it as freed."""
    scene.push()
    key = golden(scene)
    plan = json.loads(scene.run("gc", *OLD, "--dry-run", "-o", "json").stdout)
    (kept,) = [action for action in plan["actions"] if action["action"] == "keep_object"]
    assert (kept["uri"], kept["dag_id"], kept["run_id"]) == (f"s3://{scene.here.bucket}/{key}", "etl", "old")
    assert kept["reason"].startswith("foreign: no dialect claims its key")
    assert (plan["totals"]["objects_foreign"], plan["totals"]["bytes_reclaimed"]) == (1, 0)
    shown = scene.run("gc", *OLD, "--dry-run")
    assert "objects that stay without a row:" in shown.stdout
    assert "would delete 1 row and 0 objects" in shown.stderr


def test_an_object_that_another_row_still_names_loses_nothing(scene: Scene) -> None:
    """Then it is live, whoever wrote it, and nothing is said of it."""
    scene.push()
    key = golden(scene)
    scene.here.add_row("etl", "new", {"__s3_ref__": key})
    plan = json.loads(scene.run("gc", *OLD, "--dry-run", "-o", "json").stdout)
    assert [action["action"] for action in plan["actions"]] == ["delete_row"]


def test_rm_leaves_an_object_of_no_dialect_too(scene: Scene) -> None:
    """Its row goes; stderr and outcome say that it stays."""
    scene.push()
    key = golden(scene)
    done = scene.run("rm", "--dag", "etl", "--run", "old", "--yes", "-o", "json")
    assert (done.code, scene.present(key)) == (0, [True]), done.stderr
    assert outcome(done) == {"rows": {"deleted": 1}, "objects": {"foreign": 1}}


def test_undo_brings_back_the_row_of_an_object_that_stayed(scene: Scene) -> None:
    """It names what is still there."""
    scene.push()
    golden(scene)
    refs = scene.here.refs()
    done = scene.gc(*OLD)
    assert scene.here.refs() != refs
    assert scene.run("undo", json.loads(done.stdout)["operation_id"], "--yes").code == 0
    assert scene.here.refs() == refs


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_before_the_rows_go_leaves_a_record_that_is_settled(scene: Scene, after: bool) -> None:
    """Nothing was to be done to the object, so that there is nothing to ask."""
    scene.push()
    key = golden(scene)
    strike = Strike(None)

    def is_intent(asked: Asked) -> bool:
        return is_writing(asked) and asked.path.endswith("keep_objects-intent.ndjson.gz")

    with scene.proxy.with_faults(only(is_intent, strike.deadly(after=after), times=1)):
        run_under(scene, strike)
    finish_operation(scene)
    assert scene.present(key) == [True]
    found: list[Any] = [
        (step.kind, [entry["result"] for entry in step.outcome or ()])
        for operation in scene.log()
        for step in recorded(scene, operation["id"])
        if step.kind == "keep_objects"
    ]
    assert found == [("keep_objects", ["foreign"])] * (2 if after else 1)
