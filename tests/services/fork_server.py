"""A process that has imported everything, and forks for each command line that a test runs.

Most of the time of a short command is imports. A child of this process has them behind it, and is otherwise what
`python -m xcomctl` is: its own environment, folder, streams, process group, exit code and end of the interpreter.

It is told what to run on a socket (`SOCK_SEQPACKET`; its descriptor is the one argument): one packet for each command,
JSON of a `Request`, with the descriptors of stdin, stdout, stderr and of a socket for the answer, the exit code as text.
Whoever closes that socket before has the command killed; when the first socket ends, everything does.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

# Named in functions of xcomctl, or imported by a library when it is first used.
_LIBRARIES = (
    *(
        "boto3",
        "botocore.client",
        "botocore.endpoint",
        "botocore.handlers",
        "botocore.httpsession",
        "botocore.signers",
    ),
    *("duckdb", "jinja2", "numpy", "pandas", "prometheus_client", "psycopg2.extras", "pymysql"),
    *("pyarrow.compute", "pyarrow.csv", "pyarrow.ipc", "pyarrow.parquet"),
    *("rich.console", "rich.progress", "rich.syntax", "rich.table", "rich.traceback", "typer.rich_utils"),
    *(
        "sqlalchemy.dialects.mysql.pymysql",
        "sqlalchemy.dialects.postgresql.psycopg2",
        "sqlalchemy.dialects.sqlite",
    ),
)

WITHOUT_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""Variables with which no library starts a thread when it is imported: a thread would not be there after a fork."""

_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Request:
    """A command to run."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]

    def packet(self) -> bytes:
        """What is sent."""
        return json.dumps(asdict(self)).encode()


def import_everything() -> None:
    """Import xcomctl whole, and the libraries that it uses. Raises RuntimeError where that started a thread.

    What is remembered for the life of a process is there as well: patterns, and descriptions of AWS.
    """
    import xcomctl

    for module in pkgutil.walk_packages(xcomctl.__path__, "xcomctl."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in _LIBRARIES:
        # An extra may not be installed.
        with suppress(ModuleNotFoundError):
            importlib.import_module(name)
    if threads_of_this_process():
        # Older releases of DuckDB open a database of their own, with a thread.
        sys.modules["duckdb"].close()
    _remember()
    if threads := threads_of_this_process():
        raise RuntimeError(f"imports started threads: {', '.join(threads)}")


def _remember() -> None:
    import botocore.session

    from tests.services.aws_descriptions import read_once
    from xcomctl.dialects.registry import DialectRegistry

    DialectRegistry()
    read_once()
    botocore.session.Session().create_client("s3", region_name="us-east-1").close()


def threads_of_this_process() -> list[str]:
    """Names of the threads beside the first one: Python's, and on Linux also those of libraries."""
    tasks = Path("/proc/self/task")
    if not tasks.exists():
        return [thread.name for thread in threading.enumerate()[1:]]
    others = sorted(int(task.name) for task in tasks.iterdir())[1:]
    return [(tasks / str(number) / "comm").read_text().strip() for number in others]


class _Server:
    """Children and who asked for them."""

    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._asking: dict[int, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._selector.register(requests, selectors.EVENT_READ)
        # A child that ended is seen by the same wait as a request.
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._waker.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> Request | None:
        """Fork for each request: what is asked for in the child; None, at the end, in the server itself."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._woken:
                    self._woken.recv(4096)
                    self._answer()
                elif key.fileobj is not self._requests:
                    self._kill(key.data)
                else:
                    packet, descriptors, _, _ = socket.recv_fds(self._requests, _MOST_BYTES, 4)
                    if not packet:
                        for pid in self._asking:
                            _kill_group(pid)
                        self._forget()
                        return None
                    if self._forked(descriptors):
                        return Request(**json.loads(packet))

    def _forked(self, descriptors: list[int]) -> bool:
        """Fork; whether this is the child, whose streams the descriptors are now."""
        *streams, answer = descriptors
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            self._forget()
            os.close(answer)
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
                os.close(stream)
            return True
        # By whichever of both is first.
        with suppress(OSError):
            os.setpgid(pid, pid)
        for stream in streams:
            os.close(stream)
        self._asking[pid] = socket.socket(fileno=answer)
        self._selector.register(self._asking[pid], selectors.EVENT_READ, pid)
        return False

    def _answer(self) -> None:
        while self._asking:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            asking = self._asking.pop(pid)
            self._selector.unregister(asking)
            # Nobody may be left to hear it.
            with asking, suppress(OSError):
                asking.sendall(str(os.waitstatus_to_exitcode(status)).encode())

    def _kill(self, pid: int) -> None:
        """Its end is seen like any other."""
        # Told once.
        self._selector.modify(self._asking[pid], 0, pid)
        _kill_group(pid)

    def _forget(self) -> None:
        """Nothing of the server is left, in a child or at the end."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._selector.close()
        for held in (self._requests, self._woken, self._waker, *self._asking.values()):
            held.close()


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _become(request: Request) -> None:
    """Be a process that was started so."""
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    # Chosen when it is first asked for, by variables that are others now.
    tempfile.tempdir = None
    sys.path[0] = request.folder
    sys.argv[1:] = request.arguments
    # Whether they are buffered, and how much, depends on what is behind them.
    sys.stdin = _stream(sys.stdin, "rb", 0)
    sys.stdout = _stream(sys.stdout, "wb", 1, line_buffering=os.isatty(1))
    sys.stderr = _stream(sys.stderr, "wb", 2, line_buffering=True)


def _stream(like: TextIO, mode: str, descriptor: int, **buffering: bool) -> io.TextIOWrapper:
    # As PYTHONUNBUFFERED wants it.
    through = bool(getattr(like, "write_through", False))
    binary: Any = open(descriptor, mode, 0 if through else -1, closefd=False)  # noqa: SIM115 - for life
    return io.TextIOWrapper(binary, like.encoding, like.errors, "\n", write_through=through, **buffering)


def _end(code: int) -> None:
    """End as the interpreter does, but do not take apart what was imported, which takes longer than most commands.

    Comes back where stdout cannot be written: the interpreter has words for that.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    # Warnings about what was left open are said here.
    gc.collect()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code & 0xFF)


if __name__ == "__main__":
    import_everything()
    # What is there stays, in all children: their collector need not look at it, which would copy it.
    gc.collect()
    gc.freeze()
    if (asked := _Server(socket.socket(fileno=int(sys.argv[1]))).serve()) is not None:
        _become(asked)
        try:
            runpy.run_module("xcomctl", run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            if isinstance(ended.code, int):
                _end(ended.code)
            # Whatever else it may be is told by the interpreter itself.
            raise
