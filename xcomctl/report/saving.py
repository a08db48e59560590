"""A report in a file, which appears when it is whole and takes the place of nothing but a report."""

from __future__ import annotations

import os
import re
from pathlib import Path

from xcomctl.errors import UsageError

GENERATOR = "xcomctl report"
"""What a report says of itself, in a tag `meta` near its beginning."""

_SIGN = f'<meta name="generator" content="{GENERATOR}'.encode()

_URL = re.compile(r"[a-z][a-z0-9+.-]+:/")
"""How a URL begins; of its two slashes a path has only one."""

_NEAR = 1024
"""Bytes within which the sign is found."""


def require_replaceable(path: Path) -> None:
    """Raise UsageError where a report cannot be saved at `path`: what is there is none, or the folder is not."""
    if not path.parent.is_dir():
        if _URL.match(str(path)):
            raise UsageError("--out is a path on this machine, and no URL", hint="--out report.html")
        raise UsageError(f"{path.parent} is not a folder", hint=f"mkdir -p {path.parent}")
    if path.exists() and not _is_report(path):
        raise UsageError(
            f"{path} exists and is no report of xcomctl that could be replaced",
            hint="give --out another path, or remove it first",
        )


def save(page: str, path: Path) -> None:
    """Write the page to `path`. Raises UsageError where that cannot be."""
    part = path.resolve().with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(page)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path.resolve())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}", hint="give --out another path"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _is_report(path: Path) -> bool:
    """Whether what is there says so. Devices and pipes are never opened."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return _SIGN in stream.read(_NEAR)
    except OSError:
        return False
