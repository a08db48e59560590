"""Unfinished multipart uploads: what a collection aborts, what it leaves, and what is told of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.killing import Strike, finish_operation, run_under
from tests.faults.scene import Scene, run_here
from tests.services.deployment import DAY
from tests.services.s3_requests import aborts_upload, lists_parts, lists_uploads
from tests.services.scripted_store import Asked
from tests.services.store_faults import begun_earlier, error, lost_answer, only
from xcomctl.models import Root
from xcomctl.state.journal import find, steps

WEEK = 7 * DAY

EARLY = begun_earlier(WEEK + DAY, lambda key: "young" not in key)
"""Uploads were begun eight days ago, those aside that are called young."""


def begin(scene: Scene, key: str, size: int = 100) -> str:
    """An upload of one part, which nobody completes; its key."""
    client, name = scene.here.client, {"Bucket": scene.here.bucket, "Key": key}
    upload_id = client.create_multipart_upload(**name)["UploadId"]
    client.upload_part(**name, UploadId=upload_id, PartNumber=1, Body=b"x" * size)
    return key


def claimed(scene: Scene, dag: str = "etl", number: int = 1) -> str:
    """A key that a backend writes."""
    return f"{scene.here.prefix}/{dag}/r1/load/7d0a3b1c-0000-4000-8000-{number:012d}"


def unfinished(scene: Scene) -> list[str]:
    """Keys of all uploads that nobody completed."""
    found = scene.here.client.list_multipart_uploads(Bucket=scene.here.bucket).get("Uploads", [])
    return sorted(item["Key"] for item in found)


def uploads_of(stdout: str) -> dict[str, int]:
    """Uploads by what became of them, without those of which there are none."""
    return {name: number for name, number in json.loads(stdout)["uploads"].items() if number}


@pytest.fixture
def beset(scene: Scene) -> Scene:
    """A scene with a live XCom, and uploads: old and claimed, of a foreign key, and young. The store says so."""
    scene.push()
    for key in (
        claimed(scene),
        f"{scene.here.prefix}/models/golden.bin",
        f"{scene.here.prefix}/young/r1/load/7d0a3b1c-0000-4000-8000-000000000002",
    ):
        begin(scene, key)
    begin(scene, f"elsewhere/{claimed(scene)}")
    scene.proxy.faults.append(EARLY)
    return scene


def test_uploads_that_nobody_finished_within_a_week_are_aborted(beset: Scene) -> None:
    """Those below the roots of keys that a dialect claims; a younger one and one of a foreign key are never touched."""
    before = unfinished(beset)
    done = beset.gc()
    assert (done.code, uploads_of(done.stdout)) == (0, {"aborted": 1}), done.stderr
    assert json.loads(done.stdout)["bytes_aborted"] == 100
    assert unfinished(beset) == [key for key in before if key != claimed(beset)]
    again = beset.gc()
    assert (again.code, uploads_of(again.stdout)) == (0, {})
    beset.oracle.check()


def test_a_dry_run_names_the_uploads_and_touches_none(beset: Scene) -> None:
    """With bytes, coordinates and a reason, in every format; the table has the others in its totals, too."""
    before = unfinished(beset)
    plan = json.loads(beset.run("gc", "--dry-run", "-o", "json").stdout)
    (action,) = plan["actions"]
    told = {name: action[name] for name in ("action", "uri", "dag_id", "run_id", "task_id", "size")}
    assert told == {
        "action": "abort_upload",
        "uri": f"s3://{beset.here.bucket}/{claimed(beset)}",
        "dag_id": "etl",
        "run_id": "r1",
        "task_id": "load",
        "size": 100,
    }
    assert {name: number for name, number in plan["totals"].items() if "upload" in name} == {
        "uploads_abandoned": 1,
        "uploads_recent": 1,
        "uploads_foreign": 1,
        "upload_bytes_abandoned": 100,
        "upload_bytes_recent": 100,
        "upload_bytes_foreign": 100,
    }
    shown = beset.run("gc", "--dry-run")
    assert "uploads  3 unfinished (300 B): 1 abandoned, 1 recent, 1 foreign" in shown.stdout
    assert "unfinished uploads to abort:" in shown.stdout
    assert "0 rows and 0 objects (0 B), 1 unfinished upload (100 B)" in shown.stderr
    assert unfinished(beset) == before


def test_no_uploads_leaves_them(beset: Scene) -> None:
    """Nobody asks for them, either."""
    before = unfinished(beset)
    done = beset.gc("--no-uploads")
    assert (done.code, uploads_of(done.stdout), unfinished(beset)) == (0, {}, before)
    assert not any(map(lists_uploads, beset.proxy.asked))


def test_a_saved_plan_aborts_what_it_names_and_nothing_that_came_later(beset: Scene) -> None:
    """Another upload of the same key has another id."""
    assert beset.run("plan", "--out", "plan.xcp").code == 0
    begin(beset, claimed(beset))
    done = run_here("apply", "plan.xcp", *beset.options, "--yes", "-o", "json")
    assert (done.code, uploads_of(done.stdout)) == (0, {"aborted": 1}), done.stderr
    assert unfinished(beset).count(claimed(beset)) == 1


def test_a_missing_right_about_uploads_is_a_note(beset: Scene) -> None:
    """Whichever it is: the rest is collected, exit 0, and the note names the right."""
    denied = error(403, "AccessDenied")
    before = unfinished(beset)
    for when, right in (
        (lists_uploads, "s3:ListBucketMultipartUploads"),
        (aborts_upload, "s3:AbortMultipartUpload"),
    ):
        orphan = beset.upload()
        with beset.proxy.with_faults(only(when, denied)):
            done = beset.gc()
        assert (done.code, beset.present(orphan), unfinished(beset)) == (0, [False], before), done.stderr
        assert right in done.stderr
    with beset.proxy.with_faults(only(lists_parts, denied)):
        done = beset.gc()
    assert (done.code, uploads_of(done.stdout)) == (0, {"aborted": 1}), done.stderr
    assert "s3:ListMultipartUploadParts" in done.stderr
    beset.oracle.check()


def test_an_abort_that_fails_is_done_in_part(beset: Scene) -> None:
    """Exit 3; the next run finishes."""
    with beset.proxy.with_faults(only(aborts_upload, error(500, "InternalError"))):
        done = beset.gc()
    assert (done.code, uploads_of(done.stdout)) == (3, {"failed": 1})
    assert "1 unfinished upload could not be deleted" in done.stderr
    assert uploads_of(beset.gc().stdout) == {"aborted": 1}


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_around_an_abort_is_settled_by_asking(beset: Scene, moment: str) -> None:
    """The intent is on record; the next operation asks whether the upload is still there, and aborts it then."""
    strike = Strike(None)
    die = only(aborts_upload, strike.deadly(after=moment == "after"), times=1)
    with beset.proxy.with_faults(die):
        run_under(beset, strike)
    assert beset.log()[0]["state"] == "unfinished"
    finish_operation(beset)
    results = [
        entry["result"]
        for operation in reversed(beset.log())
        for step in steps(
            beset.here.store, find(beset.here.store, [Root.parse(beset.here.root)], operation["id"])
        )
        if step.kind == "abort_uploads"
        for entry in step.outcome or ()
    ]
    assert results == (["aborted"] if moment == "after" else ["not_done", "aborted"])
    assert claimed(beset) not in unfinished(beset)


def test_a_lost_answer_to_an_abort_is_an_abort(beset: Scene) -> None:
    """The request is repeated, and finds nothing any more."""
    with beset.proxy.with_faults(only(aborts_upload, lost_answer, times=1)):
        assert uploads_of(beset.gc().stdout) == {"aborted": 1}


def test_what_is_aborted_is_on_record_before(beset: Scene) -> None:
    """Key, id, time and bytes; undo has nothing to bring back, and says nothing of it."""
    done = beset.gc()
    record = find(beset.here.store, [Root.parse(beset.here.root)], json.loads(done.stdout)["operation_id"])
    (step,) = steps(beset.here.store, record)
    (intent,) = step.intent
    assert (step.kind, intent["key"], intent["size"]) == ("abort_uploads", claimed(beset), 100)
    assert step.outcome == [{"uri": intent["uri"], "upload_id": intent["upload_id"], "result": "aborted"}]
    assert record.summary["uploads"] == 1


def test_the_guards_of_orphans_are_those_of_uploads(make_scene: MakeScene) -> None:
    """Beside an empty database they may be another deployment's."""
    scene = make_scene()
    begin(scene, claimed(scene))
    scene.proxy.faults.append(EARLY)
    done = scene.gc()
    assert (done.code, "empty_database" in done.stderr, unfinished(scene)) == (5, True, [claimed(scene)])


def test_of_one_dag_only_its_uploads_go(beset: Scene) -> None:
    """By the DAG that the key names."""
    other = begin(beset, claimed(beset, "other", 7))
    done = beset.gc("--dag", "etl")
    assert (done.code, uploads_of(done.stdout)) == (0, {"aborted": 1}), done.stderr
    assert other in unfinished(beset)


def test_shards_abort_together_what_one_run_does(beset: Scene) -> None:
    """Each upload is of one share, and counted by it alone."""
    for number in range(4):
        begin(beset, claimed(beset, f"dag{number}", number + 10))
    counts = [uploads_of(beset.gc("--shard", f"{number}/3").stdout).get("aborted", 0) for number in (1, 2, 3)]
    assert (sum(counts), len(unfinished(beset))) == (5, 3)


def test_fsck_counts_uploads_with_bytes_and_they_are_no_fault(beset: Scene) -> None:
    """A finding each, beside totals by state; exit 0."""
    done = beset.run("fsck", "-o", "json")
    found = json.loads(done.stdout)
    assert (done.code, found["counts"]["unfinished"]) == (0, 3), done.stderr
    assert {
        (one["uri"].rpartition("/")[2][:8], one["size"])
        for one in found["findings"]
        if one["finding"] == "unfinished"
    } == {
        ("7d0a3b1c", 100),
        ("golden.b", 100),
    }
    assert (found["totals"]["uploads_abandoned"], found["totals"]["upload_bytes_abandoned"]) == (1, 100)
    table = beset.run("fsck")
    assert "unfinished" in table.stdout
    with beset.proxy.with_faults(only(lists_uploads, error(403, "AccessDenied"))):
        blind = beset.run("fsck", "-o", "json")
    assert (blind.code, "s3:ListBucketMultipartUploads" in blind.stderr) == (0, True)
    assert "uploads_abandoned" not in json.loads(blind.stdout)["totals"]


def test_doctor_warns_of_uploads_that_nobody_finished(beset: Scene) -> None:
    """With their number and bytes, and what aborts them; a missing right is no fault."""

    def check() -> dict[str, Any]:
        shown = json.loads(beset.run("doctor", "-o", "json").stdout)
        (found,) = [one for one in shown["checks"] if one["check"] == "store.uploads"]
        return dict(found)

    found = check()
    assert (found["status"], found["facts"]) == ("warn", {"uploads": 3, "bytes": 300, "abandoned": 1})
    with beset.proxy.with_faults(only(lists_uploads, error(403, "AccessDenied"))):
        assert check()["status"] == "skipped"
    beset.gc()
    assert check()["status"] == "ok"


def test_metrics_tell_uploads_by_state_and_by_what_became_of_them(beset: Scene) -> None:
    """Where the store tells."""
    beset.gc("--metrics-file", "gc.prom")
    lines = (beset.command.folder / "gc.prom").read_text()
    for state in ("abandoned", "recent", "foreign"):
        assert re.search(rf'^xcomctl_uploads{{.*state="{state}"}} 1.0$', lines, re.MULTILINE)
        assert re.search(rf'^xcomctl_upload_bytes{{.*state="{state}"}} 100.0$', lines, re.MULTILINE)
    assert re.search(r'^xcomctl_actions{.*result="aborted".*what="uploads"} 1.0$', lines, re.MULTILINE)


def test_more_uploads_than_are_weighed_are_counted(beset: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each weighing is a request, so that only the oldest are weighed; all that are abandoned go."""
    monkeypatch.setattr("xcomctl.inventory.unfinished_uploads._MOST_WEIGHED", 2)
    for number in range(3):
        begin(beset, claimed(beset, "etl", number + 10))
    asked: list[Asked] = beset.proxy.asked
    asked.clear()
    done = beset.gc()
    assert (done.code, uploads_of(done.stdout)) == (0, {"aborted": 4})
    assert sum(map(lists_parts, asked)) == 2
    assert "the bytes of 2 are known" in done.stderr
