"""The tour: the real commands, run one after the other on the demonstration's world, with their real output."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TourStep:
    """One stop of the tour: what it shows, the command, and the exit codes that are right for it."""

    title: str
    arguments: tuple[str, ...]
    expected: tuple[int, ...] = (0,)


STEPS = (
    TourStep(
        "What did the last runs of one DAG hand over, and where does it live?",
        ("ls", "--dag", "daily_sales", "--limit", "8"),
    ),
    TourStep(
        "A DataFrame in the bucket: the row holds a reference, show holds the value",
        ("show", "daily_sales/latest/extract_orders", "--head", "5"),
    ),
    TourStep("A nested dict", ("show", "daily_sales/latest/summarise")),
    TourStep(
        "Do rows and objects fit together? (exit code 4: there are findings)",
        ("fsck", "--samples", "2"),
        (4,),
    ),
    TourStep("What would a retention of 30 days collect?", ("gc", "--older-than", "30d", "--dry-run")),
    TourStep("The same, for real", ("gc", "--older-than", "30d", "--yes")),
    TourStep("What is left: a row whose object somebody deleted", ("fsck",), (4,)),
)


def run_tour(environment: Mapping[str, str], say: Callable[[str], None]) -> int:
    """Run every step as a command of its own; the number of steps that did not end as they should.

    `environment` takes the place of all settings of the user's own, which must not steer the tour to their data;
    `say` prints titles and command lines.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("XCOMCTL_", "AWS_", "AIRFLOW_"))
    }
    failed = 0
    for number, step in enumerate(STEPS, start=1):
        say(f"\n# {number}. {step.title}\n$ xcomctl {_shell(step.arguments)}")
        result = subprocess.run(  # noqa: S603 - our own program with constant arguments
            [sys.executable, "-m", "xcomctl", *step.arguments],
            env={**kept, **environment},
            stdin=subprocess.DEVNULL,
            check=False,
        )
        failed += result.returncode not in step.expected
    return failed


def _shell(arguments: Sequence[str]) -> str:
    import shlex

    return shlex.join(arguments)
