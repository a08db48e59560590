"""Scenario 37: buckets that keep versions, did so once, or lock their objects."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.oracle import objects_as_stored
from tests.faults.scene import OLD, Scene, outcome
from tests.services.s3_requests import is_deletion
from tests.services.store_faults import error, only
from tests.services.sweeps import sweep


def versions(scene: Scene, key: str) -> tuple[int, int]:
    """How many versions and how many delete markers a key has."""
    found: dict[str, Any] = dict(scene.here.client.list_object_versions(Bucket=scene.here.bucket, Prefix=key))
    return len(found.get("Versions", [])), len(found.get("DeleteMarkers", []))


@pytest.mark.parametrize(
    "history",
    sweep(
        ["off", "enabled", "suspended", "enabled after the upload"],
        lambda history: history in ("off", "enabled"),
    ),
)
def test_37_what_goes_comes_back_whatever_the_bucket_keeps(scene: Scene, history: str) -> None:
    """Undo brings every object back bit for bit: from a copy, or from under a delete marker."""
    if history in ("enabled", "suspended"):
        scene.keep_versions()
    scene.push()
    scene.expired(name="k")
    scene.upload()
    if history == "suspended":
        scene.keep_versions("Suspended")
        scene.upload()
    elif history == "enabled after the upload":
        scene.keep_versions()
    before = objects_as_stored(scene.here)
    done = scene.gc(*OLD)
    assert done.code == 0, done.stderr
    assert len(objects_as_stored(scene.here)) == 1
    scene.oracle.check()
    undone = scene.run("undo", scene.log()[0]["id"], "--yes")
    assert (undone.code, objects_as_stored(scene.here)) == (0, before), undone.stderr
    scene.oracle.check()


def test_37_where_versions_are_kept_nothing_is_copied(scene: Scene) -> None:
    """A delete marker hides the object: its bytes are not moved, and cost nothing twice."""
    scene.keep_versions()
    scene.push()
    key = scene.upload()
    assert (scene.gc().code, scene.present(key), versions(scene, key)) == (0, [False], (1, 1))
    assert [one for one in scene.tools_own() if one.endswith(key.rpartition("/")[2])] == []


def test_37_many_delete_markers_are_no_objects(scene: Scene) -> None:
    """Keys that others deleted, again and again, are neither listed nor touched."""
    scene.keep_versions()
    scene.push()
    keys = [scene.upload() for _ in range(5)]
    for key in keys:
        for _ in range(3):
            scene.here.client.delete_object(Bucket=scene.here.bucket, Key=key)
    before = [versions(scene, key) for key in keys]
    orphan = scene.upload()
    done = scene.gc()
    assert (done.code, scene.present(orphan)) == (0, [False]), done.stderr
    assert [versions(scene, key) for key in keys] == before
    scene.oracle.check()


def test_37_a_locked_version_is_never_forced(make_scene: MakeScene) -> None:
    """Object Lock: purging what is locked fails with the store's word, and is never tried with a bypass."""
    scene = make_scene()
    scene.keep_versions()
    scene.push()
    key = scene.upload()
    assert scene.gc().code == 0
    with scene.proxy.with_faults(
        only(
            lambda asked: is_deletion(asked) and ("versionId" in asked.query or b"<VersionId>" in asked.body),
            error(403, "AccessDenied"),
        )
    ):
        purged = scene.run("trash purge", "--older-than", "0s", "--yes")
    assert (purged.code in (3, 7), versions(scene, key)[0]) == (True, 1), purged.stderr
    assert not any("x-amz-bypass-governance-retention" in asked.headers for asked in scene.proxy.asked)
    scene.oracle.check()


def test_37_a_purge_ends_what_an_undo_can_do(scene: Scene) -> None:
    """After a purge the object is gone for good; undo says so and brings back the rest: exit 3."""
    scene.push()
    scene.expired(name="k")
    assert outcome(scene.gc(*OLD))["rows"] == {"deleted": 1}
    operation = scene.log()[0]["id"]
    purged = scene.run("trash purge", "--older-than", "0s", "--yes")
    assert purged.code == 0, purged.stderr
    undone = scene.run("undo", operation, "--yes")
    assert undone.code == 3, undone.stderr
    assert scene.here.dangling() == set()
    scene.oracle.check()
