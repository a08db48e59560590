"""How much of the machine an inventory may take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_MEMORY = 1 << 30


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits of one inventory.

    `memory` is in bytes, and what the database inside of the inventory may hold there; all of it is in `tmp` (the
    system's folder for temporary files if None). `threads` are those that judge; None takes one per core.
    """

    memory: int = DEFAULT_MEMORY
    threads: int | None = None
    tmp: Path | None = None
