"""Scenarios 31 and 32: two operations at once, and stores that cannot keep them apart."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.killing import GC, expire_locks
from tests.faults.scene import OLD, Scene, cause
from tests.services.command import Result
from tests.services.s3_requests import deletes
from tests.services.scripted_store import Asked
from tests.services.store_faults import at, ignores_conditions, only


def test_31_a_second_operation_is_refused(scene: Scene) -> None:
    """While one deletes, another one is told who holds the lock: exit 5, and it changes nothing."""
    scene.push()
    gone = scene.expired()
    second: list[Result] = []
    with scene.proxy.with_faults(
        only(deletes(gone), at(lambda: second.append(scene_of_another(scene))), times=1)
    ):
        first = scene.gc(*OLD)
    assert (first.code, scene.present(gone)) == (0, [False]), first.stderr
    assert second[0].code == 5, second[0].stderr
    assert "lock" in cause(second[0])
    scene.oracle.check()


def scene_of_another(scene: Scene) -> Result:
    """A second command at the same time, in a process of its own."""
    with scene.start(*GC) as process:
        out, err = process.communicate(timeout=120)
    return Result(process.returncode, out.decode(), err.decode())


def test_31_a_holder_that_slept_too_long_is_fenced(scene: Scene, tmp_path: Path) -> None:
    """Stopped for an hour (SIGSTOP), its lock taken over, continued: it deletes nothing any more, and says so, exit 5."""
    scene.push()
    first = scene.expired()
    others: list[Result] = []
    sleepers: list[subprocess.Popen[bytes]] = []

    def meanwhile() -> None:
        os.kill(sleepers[0].pid, signal.SIGSTOP)
        expire_locks(scene)
        others.append(scene_of_another(scene))
        (tmp_path / "asleep").touch()
        os.kill(sleepers[0].pid, signal.SIGCONT)

    # Once, so that what the other one does meanwhile goes on to the store.
    with (
        scene.proxy.with_faults(only(writes_an_intent, at(meanwhile), times=1)),
        scene.start(*GC, asleep=tmp_path / "asleep") as sleeper,
    ):
        sleepers.append(sleeper)
        _, said = sleeper.communicate(timeout=120)
    assert (others[0].code, scene.present(first)) == (0, [False]), others[0].stderr
    assert (sleeper.returncode, "lock" in said.decode()) == (5, True), said.decode()
    scene.oracle.check()


def writes_an_intent(asked: Asked) -> bool:
    """Whether a request is an intent of the journal."""
    return asked.method == "PUT" and "intent" in asked.path


@pytest.mark.parametrize("engine", ["postgres"])
def test_32_a_store_without_conditions_is_locked_by_the_database(make_scene: MakeScene, engine: str) -> None:
    """No conditional write works there, so the lock is one of the database: again the second one is refused."""
    scene = make_scene(engine)
    scene.push()
    gone = scene.expired()
    second: list[Result] = []
    with scene.proxy.with_faults(
        only(deletes(gone), at(lambda: second.append(scene_of_another(scene))), times=1), ignores_conditions
    ):
        first = scene.gc(*OLD)
    assert (first.code, scene.present(gone)) == (0, [False]), first.stderr
    assert second[0].code == 5, second[0].stderr
    scene.oracle.check()
