"""A report in a file, which appears when it is whole and takes the place of nothing but a report."""

from __future__ import annotations

from pathlib import Path

from xcomctl.errors import UsageError
from xcomctl.files import require_folder, written_aside

GENERATOR = "xcomctl report"
"""What a report says of itself, in a tag `meta` near its beginning."""

_SIGN = f'<meta name="generator" content="{GENERATOR}'.encode()

_NEAR = 1024
"""Bytes within which the sign is found."""


def require_replaceable(path: Path) -> None:
    """Raise UsageError where a report cannot be saved at `path`: what is there is none, or the folder is not."""
    require_folder(path, "report.html")
    if path.exists() and not _is_report(path):
        raise UsageError(
            f"{path} exists and is no report of xcomctl that could be replaced",
            hint="give --out another path, or remove it first",
        )


def save(page: str, path: Path) -> None:
    """Write the page to `path`. Raises UsageError where that cannot be."""
    with written_aside(path) as part:
        part.write_text(page, encoding="utf-8", newline="\n")


def _is_report(path: Path) -> bool:
    """Whether what is there says so. Devices and pipes are never opened."""
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return _SIGN in stream.read(_NEAR)
    except OSError:
        return False
