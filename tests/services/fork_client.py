"""Commands run by the fork server (`tests.services.fork_server`), one server for each process that runs tests."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Lock
from typing import BinaryIO

from tests.services.fork_server import WITHOUT_THREADS, Request

_REPOSITORY = Path(__file__).parents[2]

# Variables that are read when something asks for them. All others may have been read by an import or by the interpreter.
_READ_LATE = frozenset(
    {"COLUMNS", "HOME", "LINES", "NO_COLOR", "PATH", "PYTEST_CURRENT_TEST", "TERM", "TMPDIR"}
)
_READ_LATE_PREFIXES = ("AIRFLOW", "AWS_", "COVERAGE_", "XCOMCTL_", "XDG_")


class ForkServer:
    """The server, which is started by the first command. Use it in a `with`. Threads may share it."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = dict(environment)
        self._log = log
        self._opened = ExitStack()
        self._requests: socket.socket | None = None
        self._starting = Lock()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the server, and the commands that still run."""
        self._opened.close()

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether a child of the server is what a new process with this environment would be."""
        different = {name for name, _ in self._environment.items() ^ environment.items()}
        return all(name in _READ_LATE or name.startswith(_READ_LATE_PREFIXES) for name in different)

    def run(
        self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float
    ) -> tuple[int, bytes, bytes]:
        """Run `xcomctl` with these arguments: exit code, stdout, stderr; nothing to read on stdin.

        The code is negative where a signal ended it. Raises subprocess.TimeoutExpired, when it was killed.
        """
        request = Request(list(arguments), str(folder), dict(environment))
        with ExitStack() as ours:
            with ExitStack() as theirs:
                ends = socket.socketpair()
                answer, asking = ours.enter_context(ends[0]), theirs.enter_context(ends[1])
                streams: list[BinaryIO] = [theirs.enter_context(open(os.devnull, "rb"))]
                outputs = []
                for _ in ("stdout", "stderr"):
                    reading, writing = os.pipe()
                    outputs.append(ours.enter_context(open(reading, "rb")).fileno())
                    streams.append(theirs.enter_context(open(writing, "wb")))
                # Where the server is gone there is no answer, which is told below.
                with suppress(OSError):
                    descriptors = [*(stream.fileno() for stream in streams), asking.fileno()]
                    socket.send_fds(self._started(), [request.packet()], descriptors)
            answer.settimeout(seconds)
            try:
                stdout, stderr = _read_all(outputs, seconds)
                code = answer.recv(16)
            except TimeoutError:
                # An answer that nobody waits for has the command killed.
                raise subprocess.TimeoutExpired(["xcomctl", *arguments], seconds) from None
        if not code:
            raise RuntimeError(f"the fork server ended: {self._log.read_text(errors='replace')}")
        return int(code), stdout, stderr

    def program(self) -> tuple[str, int]:
        """What a script of the shell calls instead of `python -m xcomctl`, and the descriptor that it has to inherit."""
        number = self._started().fileno()
        return (
            f'"{sys.executable}" -I -S "{_REPOSITORY / "tests/services/forked_command.py"}" {number}',
            number,
        )

    def _started(self) -> socket.socket:
        with self._starting:
            if self._requests is None:
                self._requests = self._start()
            return self._requests

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._log.open("wb") as log:
            server = subprocess.Popen(
                [sys.executable, "-m", "tests.services.fork_server", str(theirs.fileno())],
                cwd=_REPOSITORY,
                env={**self._environment, **WITHOUT_THREADS},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                # Ctrl-C on the terminal is for the one who runs the tests.
                start_new_session=True,
            )
        self._opened.callback(server.wait)
        return self._opened.enter_context(ours)


def _read_all(descriptors: Sequence[int], seconds: float) -> list[bytes]:
    """All that comes of each until its end. Raises TimeoutError where that takes longer."""
    read = dict.fromkeys(descriptors, b"")
    deadline = time.monotonic() + seconds
    with selectors.DefaultSelector() as selector:
        for descriptor in descriptors:
            selector.register(descriptor, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if chunk := os.read(key.fd, 1 << 16):
                    read[key.fd] += chunk
                else:
                    selector.unregister(key.fd)
    return list(read.values())
