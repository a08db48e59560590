"""Runs the real command in a process of its own, as a user does, with or without a terminal.

Without a terminal the process is a child of the fork server, if there is one: the same, but for the time of imports.
"""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services.fork_client import ForkServer

COMMAND = (sys.executable, "-m", "xcomctl")
_SECONDS = 120
_REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """How a run ended and what it wrote."""

    code: int
    stdout: str
    stderr: str


class Command:
    """`xcomctl` in an empty working and home folder, where no setting of the person who runs the tests matters."""

    def __init__(self, folder: Path, forks: ForkServer | None = None) -> None:
        self.folder = folder
        self._forks = forks

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a run: that of the test without settings of xcomctl and Airflow, and `extra`."""
        return {**_clean(os.environ), "HOME": str(self.folder), **(extra or {})}

    def __call__(self, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
        """Run it with pipes."""
        environment = self.environment(env)
        if self._forks is None or not self._forks.suits(environment):
            return self.in_new_process(*arguments, env=env)
        code, stdout, stderr = self._forks.run(
            arguments, folder=self.folder, environment=environment, seconds=_SECONDS
        )
        return Result(code, stdout.decode(), stderr.decode())

    def in_new_process(self, *arguments: str, env: Mapping[str, str] | None = None) -> Result:
        """Run it with pipes, and with an interpreter that starts for it."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment(env),
            stdin=subprocess.DEVNULL,
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


def _clean(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment without settings of xcomctl, Airflow and coverage, in which warnings are errors."""
    others = ("XCOMCTL_", "AIRFLOW", "XDG_", "COVERAGE_")
    inherited = {k: v for k, v in environ.items() if not k.startswith(others)}
    path = os.pathsep.join(filter(None, [str(_REPOSITORY), environ.get("PYTHONPATH")]))
    return {**inherited, "PYTHONPATH": path, "PYTHONWARNINGS": "error", "COLUMNS": ""}


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """The fork server of this process.

    Its commands are measured where the tests are. In new processes this would take half as long again as the tests, and
    they do nothing that is not run by the server as well.
    """
    measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
    with ForkServer({**_clean(os.environ), **measured}, tmp_path_factory.mktemp("forks") / "log") as server:
        yield server


@pytest.fixture
def xcomctl(tmp_path: Path, fork_server: ForkServer) -> Command:
    """The command `xcomctl`, run in an empty folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Command(folder, fork_server)
