"""A plan is a value: what would be done, why, and what stands in its way. Computed, shown or saved, then executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from xcomctl import __version__
from xcomctl.airflow.interface import RowTarget
from xcomctl.dialects.interface import Dialects
from xcomctl.errors import UsageError
from xcomctl.gc.plan_actions import PUBLIC_COLUMNS, ActionKind, Actions
from xcomctl.inventory.judging import Sides
from xcomctl.inventory.scan import Scan
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.interface import ObjectInfo, StoreErrorInfo
from xcomctl.units import format_time

SCHEMA = "xcomctl.plan/1"

_TARGETS_AT_A_TIME = 1_000


@dataclass(frozen=True, slots=True)
class GuardGroup:
    """Some of the objects about which a guard is: those of one DAG, or of one dialect where their keys name none."""

    name: str
    objects: int
    size: int
    runs: int
    oldest_at: datetime
    """When the first of them was written, by the store's clock."""
    newest_at: datetime

    def document(self) -> dict[str, Any]:
        """The group as JSON types."""
        times = {"oldest_at": self.oldest_at.isoformat(), "newest_at": self.newest_at.isoformat()}
        return {**asdict(self), **times}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> GuardGroup:
        """Read what `document` wrote. Raises KeyError, TypeError, ValueError for anything else."""
        return cls(
            name=str(document["name"]),
            objects=int(document["objects"]),
            size=int(document["size"]),
            runs=int(document["runs"]),
            oldest_at=_time_of(document["oldest_at"]),
            newest_at=_time_of(document["newest_at"]),
        )


@dataclass(frozen=True, slots=True)
class Guard:
    """A check of the whole plan. A guard that is not ok refuses it, unless the user accepts its exact value."""

    id: str
    ok: bool
    value: float | str
    limit: float | str
    cause: str
    """Why it refuses, with the numbers, in one line."""
    groups: tuple[GuardGroup, ...] = ()
    """What to look at before a yes, the largest first: who has seen these may be asked, others must accept the value."""

    def document(self) -> dict[str, Any]:
        """The guard as JSON types."""
        return {**asdict(self), "groups": [group.document() for group in self.groups]}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Guard:
        """Read what `document` wrote. Raises KeyError, TypeError, ValueError for anything else."""
        groups = tuple(GuardGroup.from_document(group) for group in document.get("groups", ()))
        return cls(**{**document, "groups": groups})

    def public(self) -> dict[str, Any]:
        """What a plan tells of it: its groups only where it refuses for them."""
        left_out = {"cause"} if self.groups else {"cause", "groups"}
        return {name: value for name, value in self.document().items() if name not in left_out}

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
    claims: str | None = None
    """Digest of the patterns of keys that count as written by backends."""
    inside: tuple[Root, ...] = ()
    """Other roots that lie in those of the plan."""

    @staticmethod
    def of(
        sides: Sides,
        scan: Scan,
        *,
        database: str,
        endpoint: str | None,
        policy_digest: str | None = None,
        inside: Iterable[Root] = (),
    ) -> Basis:
        """What a plan is made from that follows from `scan`. Raises SourceError."""
        listing = sides.listing
        return Basis(
            database=database,
            database_label=sides.source.info().label,
            endpoint=endpoint,
            snapshot_at=scan.database_at,
            cutoff=scan.cutoff,
            policy_digest=policy_digest,
            tool_version=__version__,
            inventory=None if listing is None else ListingBasis(listing.uri, listing.taken_at),
            claims=_claims(sides.dialects),
            inside=tuple(inside),
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
            "claims": self.claims,
            "inside": [root.at("").uri for root in self.inside],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Basis:
        """Read what `document` wrote. Raises KeyError, TypeError, ValueError for anything else."""
        inventory, claims = document["inventory"], document.get("claims")
        if not isinstance(claims, str | None):
            raise TypeError("no digest")
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
            claims=claims,
            inside=tuple(_folder(uri) for uri in document.get("inside", ())),
        )


def _claims(dialects: Dialects) -> str:
    patterns = [(pattern.dialect, pattern.pattern) for pattern in dialects.key_patterns()]
    return hashlib.sha256(json.dumps(patterns).encode()).hexdigest()[:16]


def _folder(uri: str) -> Root:
    """A root as a plan names one that was found: also one that nobody could give, with an empty folder in it."""
    try:
        address = ObjectAddress.parse(uri)
    except UsageError:
        raise ValueError("no address") from None
    if not address.key.endswith("/"):
        raise ValueError("no folder")
    return Root(address.bucket, address.key)


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
    notes: tuple[StoreErrorInfo, ...] = ()
    """What could not be told, and stands in nobody's way."""
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
        """Whether there is nothing to do: that an object stays is said along with its row."""
        return len(self.actions) == self.actions.counts["keep_object"]

    def batches(self, action: ActionKind, size: int) -> Iterator[list[dict[str, Any]]]:
        """The actions of one kind with all their columns, at most `size` at a time."""
        records = self.actions.records(action)
        while batch := list(islice(records, size)):
            yield batch

    def row_targets(self) -> Iterator[RowTarget]:
        """The rows that go, as a source takes them."""
        return (target for target, _ in self.sized_row_targets())

    def sized_row_targets(self) -> Iterator[tuple[RowTarget, int]]:
        """The same, each with the bytes of its value."""
        names = ("source_table", "row_key", "written_at", "digest", "run_ended_at", "size")
        for batch in self.actions.batches("delete_row"):
            for start in range(0, batch.num_rows, _TARGETS_AT_A_TIME):
                part = batch.slice(start, _TARGETS_AT_A_TIME)
                columns = (part.column(name).to_pylist() for name in names)
                for table, row_key, written_at, digest, run_ended_at, size in zip(*columns, strict=True):
                    yield RowTarget(table, row_key, _utc(written_at), digest, _utc(run_ended_at)), size

    def header(self) -> dict[str, Any]:
        """The plan as a document, without its actions."""
        return {
            "schema": SCHEMA,
            "plan_id": self.plan_id,
            "created_at": format_time(self.created_at),
            "scope": self.scope,
            **self.basis.document(),
            "totals": self.totals,
            "guards": [guard.public() for guard in self.guards],
            "notes": [{"cause": note.cause, "hint": note.hint} for note in self.notes],
        }

    @property
    def refusals(self) -> list[Guard]:
        """The guards that stand in its way."""
        return [guard for guard in self.guards if not guard.ok]


def object_of(action: dict[str, Any]) -> ObjectInfo:
    """The object of an action, as it was listed."""
    return ObjectInfo(
        address=ObjectAddress(action["bucket"], action["object_key"]),
        size=action["size"],
        etag=action["etag"],
        last_modified=action["last_modified"].replace(tzinfo=timezone.utc),
    )


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=timezone.utc)
