"""Scenarios 25 to 28: crashes at every step, batches that fail in part, stores that are too busy."""

from __future__ import annotations

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.killing import Rounds, Strike, finish, finish_operation, furnish, run_under
from tests.faults.scene import OLD, Scene, outcome
from tests.services.s3_requests import deletes, is_batch_deletion, is_copy, is_deletion, names
from tests.services.store_faults import error, failing_keys, lost_answer, only
from tests.services.sweeps import sweep


@pytest.mark.parametrize("points", [2, pytest.param(12, marks=pytest.mark.slow)])
def test_25_killed_at_any_step_the_next_run_finishes(postgres_scene: Scene, points: int) -> None:
    """kill -9 before and after requests and statements: nothing is lost, and every intent has an outcome in the end."""
    rounds = Rounds(postgres_scene)
    moments = 2 * rounds.play(None).steps
    # Some of the moments of a collection; the soak tries them all.
    for number in range(1, points + 1):
        # From the middle on things are written, so most of the points lie there; odd and even ones in turn.
        rounds.play(moments * (points + number) // (2 * points + 1) + number % 2)


MOMENTS = [
    (bucket, moment)
    for bucket in ("plain", "versioned")
    for moment in ("after the copy", "before the deletion", "after the deletion", "lost answer")
    # Where versions are kept nothing is copied.
    if (bucket, moment) != ("versioned", "after the copy")
]


@pytest.mark.parametrize(
    ("bucket", "moment"),
    sweep(
        MOMENTS,
        lambda *case: (
            case
            in (("plain", "after the copy"), ("plain", "lost answer"), ("versioned", "after the deletion"))
        ),
    ),
)
def test_26_power_that_fails_around_a_deletion_is_settled(
    make_scene: MakeScene, bucket: str, moment: str
) -> None:
    """The copy is there, the object perhaps, the outcome not: the next run asks, and ends in the same state."""
    scene = make_scene()
    if bucket == "versioned":
        scene.keep_versions()
    furniture = furnish(scene)
    key = furniture.going[0]
    strike = Strike(None)
    die = only(
        (lambda asked: is_copy(asked) and names(key)(asked)) if moment == "after the copy" else deletes(key),
        lost_answer if moment == "lost answer" else strike.deadly(after=moment != "before the deletion"),
        times=1,
    )
    with scene.proxy.with_faults(die):
        run_under(scene, strike)
    finish_operation(scene)
    finish(scene, furniture)


@pytest.mark.parametrize("code", ["InternalError", "SlowDown"])
def test_27_keys_that_fail_once_inside_a_200_are_asked_for_again(scene: Scene, code: str) -> None:
    """Each key of a batch has an outcome of its own: those that failed for a moment go at the next attempt."""
    scene.push()
    orphans = [scene.upload() for _ in range(9)]
    failing = failing_keys(code, lambda key: key in orphans[:7])
    with scene.proxy.with_faults(only(is_batch_deletion, failing, times=2)):
        done = scene.gc()
    assert (done.code, scene.present(*orphans)) == (0, [False] * 9), done.stderr
    scene.oracle.check()


@pytest.mark.parametrize("silent", [False, True], ids=["told", "in neither list"])
def test_27_keys_that_cannot_be_deleted_are_counted(scene: Scene, silent: bool) -> None:
    """Denied, or not mentioned at all: exit 3, the others went, and the same command finishes later."""
    scene.push()
    orphans = [scene.upload() for _ in range(9)]
    failing = failing_keys("AccessDenied", lambda key: key in orphans[:7], silent=silent)
    denied = only(lambda asked: is_deletion(asked) and any(names(key)(asked) for key in orphans[:7]), failing)
    with scene.proxy.with_faults(denied):
        done = scene.gc()
    assert (done.code, outcome(done)["objects"]["failed"]) == (3, 7), done.stderr
    assert scene.present(*orphans) == [True] * 7 + [False] * 2
    scene.oracle.check()
    assert (scene.gc().code, scene.present(*orphans)) == (0, [False] * 9)
    scene.oracle.check()


def test_28_a_store_that_is_too_busy_loses_no_key_of_the_plan(scene: Scene) -> None:
    """503 SlowDown to what is asked for the deletions: slower, and yet all of them."""
    scene.push()
    scene.expired()
    orphans = [scene.upload() for _ in range(9)]
    storm = error(503, "SlowDown")
    with scene.proxy.with_faults(
        only(lambda asked: is_copy(asked) or is_deletion(asked), storm, first=10, times=3)
    ):
        done = scene.gc(*OLD)
    assert (done.code, scene.present(*orphans)) == (0, [False] * 9), done.stderr
    scene.oracle.check()
