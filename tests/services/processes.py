"""What the servers that tests start have in common: free ports, a user who may run a database, patience."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def free_port() -> int:
    """A loopback port that nobody listens on right now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def unprivileged_user() -> str | None:
    """User to run a database server as: databases refuse to run as root. None where we are not root."""
    return "nobody" if os.geteuid() == 0 else None


def server_program(name: str) -> str | None:
    """Where a server is installed. Debian puts servers where a normal user's PATH does not look."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


@contextmanager
def folder_for(user: str | None) -> Iterator[Path]:
    """A temporary folder that belongs to `user` (or to us, for None), removed at the end.

    Not below pytest's own: sockets live in it, and their paths may have about a hundred characters only.
    """
    # Another user may be unable to enter TMPDIR; /tmp is open to everybody.
    folder = Path(tempfile.mkdtemp(prefix="xcomctl-db-", dir=None if user is None else "/tmp"))  # noqa: S108
    try:
        if user is not None:
            entry = pwd.getpwnam(user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def reachable_by_everybody(folder: Path) -> bool:
    """Whether any user may enter `folder` (a virtual environment below /root, for one, is closed to others)."""
    return all(part.stat().st_mode & stat.S_IXOTH for part in (folder, *folder.parents))


def wait_until(
    ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, *, seconds: float = 60
) -> None:
    """Wait until `ready` says so. Raises RuntimeError with the end of the log where the process died or took too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        if ready():
            return
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start: {log.read_text(errors='replace')[-2000:]}")


def until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Wait until it holds. Raises TimeoutError where that takes longer."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether the process exists, and is not one that ended and was not yet waited for."""
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False
