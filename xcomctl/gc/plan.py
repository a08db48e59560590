"""A plan is a value: what would be done, why, and what stands in its way. Computed, shown or saved, then executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from xcomctl import __version__
from xcomctl.airflow.interface import RowTarget
from xcomctl.gc.plan_actions import PUBLIC_COLUMNS, ActionKind, Actions
from xcomctl.inventory.judging import Sides
from xcomctl.inventory.scan import Scan
from xcomctl.units import format_time

SCHEMA = "xcomctl.plan/1"


@dataclass(frozen=True, slots=True)
class Guard:
    """A check of the whole plan. A guard that is not ok refuses it, unless the user accepts its exact value."""

    id: str
    ok: bool
    value: float | str
    limit: float | str
    cause: str
    """Why it refuses, with the numbers, in one line."""

    @property
    def acceptance(self) -> str:
        """What `--accept` takes to overrule this guard: its id and the exact value."""
        value = self.value
        return f"{self.id}={int(value) if isinstance(value, float) and value == int(value) else value}"


@dataclass(frozen=True, slots=True)
class ListingBasis:
    """The listing of a plan for which the stores were not listed anew: where it lies, and when it was begun."""

    uri: str
    created_at: datetime

    def document(self) -> dict[str, Any]:
        """The same as JSON types."""
        return {"uri": self.uri, "created_at": format_time(self.created_at)}


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan was made from: one that is applied later must find the same."""

    database: str
    """`Source.identity()`."""
    database_label: str
    endpoint: str | None
    """Of the stores; None is AWS."""
    snapshot_at: datetime
    """When the rows were read, by the clock of the database."""
    cutoff: datetime
    """Unreferenced objects that are younger were not judged, by the clock of the store."""
    policy_digest: str | None
    """Of the policy file, if there was one."""
    tool_version: str
    inventory: ListingBasis | None = None
    """The S3 Inventory from which the objects come; None where the stores were listed."""

    @staticmethod
    def of(sides: Sides, scan: Scan, *, endpoint: str | None, policy_digest: str | None = None) -> Basis:
        """What a plan is made from that follows from `scan`. Raises SourceError."""
        listing = sides.listing
        return Basis(
            database=sides.source.identity(),
            database_label=sides.source.info().label,
            endpoint=endpoint,
            snapshot_at=scan.database_at,
            cutoff=scan.cutoff,
            policy_digest=policy_digest,
            tool_version=__version__,
            inventory=None if listing is None else ListingBasis(listing.uri, listing.taken_at),
        )

    def document(self) -> dict[str, Any]:
        """The basis as JSON types."""
        return {
            "database": {"identity": self.database, "label": self.database_label},
            "endpoint": self.endpoint,
            "snapshot_at": format_time(self.snapshot_at),
            "cutoff": format_time(self.cutoff),
            "policy_digest": self.policy_digest,
            "tool_version": self.tool_version,
            "inventory": None if self.inventory is None else self.inventory.document(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Basis:
        """Read what `document` wrote. Raises KeyError, TypeError, ValueError for anything else."""
        inventory = document["inventory"]
        return cls(
            database=document["database"]["identity"],
            database_label=document["database"]["label"],
            endpoint=document["endpoint"],
            snapshot_at=_time_of(document["snapshot_at"]),
            cutoff=_time_of(document["cutoff"]),
            policy_digest=document["policy_digest"],
            tool_version=document["tool_version"],
            inventory=None
            if inventory is None
            else ListingBasis(inventory["uri"], _time_of(inventory["created_at"])),
        )


def _time_of(text: str) -> datetime:
    # Python 3.10 does not read a Z.
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


@dataclass(frozen=True, slots=True)
class Plan:
    """What a collection or a removal would do."""

    created_at: datetime
    scope: dict[str, Any]
    basis: Basis
    totals: dict[str, int]
    guards: tuple[Guard, ...]
    actions: Actions
    plan_id: str = field(init=False)
    """Digest of scope, basis and actions: two plans with the same id do the same."""

    def __post_init__(self) -> None:
        head = [self.scope, self.basis.document(), self.created_at.isoformat()]
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        digest.update(self.actions.digest())
        object.__setattr__(self, "plan_id", digest.hexdigest()[:16])

    def lines(self) -> Iterator[bytes]:
        """The actions with all their columns, a line of JSON each, streamed."""
        for record in self.actions.records():
            yield json.dumps(record, default=datetime.isoformat).encode() + b"\n"

    def records(self) -> Iterator[dict[str, Any]]:
        """The actions as public records, streamed."""
        return self.actions.records(columns=PUBLIC_COLUMNS)

    def samples(self, action: ActionKind, most: int) -> list[dict[str, Any]]:
        """The first few actions of one kind as public records."""
        return list(islice(self.actions.records(action, columns=PUBLIC_COLUMNS), most))

    def action_counts(self) -> dict[ActionKind, int]:
        """How many actions there are of each kind."""
        return self.actions.counts

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return len(self.actions) == 0

    def batches(self, action: ActionKind, size: int) -> Iterator[list[dict[str, Any]]]:
        """The actions of one kind with all their columns, at most `size` at a time."""
        records = self.actions.records(action)
        while batch := list(islice(records, size)):
            yield batch

    def row_targets(self) -> Iterator[RowTarget]:
        """The rows that go, as a source takes them."""
        return map(row_target, self.actions.records("delete_row"))

    def header(self) -> dict[str, Any]:
        """The plan as a document, without its actions."""
        return {
            "schema": SCHEMA,
            "plan_id": self.plan_id,
            "created_at": format_time(self.created_at),
            "scope": self.scope,
            **self.basis.document(),
            "totals": self.totals,
            "guards": [{k: v for k, v in asdict(guard).items() if k != "cause"} for guard in self.guards],
        }

    @property
    def refusals(self) -> list[Guard]:
        """The guards that stand in its way."""
        return [guard for guard in self.guards if not guard.ok]


def row_target(action: dict[str, Any]) -> RowTarget:
    """The row of an action, as a source takes it."""
    return RowTarget(
        table=action["source_table"],
        row_key=action["row_key"],
        written_at=_aware(action["written_at"]),
        digest=action["digest"],
        run_ended_at=_aware(action["run_ended_at"]),
    )


def _aware(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=timezone.utc)
