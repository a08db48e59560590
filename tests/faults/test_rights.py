"""Scenarios 29 and 30: credentials that expire or may not, and absence that cannot be told from denial."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.faults.scene import OLD, Scene, cause
from tests.services.deployment import NO_WAIT
from tests.services.fault_proxy import Fault
from tests.services.s3_requests import is_copy, is_deletion, is_listing
from tests.services.scripted_store import Asked
from tests.services.store_faults import error, hides_absence, only
from tests.services.sweeps import sweep


def is_of_an_object(asked: Asked) -> bool:
    """What is asked of single objects outside of the tool's own folder."""
    return asked.path.count("/") > 2 and "/.xcomctl/" not in asked.path


@pytest.mark.parametrize(
    ("when", "fault"),
    [
        (is_listing, error(403, "AccessDenied")),
        (is_listing, error(400, "ExpiredToken")),
        (lambda asked: asked.path.count("/") < 3, error(403, "AccessDenied")),
    ],
    ids=["no right to list", "expired token", "no right to the bucket"],
)
def test_29_without_the_right_to_list_nothing_is_planned(
    scene: Scene, when: Callable[[Asked], bool], fault: Fault
) -> None:
    """Exit 7, a cause that names the right or the token, nothing deleted."""
    scene.push()
    scene.expired()
    before = scene.here.state()
    with scene.proxy.with_faults(only(when, fault)):
        done = scene.gc(*OLD)
    assert (done.code, scene.here.state()) == (7, before), done.stderr
    assert cause(done)
    scene.oracle.check()


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken"])
def test_29_rights_that_are_lost_midway_leave_what_cannot_go(scene: Scene, code: str) -> None:
    """Denied is not absent: the objects count as failed, exit 3 or 7, and the next run with the right finishes."""
    scene.push()
    gone = [scene.expired(), scene.upload()]
    lost = only(
        lambda asked: (
            is_deletion(asked) and "/.xcomctl/" not in asked.path and b".xcomctl/" not in asked.body
        ),
        error(403 if code == "AccessDenied" else 400, code),
    )
    with scene.proxy.with_faults(lost):
        done = scene.gc(*OLD)
    assert (done.code in (3, 7), scene.present(*gone)) == (True, [True, True]), done.stderr
    scene.oracle.check()
    assert (scene.gc(*OLD).code, scene.present(*gone)) == (0, [False, False])
    scene.oracle.check()


def test_29_rights_that_are_lost_for_the_copies_leave_the_objects(scene: Scene) -> None:
    """What cannot be copied to the trash is not deleted."""
    scene.push()
    gone = [scene.expired(), scene.upload()]
    with scene.proxy.with_faults(only(is_copy, error(403, "AccessDenied"))):
        done = scene.gc(*OLD)
    assert (done.code in (3, 7), scene.present(*gone)) == (True, [True, True]), done.stderr
    scene.oracle.check()


MISSING: list[tuple[str, Fault]] = [
    ("403 for a missing key", hides_absence),
    ("no such bucket", only(lambda asked: not is_listing(asked), error(404, "NoSuchBucket"))),
    ("wrong region", only(is_of_an_object, error(301, "PermanentRedirect"))),
    ("busy", only(is_of_an_object, error(503, "SlowDown"))),
]


@pytest.mark.parametrize(
    "fault",
    sweep(
        [pytest.param(fault, id=name) for name, fault in MISSING],
        lambda fault: fault in (MISSING[0][1], MISSING[1][1]),
    ),
)
def test_30_an_object_that_cannot_be_asked_for_is_not_absent(scene: Scene, fault: Fault) -> None:
    """It is in no listing, and yet its row is not dangling: unresolved, or exit 7; nothing is deleted for it."""
    scene.push()
    key = scene.push(name="k")
    scene.here.client.delete_object(Bucket=scene.here.bucket, Key=key)
    scene.oracle.forget("etl/new/load:k")
    before = scene.here.state()
    with scene.proxy.with_faults(fault):
        checked = scene.run("fsck", *NO_WAIT, "-o", "json")
        collected = scene.gc(*OLD)
    if checked.code != 7:
        assert json.loads(checked.stdout)["counts"]["dangling"] == 0
    assert (collected.code in (0, 7), scene.here.state()) == (True, before), collected.stderr
    sure = scene.run("fsck", *NO_WAIT, "-o", "json")
    assert (sure.code, json.loads(sure.stdout)["counts"]["dangling"]) == (4, 1)
