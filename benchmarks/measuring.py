"""What a program takes: seconds by the clock, CPU of it and of all that it starts, and its largest memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `wall` and `cpu` are seconds, `peak` bytes of the largest process of the tree."""

    wall: float
    cpu: float
    peak: float
    output: bytes


def run(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Run:
    """Run a program, named by its whole path, in `folder`. Raises RuntimeError with what it said where it fails."""
    with tempfile.TemporaryFile() as output, tempfile.NamedTemporaryFile() as usage:
        done = subprocess.run(  # noqa: S603 - programs of our own
            # Isolated and without packages, whatever the environment says to the program itself.
            [sys.executable, "-I", "-S", str(_LAUNCHER), usage.name, *command],
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr[-3000:].decode(errors="replace")
            raise RuntimeError(f"{' '.join(command)}\nended with {done.returncode}: {said}")
        output.seek(0)
        return Run(**json.load(usage), output=output.read())
