"""The long form of the fault suite: `python -m tests.faults.soak [--kill-points 200] [--steps 10000]`.

Kills a collection at every moment that the proxies see of it, then runs the state machine for that many steps, half of
them on a bucket that keeps versions. Prints figures as a table on stderr and as JSON on stdout; ends with 1 if anything
was lost. A failure tells the moment, or the steps that lead to it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, cast

import pytest
import typer.main
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.conftest import opened_scene
from tests.faults.killing import Rounds
from tests.faults.machine import World
from tests.faults.scene import Scene
from tests.schemas.airflow_database import AirflowDatabase
from tests.services.aws_descriptions import read_once
from tests.services.command import Command
from tests.services.deployment import Deployment
from tests.services.object_stores import WatchedSeaweedFS, new_bucket, point_to
from tests.services.postgres import PostgresServer, running_postgres
from xcomctl.demo.server import SeaweedFS

STEPS_OF_A_MACHINE = 50


@dataclass
class Figures:
    """What was done, and what went wrong."""

    kill_points: int = 0
    moments: int = 0
    steps: int = 0
    seconds: float = 0.0
    done: dict[str, int] = field(default_factory=dict)
    """What the machines did, by name."""
    failures: list[str] = field(default_factory=list)


@contextmanager
def command_folder() -> Iterator[Command]:
    """An empty folder to run the command in."""
    with tempfile.TemporaryDirectory(prefix="xcomctl-soak-") as folder:
        yield Command(Path(folder))


def kill(server: SeaweedFS, postgres: PostgresServer, command: Command, most: int, figures: Figures) -> None:
    """Kill collections, each at another moment, all of them in turn until there were `most`."""
    with ExitStack() as opened:
        database = AirflowDatabase(postgres.url(postgres.create_database()), "airflow-3").create()
        here = opened.enter_context(Deployment(database, server, new_bucket(server)))
        rounds = Rounds(opened_scene(opened, here, command))
        figures.moments = 2 * rounds.play(None).steps
        for number in range(most):
            # In great steps through all moments, so that a short soak sees all parts of a collection.
            point = 1 + number * 37 % figures.moments
            try:
                rounds.play(point)
            except AssertionError:
                figures.failures.append(f"killed at moment {point}: {traceback.format_exc()}")
                return
            figures.kill_points += 1
            tell(f"kill points {figures.kill_points}/{most}")


def machines(server: SeaweedFS, command: Command, steps: int, figures: Figures, *, versioned: bool) -> None:
    """Run the state machine until it made so many steps."""
    numbers = itertools.count()
    bucket = new_bucket(server)
    begun = World.counts["steps"]
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="xcomctl-soak-")))

        def make() -> Scene:
            number = next(numbers)
            database = AirflowDatabase(f"sqlite:///{folder / f'airflow{number}.db'}", "airflow-3").create()
            here = opened.enter_context(Deployment(database, server, bucket, f"w{number}"))
            scene = opened_scene(opened, here, command)
            if versioned:
                scene.keep_versions()
            tell(f"steps {World.counts['steps'] - begun}/{steps}{' versioned' if versioned else ''}")
            return scene

        world = type("World", (World,), {"make": staticmethod(make), "folder": folder})
        while World.counts["steps"] - begun < steps and not figures.failures:
            wanted = max(1, (steps - (World.counts["steps"] - begun)) // STEPS_OF_A_MACHINE)
            try:
                run_state_machine_as_test(
                    cast("Any", world),
                    settings=settings(
                        max_examples=min(wanted, 20),
                        stateful_step_count=STEPS_OF_A_MACHINE,
                        deadline=None,
                        database=None,
                        phases=[Phase.generate],
                        suppress_health_check=list(HealthCheck),
                    ),
                )
            except Exception:
                figures.failures.append(traceback.format_exc())
    figures.steps += World.counts["steps"] - begun


def tell(text: str) -> None:
    """Say on stderr how far it is."""
    sys.stderr.write(f"\r{text}      ")
    sys.stderr.flush()


def remember_what_never_changes(patch: pytest.MonkeyPatch) -> None:
    """Build the command line and read the descriptions of AWS once, not for each of thousands of commands."""
    patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
    read_once()


def main() -> int:
    """Run it all; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kill-points", type=int, default=200)
    parser.add_argument("--steps", type=int, default=10_000)
    options = parser.parse_args()
    figures, begun = Figures(), time.monotonic()
    with pytest.MonkeyPatch.context() as patch, WatchedSeaweedFS() as server, command_folder() as command:
        point_to(patch, server)
        remember_what_never_changes(patch)
        patch.setenv("HOME", str(command.folder))
        if options.kill_points:
            with running_postgres() as postgres:
                kill(server, postgres, command, options.kill_points, figures)
        for versioned in (False, True):
            if options.steps and not figures.failures:
                machines(server, command, options.steps // 2, figures, versioned=versioned)
    figures.done = dict(sorted(World.counts.items()))
    figures.seconds = round(time.monotonic() - begun, 1)
    sys.stderr.write("\n")
    table = {**asdict(figures), **figures.done, "failures": len(figures.failures)}
    for name in (name for name in table if name != "done"):
        sys.stderr.write(f"{name:<32} {table[name]:>9}\n")
    sys.stdout.write(json.dumps(asdict(figures), indent=2) + "\n")
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
