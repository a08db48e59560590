"""Ends servers whose test run was killed: a small process that is told of each server, and outlives the run.

It reads a line for each server that starts or was stopped. At the end of its input, which also comes when the process
that runs the tests is gone, it ends those that are left and removes what they kept. (A signal for the death of a parent
would be sent when the *thread* that started the server ends, and is not sent to a server that changes its user.)
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import Lock

_SECONDS = 5.0


class _Watcher:
    """The process, as the one who runs the tests sees it. Threads may share it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            # Neither environment nor site-packages: it is there within a few milliseconds.
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            # Neither Ctrl-C on the terminal nor the end of a group of processes is for it.
            start_new_session=True,
        )
        self._lock = Lock()

    def tell(self, **line: object) -> None:
        """Send a line."""
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(line).encode() + b"\n")
            self._process.stdin.flush()


@cache
def _watcher() -> _Watcher:
    return _Watcher()


def watch(pid: int, *paths: Path, how: signal.Signals = signal.SIGKILL) -> None:
    """Let a process be ended by this signal, and the paths be removed, if this process ends before it says `forget`."""
    _watcher().tell(pid=pid, how=int(how), paths=[str(path) for path in paths])


def forget(pid: int) -> None:
    """The process was stopped."""
    _watcher().tell(pid=pid)


@contextmanager
def watched(pid: int, *paths: Path, how: signal.Signals = signal.SIGKILL) -> Iterator[None]:
    """Watch within the block, at whose end the process is stopped."""
    watch(pid, *paths, how=how)
    try:
        yield
    finally:
        forget(pid)


def _main() -> None:
    servers: dict[int, dict[str, object]] = {}
    for line in sys.stdin:
        told = json.loads(line)
        if "how" in told:
            servers[told["pid"]] = told
        else:
            servers.pop(told["pid"], None)
    for pid, server in servers.items():
        with suppress(ProcessLookupError):
            os.kill(pid, server["how"])  # type: ignore[arg-type]
    deadline = time.monotonic() + _SECONDS
    for pid, server in servers.items():
        with suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.kill(pid, 0)
                time.sleep(0.05)
        for path in server["paths"]:  # type: ignore[attr-defined]
            shutil.rmtree(path, ignore_errors=True)
            Path(path).unlink(missing_ok=True)


if __name__ == "__main__":
    _main()
