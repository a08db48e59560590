"""How operations tell how far they are. It stands alone so that every room below the command line can."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str, int], None]
"""Told the stage ("objects", "rows", ...) and how many more of it were done."""


def silent(stage: str, count: int) -> None:
    """A Report that tells nobody."""
