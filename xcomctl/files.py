"""Files that appear when they are whole, and folders that go in the end, also after a kill."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xcomctl.errors import UsageError

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/")
"""How a URL begins; of its two slashes a path has only one."""


def require_folder(path: Path, example: str) -> None:
    """Raise UsageError where there is no folder for `path`, or it is a link; `example` is a name that would do."""
    require_no_link(path)
    if path.parent.is_dir():
        return
    if _URL.match(str(path)):
        raise UsageError("--out is a path on this machine, and no URL", hint=f"--out {example}")
    raise UsageError(f"{path.parent} is not a folder", hint=f"mkdir -p {path.parent}")


def require_no_link(path: Path) -> None:
    """Raise UsageError where `path` is a link to a file, or to nothing; one to a device, as /dev/stdout is, is none."""
    if path.is_symlink() and (path.is_file() or not path.exists()):
        target = path.resolve()
        raise UsageError(
            f"{path} is a link to {target}, and is not followed", hint=f"--out {target}, if you mean that"
        )


@contextmanager
def written_aside(path: Path, *, beside: str | None = None) -> Iterator[Path]:
    """A new path beside `path`, whose file takes its place at the end. Raises UsageError where it cannot.

    A device or a pipe has no place to take, and is written as it is. A link to a file is not followed: somebody else may
    have put it there. `beside` is the ending of a file that may lie beside it and belongs to it: what is left of the one
    before goes.
    """
    require_no_link(path)
    target = path.resolve()
    # Of a name that nobody can know before: what is planted in its place would be written through.
    part = target.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        if target.exists() and not target.is_file():
            yield target
            return
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        if beside is not None:
            path.with_name(path.name + beside).unlink(missing_ok=True)
        part.replace(target)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}", hint="give --out another path"
        ) from error
    finally:
        part.unlink(missing_ok=True)
        if beside is not None:
            part.with_name(part.name + beside).unlink(missing_ok=True)


_PREFIX = "xcomctl-"

_CLAIM = "in-use"
"""A file in the folder on which its process holds a lock, as long as it lives."""


class TemporaryFolder(tempfile.TemporaryDirectory[str]):
    """A new folder below `parent` (the system's for temporary files if None). Raises OSError where none can be made.

    First those are removed that processes of the same user left there when they were killed. Systems without `flock`
    keep them.
    """

    def __init__(self, parent: Path | None = None) -> None:
        _remove_abandoned(Path(tempfile.gettempdir()) if parent is None else parent)
        super().__init__(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True)
        with suppress(OSError, ImportError):
            _claim(self, Path(self.name))


def _claim(owner: TemporaryFolder, folder: Path) -> None:
    import fcntl

    # It has its name only when it is locked: nobody takes the folder for abandoned in between.
    made = folder / f"{_CLAIM}.part"
    claim = os.open(made, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    weakref.finalize(owner, os.close, claim)
    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    made.rename(folder / _CLAIM)


def _remove_abandoned(parent: Path) -> None:
    with suppress(ImportError, OSError):
        import fcntl

        for folder in parent.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                    continue
                claim = os.open(folder / _CLAIM, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    os.close(claim)
