"""Whatever tasks, people and faults do, in whatever order: nothing that a row references is lost."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.conftest import MakeScene
from tests.faults.machine import World
from tests.faults.scene import Scene

EXAMPLES = 3
STEPS = 12
"""Bounded here; the soak makes many more steps."""

pytestmark = pytest.mark.slow


@pytest.fixture(params=["plain", "versioned"])
def machine(request: pytest.FixtureRequest, make_scene: MakeScene, tmp_path: Path) -> type[World]:
    """Machines on a bucket that keeps no versions, and on one that does; each machine has a prefix of its own."""
    numbers = itertools.count()

    def make() -> Scene:
        scene = make_scene("sqlite", prefix=f"w{next(numbers)}")
        if request.param == "versioned":
            scene.keep_versions()
        return scene

    return type("World", (World,), {"make": staticmethod(make), "folder": tmp_path})


def test_whatever_happens_nothing_that_a_row_references_is_lost(machine: type[World]) -> None:
    """Pushes, retries, clears, `db clean`, restores of the database, undo, purges, and collections with faults."""
    run_state_machine_as_test(
        cast("Any", machine),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # The same steps each time: what other steps find belongs into a test of its own.
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
