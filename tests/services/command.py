"""Runs the real command in a process of its own, as a user does, with or without a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-m", "xcomctl")
_SECONDS = 60
_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """How a run ended and what it wrote."""

    code: int
    stdout: str
    stderr: str


class Command:
    """`xcomctl` in an empty working and home folder, where no setting of the person who runs the tests matters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a run: that of the test without settings of xcomctl and Airflow, and `extra`."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("XCOMCTL_", "AIRFLOW", "XDG_"))}
        path = os.pathsep.join(filter(None, [str(_REPOSITORY), os.environ.get("PYTHONPATH")]))
        own = {"HOME": str(self.folder), "PYTHONPATH": path, "PYTHONWARNINGS": "error", "COLUMNS": ""}
        return {**inherited, **own, **(extra or {})}

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
        """Run it with pipes."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment(env),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        # Not in text mode, which would hide what CSV ends its lines with.
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    def on_terminal(self, *arguments: str, width: int = 80, env: Mapping[str, str] | None = None) -> Result:
        """Run it with stdout on a terminal of that many columns."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        with subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment({"TERM": "xterm", **(env or {})}),
            stdout=theirs,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
        ) as process:
            os.close(theirs)
            written = b""
            # Linux ends a terminal whose other side is gone with an error, not with an end of file.
            while chunk := _read(ours):
                written += chunk
            _, stderr = process.communicate(timeout=_SECONDS)
        os.close(ours)
        return Result(process.returncode, written.decode().replace("\r\n", "\n"), stderr.decode())


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


@pytest.fixture
def xcomctl(tmp_path: Path) -> Command:
    """The command `xcomctl`, run in an empty folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Command(folder)
