"""How operations tell how far they are. It stands alone so that every room below the command line can."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int], None]
"""Told the stage ("objects", "rows", ...) and how many more of it were done."""


def no_progress(stage: str, count: int) -> None:
    """Progress that is told to nobody."""
