"""The figures of a report, counted by SQL over an inventory: their number does not grow with what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from typing import Any

from xcomctl.inventory.snapshot_file import About, SnapshotFile

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Weight:
    """What a part of all weighs: bytes of objects are in S3, bytes of rows in the database."""

    object_bytes: int = 0
    row_bytes: int = 0
    objects: int = 0
    rows: int = 0
    freed_bytes: int = 0
    """Of both, those that the policy lets go, and of orphans."""

    @property
    def bytes(self) -> int:
        """In S3 and in the database."""
        return self.object_bytes + self.row_bytes

    def __add__(self, other: Weight) -> Weight:
        return Weight(
            self.object_bytes + other.object_bytes,
            self.row_bytes + other.row_bytes,
            self.objects + other.objects,
            self.rows + other.rows,
            self.freed_bytes + other.freed_bytes,
        )


@dataclass(frozen=True, slots=True)
class Branch:
    """A DAG, task or key, the largest first among its like; the last one may be all `others`."""

    name: str | None
    """None where nothing tells it, and for others."""
    others: int
    """How many it stands for; 0 for one that stands for itself."""
    weight: Weight
    below: tuple[Branch, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """All that a report shows. Records are those of the SQL of the same name."""

    about: About
    totals: list[Record]
    dags: tuple[Branch, ...]
    growth: list[Record]
    ages: list[Record]
    largest: list[Record]
    freed: list[Record]
    findings: list[Record]

    @property
    def weight(self) -> Weight:
        """Of everything."""
        return sum((dag.weight for dag in self.dags), Weight())


def read_figures(snapshot_file: SnapshotFile) -> Figures:
    """Ask the inventory. Raises UnreadableError where it is damaged."""
    return Figures(
        about=snapshot_file.about(),
        totals=snapshot_file.totals(),
        dags=_dags(_records(snapshot_file, "tree")),
        growth=_records(snapshot_file, "growth"),
        ages=_records(snapshot_file, "ages"),
        largest=_records(snapshot_file, "largest"),
        freed=_records(snapshot_file, "freed"),
        findings=_records(snapshot_file, "findings"),
    )


def _records(snapshot_file: SnapshotFile, name: str) -> list[Record]:
    question = resources.files(__package__).joinpath(f"sql/{name}.sql").read_text(encoding="utf-8")
    answer = snapshot_file.ask(question)
    names = [name for name, _ in answer.columns]
    return [dict(zip(names, record, strict=True)) for record in answer.records]


def _dags(records: list[Record]) -> tuple[Branch, ...]:
    return tuple(_branches(records, ("dag", "task", "key")))


def _branches(records: list[Record], levels: tuple[str, ...]) -> Iterator[Branch]:
    """Records in the order of their places, as branches of the first of `levels`. Place 0: not told apart there."""
    level, *deeper = levels
    named = "key" if level == "key" else f"{level}_id"
    for place, members in groupby(records, key=lambda record: record[f"{level}_place"]):
        if not place:
            return
        found = list(members)
        below = tuple(_branches(found, tuple(deeper))) if deeper else ()
        weight = sum(
            (Weight(**{field: record[field] for field in Weight.__dataclass_fields__}) for record in found),
            Weight(),
        )
        yield Branch(found[0][named], max(record[f"other_{level}s"] for record in found), weight, below)
