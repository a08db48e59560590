"""What an explanation tells, as values and as a JSON document."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from xcomctl.models import ObjectAddress, Row
from xcomctl.units import exact_duration, format_time

SCHEMA = "xcomctl.explanation/1"

ObjectState = Literal[
    "live", "expired", "orphaned", "recent", "foreign", "reserved", "absent", "outside", "unknown", "in_trash"
]
"""The states of the inventory (reserved: the tool keeps it for itself), and: absent, the store has no such key; outside,
no given store reaches it; unknown, it could not be asked for; in_trash, it is a copy in the trash, or the object is gone
and its copy is there."""


@dataclass(frozen=True, slots=True)
class Keep:
    """One thing that keeps a row; `ends_at` is when that ends by itself, None if only an event ends it."""

    kind: str
    reason: str
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the policy says of a row."""

    expires: bool
    reason: str | None
    """Why it may go; None if it may not."""
    kept_by: tuple[Keep, ...]
    rule: str | None
    """Where the rule for it is written; None for the command line's."""

    @property
    def ends_at(self) -> datetime | None:
        """When the last of what keeps the row ends by itself; None if it may go already, or if there is no telling."""
        return latest(keep.ends_at for keep in self.kept_by)


@dataclass(frozen=True, slots=True)
class RowFacts:
    """A row and the verdict on it. `row.raw` is left out; `size` are its bytes."""

    row: Row
    size: int
    archived: bool
    verdict: Verdict
    names_it: bool = True
    """Of a row that keeps an object: whether it references just this one; else its value mentions it."""


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """An object and its state. `reason` is why, `ends_at` when the state ends by itself, where that can be told."""

    address: ObjectAddress
    state: ObjectState
    reason: str
    ends_at: datetime | None = None
    size: int | None = None
    last_modified: datetime | None = None
    dialect: str | None = None
    operation_id: str | None = None
    """Of an object in the trash: the operation that put it there."""
    original: ObjectAddress | None = None
    """Of a copy in the trash: whose."""


@dataclass(frozen=True, slots=True)
class PlaceFacts:
    """A value outside of the XCom tables that mentions an object: where it is, never what it says."""

    table: str
    column: str
    row: str
    """What names the row, in words."""


@dataclass(frozen=True, slots=True)
class ReferenceFacts:
    """A reference in a row's value, and the objects that it may mean."""

    text: str
    dialect: str
    confidence: str
    objects: tuple[ObjectFacts, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole reasoning about one row or one object.

    Of a row there are its first `references`, of an object the first `rows` that keep it and the first `places` beside
    the XComs that mention it, with the number of them all.
    """

    explained_at: datetime
    min_age: timedelta
    row: RowFacts | None = None
    object: ObjectFacts | None = None
    references: tuple[ReferenceFacts, ...] = ()
    references_total: int = 0
    rows: tuple[RowFacts, ...] = ()
    rows_total: int = 0
    places: tuple[PlaceFacts, ...] = ()
    places_total: int = 0
    collects_orphans: bool = True

    @property
    def ref(self) -> str:
        """What it is about, as a user names it."""
        if self.row is not None:
            return self.row.row.ref
        return self.object.address.uri if self.object is not None else ""

    @property
    def next_action(self) -> Literal["delete_row", "delete_object", "restore_object"] | None:
        """What the next collection would do with it; None is nothing."""
        if self.row is not None:
            return "delete_row" if self.row.verdict.expires else None
        if self.object is not None and self.object.state in ("expired", "orphaned"):
            collected = self.collects_orphans or self.object.state == "expired"
            return "delete_object" if collected else None
        if self.object is not None and self.object.state == "in_trash" and self.rows_total:
            return "restore_object"
        return None

    @property
    def not_before(self) -> datetime | None:
        """If nothing would be done now: when it may go at the earliest, where that can be told."""
        if self.next_action is not None:
            return None
        if self.row is not None:
            return self.row.verdict.ends_at
        return self.object.ends_at if self.object is not None else None

    def document(self) -> dict[str, Any]:
        """It as JSON types."""
        return {
            "schema": SCHEMA,
            "explained_at": format_time(self.explained_at),
            "subject": "object" if self.row is None else "row",
            "ref": self.ref,
            "row": None if self.row is None else _row(self.row),
            "object": None if self.object is None else _object(self.object),
            "references": [
                {
                    "text": reference.text,
                    "dialect": reference.dialect,
                    "confidence": reference.confidence,
                    "objects": [_object(one) for one in reference.objects],
                }
                for reference in self.references
            ],
            "references_total": self.references_total,
            "rows": [_row(row) | {"names_it": row.names_it} for row in self.rows],
            "rows_total": self.rows_total,
            "places": [
                {"table": place.table, "column": place.column, "row": place.row} for place in self.places
            ],
            "places_total": self.places_total,
            "min_age": exact_duration(self.min_age),
            "next_gc": {"action": self.next_action, "not_before": _time(self.not_before)},
        }


def latest(times: Iterable[datetime | None]) -> datetime | None:
    """The latest time; None if one is unknown, or there is none."""
    known = list(times)
    return None if not known or None in known else max(at for at in known if at is not None)


def _row(facts: RowFacts) -> dict[str, Any]:
    row = facts.row
    return {
        "ref": row.ref,
        "id": row.short_id,
        "dag_id": row.dag_id,
        "run_id": row.run_id,
        "task_id": row.task_id,
        "map_index": row.map_index,
        "key": row.key,
        "table": row.table,
        "archived": facts.archived,
        "size": facts.size,
        "written_at": _time(row.written_at),
        "run_state": row.run_state,
        "run_ended_at": _time(row.run_ended_at),
        "rule": facts.verdict.rule,
        "expires": facts.verdict.expires,
        "reason": facts.verdict.reason,
        "kept_by": [
            {"kind": keep.kind, "reason": keep.reason, "ends_at": _time(keep.ends_at)}
            for keep in facts.verdict.kept_by
        ],
    }


def _object(facts: ObjectFacts) -> dict[str, Any]:
    return {
        "uri": facts.address.uri,
        "state": facts.state,
        "reason": facts.reason,
        "ends_at": _time(facts.ends_at),
        "size": facts.size,
        "last_modified": _time(facts.last_modified),
        "dialect": facts.dialect,
        "operation": facts.operation_id,
        "original": None if facts.original is None else facts.original.uri,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else format_time(at)
