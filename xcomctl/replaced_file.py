"""A file that appears when it is whole, in the place of the one before, if there was one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xcomctl.errors import UsageError

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/")
"""How a URL begins; of its two slashes a path has only one."""


def require_folder(path: Path, example: str) -> None:
    """Raise UsageError where there is no folder for `path`; `example` is a name that would do."""
    if path.parent.is_dir():
        return
    if _URL.match(str(path)):
        raise UsageError("--out is a path on this machine, and no URL", hint=f"--out {example}")
    raise UsageError(f"{path.parent} is not a folder", hint=f"mkdir -p {path.parent}")


@contextmanager
def written_aside(path: Path, *, beside: str | None = None) -> Iterator[Path]:
    """A new path beside `path`, whose file takes its place at the end. Raises UsageError where it cannot.

    A device or a pipe has no place to take, and is written as it is. `beside` is the ending of a file that may lie beside
    it and belongs to it: what is left of the one before goes.
    """
    target = path.resolve()
    part = target.with_name(f".{path.name}.{os.getpid()}.part")
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
