"""Words of a difference: its two sides, what is compared, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ChangeKind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How to compare."""

    on: tuple[str, ...] = ()
    """Columns (of a table) or members (of a list of dicts) that say which rows belong together; else their place does."""
    rows: int | None = None
    """Rows of a table that are read at most of each side; None reads all."""
    limit: int | None = 20
    """Changes that are told one by one; all are counted. None tells all."""


@dataclass(frozen=True, slots=True)
class DiffSide:
    """One of the two."""

    ref: str
    id: str | None
    uri: str | None
    size: int
    """Bytes, as they are stored."""
    codec: str
    kind: str
    """`frame`, `tree`, `text`, `pickle` or `binary`."""
    rows: int | None = None
    """Of a frame, if they are counted."""


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """A column that is on one side only, or of another type there. The type is None where there is no such column."""

    name: str
    change: ChangeKind
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not the same on both sides. `old` and `new` are JSON types, None where there is nothing."""

    path: str
    """Where, as jq writes it: `.[3].amount`, `.config.retries`; `line 7` in a text."""
    change: ChangeKind
    old: Any = None
    new: Any = None


@dataclass(frozen=True, slots=True)
class Difference:
    """What was found. Counts are of all that was compared, `changes` are the first of them."""

    old: DiffSide
    new: DiffSide
    columns: tuple[ColumnChange, ...] = ()
    rows: Mapping[ChangeKind, int] | None = None
    """Rows of tables, by what happened to them; None for anything else."""
    cells: Mapping[str, int] = field(default_factory=dict)
    """Changed cells of a table, by column."""
    changes: tuple[Change, ...] = ()
    total: int = 0
    """How many changes there are: cells, rows, paths or lines."""
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.columns and not self.total
