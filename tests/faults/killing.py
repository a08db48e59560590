"""Killing a process at exact moments: right before or right after something that the proxies see of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Lock

from tests.faults.scene import OLD, Scene
from tests.services.deployment import NO_WAIT
from tests.services.fault_proxy import Fault, Forward
from tests.services.scripted_store import Answer, Asked

GC = ("gc", *NO_WAIT, "--yes", "-o", "json", *OLD)


@dataclass
class Strike:
    """Counts what a process does at the store and at the database, and kills it at the `point`th step (None: never).

    Half of the points lie right before a step, the other half right after it: 1 is before the first one, 2 after it.
    """

    point: int | None
    steps: int = 0
    struck: bool = False
    where: str = ""
    _process: subprocess.Popen[bytes] | None = None
    _known: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def aim(self, process: subprocess.Popen[bytes]) -> None:
        """The process whose steps count."""
        self._process = process
        self._known.set()

    def request(self, asked: Asked, forward: Forward) -> Answer:
        """A step at the store, as a fault of the proxy."""
        step = self._step()
        what = f"{asked.method} {asked.path}"
        if self.point == 2 * step - 1:
            self.kill(f"before {what}")
        if self.struck:
            return Answer(hang_up=True)
        answer = forward(asked)
        if self.point == 2 * step:
            self.kill(f"after {what}")
            return Answer(hang_up=True)
        return answer

    def statement(self) -> tuple[Callable[[int, str], None], Callable[[int, str], None]]:
        """A step at the database: what to do before and after each statement."""
        current = 0

        def before(number: int, statement: str) -> None:
            nonlocal current
            current = self._step()
            if self.point == 2 * current - 1:
                self.kill(f"before {statement[:40]}")

        def after(number: int, statement: str) -> None:
            if self.point == 2 * current:
                self.kill(f"after {statement[:40]}")

        return before, after

    def deadly(self, *, after: bool) -> Fault:
        """A fault that kills the process before the store gets a request, or after it did what it was asked."""

        def acting(asked: Asked, forward: Forward) -> Answer:
            if after:
                forward(asked)
            self.kill(f"{'after' if after else 'before'} {asked.method} {asked.path}")
            return Answer(hang_up=True)

        return acting

    def _step(self) -> int:
        with self._lock:
            self.steps += 1
            return self.steps

    def kill(self, where: str) -> None:
        """Kill the process now."""
        self._known.wait()
        assert self._process is not None
        self.where, self.struck = where, True
        os.kill(self._process.pid, signal.SIGKILL)
        # Nothing of it happens any more when this is over.
        self._process.wait()


def run_under(scene: Scene, strike: Strike) -> int:
    """Collect in a process of its own that the strike is for; its exit code."""
    if scene.database is not None:
        scene.database.before, scene.database.after = strike.statement()
    with scene.proxy.with_faults(strike.request), scene.start(*GC) as process:
        strike.aim(process)
        _, said = process.communicate(timeout=120)
    if scene.database is not None:
        scene.database.before = scene.database.after = None
    assert strike.struck or process.returncode == 0, said.decode()
    return process.returncode


@dataclass(frozen=True)
class Furniture:
    """What a scene holds for a collection: keys that go, and keys that stay."""

    going: list[str]
    staying: list[str]


class Rounds:
    """One collection after the other in one scene, each killed at a point of its own, and finished by the next."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._number = 0
        self._wanted: tuple[str, bytes] | None = None
        # Something of the database must be in the store, or a guard refuses.
        scene.push(run="first")
        self._next_wanted()
        finish_operation(scene)

    def play(self, point: int | None) -> Strike:
        """Furnish the scene, collect until the point, collect again: nothing is lost, and nothing left over."""
        scene, strike = self._scene, Strike(point)
        furniture = self._furnish()
        run_under(scene, strike)
        # Rows that were put back are whole only when their objects are back, too: that is the next run's work.
        assert scene.oracle.lost(except_of=[self._late]) == [], strike.where
        self._next_wanted()
        finish_operation(scene)
        finish(scene, furniture)
        return strike

    def _furnish(self) -> Furniture:
        """Rows that expired with their objects, orphans, live ones, and an object in the trash that is wanted again."""
        scene = self._scene
        self._number += 1
        going = [scene.expired(run=f"old{self._number}") for _ in range(2)]
        going += [scene.upload() for _ in range(2)]
        staying = [scene.push(run=f"new{self._number}")]
        assert self._wanted is not None
        key, body = self._wanted
        assert scene.present(key) == [False]
        self._late = scene.commit(key, body, run=f"new{self._number}")
        return Furniture(going, [*staying, key])

    def _next_wanted(self) -> None:
        """An orphan that the next collection takes away, and a row wants back after it."""
        body = self._scene.new_body()
        self._wanted = (self._scene.upload(body=body), body)


def finish(scene: Scene, furniture: Furniture) -> None:
    """After the next collection nothing is lost and nothing left over."""
    assert scene.present(*furniture.going) == [False] * len(furniture.going)
    assert scene.present(*furniture.staying) == [True] * len(furniture.staying)
    scene.oracle.check()


def furnish(scene: Scene) -> Furniture:
    """Rows that expired with their objects, an orphan, and a live one."""
    staying = [scene.push()]
    return Furniture([scene.expired(), scene.expired(), scene.upload()], staying)


def finish_operation(scene: Scene) -> None:
    """Collect once more, when the lock of the one that was killed has run out: afterwards the journal balances.

    Also where there is nothing left to collect.
    """
    expire_locks(scene)
    done = scene.gc(*OLD)
    assert done.code == 0, done.stderr
    assert unbalanced(scene) == []


def expire_locks(scene: Scene) -> None:
    """Let the lock of a process that was killed run out, as it does by itself after some minutes."""
    client, here = scene.here.client, scene.here
    key = f"{here.prefix}/.xcomctl/lock.json"
    if key not in scene.tools_own():
        return
    lock = json.loads(client.get_object(Bucket=here.bucket, Key=key)["Body"].read())
    lock["expires_at"] = "2026-01-01T00:00:00Z"
    client.put_object(Bucket=here.bucket, Key=key, Body=json.dumps(lock).encode())


def unbalanced(scene: Scene) -> list[str]:
    """Steps of the journal whose intent has no outcome, or one of another length."""
    from xcomctl.models import Root
    from xcomctl.state.journal import operations, steps

    found = []
    for record in operations(scene.here.store, (Root.parse(scene.here.root),)):
        for step in steps(scene.here.store, record):
            if step.outcome is None or len(step.outcome) != len(step.intent):
                found.append(f"{record.id} {record.state}: step {step.number} {step.kind}: {step.outcome}")
    return found
