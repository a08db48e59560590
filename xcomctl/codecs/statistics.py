"""Statistics of one column, gathered part by part in constant memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xcomctl.codecs.cells import json_ready


@dataclass(slots=True)
class Tally:
    """What is known of a column so far. `total` is None where the column has no mean."""

    name: str
    type: str
    count: int = 0
    """Values that are not null."""
    nulls: int = 0
    least: Any = None
    greatest: Any = None
    total: float | None = None

    def add(
        self, *, count: int, nulls: int, least: Any = None, greatest: Any = None, total: float | None = None
    ) -> None:
        """Take another part of the column into account; `least` and `greatest` are None where nothing can be compared."""
        self.count += count
        self.nulls += nulls
        if least is not None and (self.least is None or least < self.least):
            self.least = least
        if greatest is not None and (self.greatest is None or greatest > self.greatest):
            self.greatest = greatest
        if total is not None:
            self.total = (self.total or 0.0) + total

    def as_dict(self) -> dict[str, Any]:
        """The statistics as JSON types: name, type, count, nulls, min, max, mean (null where there is none)."""
        mean = self.total / self.count if self.total is not None and self.count else None
        return {
            "name": self.name,
            "type": self.type,
            "count": self.count,
            "nulls": self.nulls,
            "min": json_ready(self.least),
            "max": json_ready(self.greatest),
            "mean": json_ready(mean),
        }
