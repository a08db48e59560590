"""A plan is a value: what would be done, why, and what stands in its way. Computed, shown or saved, then executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, get_args

from xcomctl.metadata.interface import RowTarget
from xcomctl.units import format_time

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = "xcomctl.plan/1"

ActionKind = Literal["restore_object", "delete_row", "delete_object", "purge_object"]
"""In the order in which they are done: what is needed comes back first, what is of no use to anybody goes last."""

ACTION_KINDS: tuple[ActionKind, ...] = get_args(ActionKind)

PUBLIC_COLUMNS = ("action", "uri", "dag_id", "run_id", "task_id", "map_index", "key", "size", "reason")
"""What a plan tells of each action; the other columns of `Plan.actions` are what applying it needs."""

_ROWS_AT_A_TIME = 1000


def action_schema() -> pa.Schema:
    """Columns of `Plan.actions`. Times are UTC without zone, microseconds."""
    import pyarrow as pa

    text, time = pa.string(), pa.timestamp("us")
    return pa.schema(
        [
            ("action", text),
            ("uri", text),
            ("dag_id", text),
            ("run_id", text),
            ("task_id", text),
            ("map_index", pa.int64()),
            ("key", text),
            ("size", pa.int64()),
            ("reason", text),
            # Of a row:
            ("source_table", text),
            ("row_key", text),
            ("written_at", time),
            ("digest", text),
            # Of an object:
            ("bucket", text),
            ("object_key", text),
            ("etag", text),
            ("last_modified", time),
            ("reusable", pa.bool_()),  # a writer may put this very key again
            # Of an object in the trash, whose own key is `object_key`; etag and time are those of what is there:
            ("trash_key", text),  # the key of the copy, or of the ledger that tells the version
            ("version_id", text),  # where the bucket keeps versions: the one that was hidden ...
            ("marker_id", text),  # ... and the delete marker that hides it
        ]
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
    """What a collection or a removal would do.

    `actions` is an Arrow table of `action_schema()`, in the order of `ACTION_KINDS`.
    """

    created_at: datetime
    scope: dict[str, Any]
    basis: Basis
    totals: dict[str, int]
    guards: tuple[Guard, ...]
    actions: pa.Table
    plan_id: str = field(init=False)
    """Digest of scope, basis and actions: two plans with the same id do the same."""

    def __post_init__(self) -> None:
        head = [self.scope, self.basis.document(), self.created_at.isoformat()]
        digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
        for line in self.lines():
            digest.update(line)
        object.__setattr__(self, "plan_id", digest.hexdigest()[:16])

    def lines(self) -> Iterator[bytes]:
        """The actions with all their columns, a line of JSON each, streamed."""
        for batch in self.actions.to_batches(max_chunksize=_ROWS_AT_A_TIME):
            for record in batch.to_pylist():
                yield json.dumps(record, default=datetime.isoformat).encode() + b"\n"

    def records(self) -> Iterator[dict[str, Any]]:
        """The actions as public records, streamed."""
        for batch in self.actions.select(PUBLIC_COLUMNS).to_batches(max_chunksize=_ROWS_AT_A_TIME):
            yield from batch.to_pylist()

    def samples(self, action: ActionKind, most: int) -> list[dict[str, Any]]:
        """The first few actions of one kind as public records."""
        return list(islice((record for record in self.records() if record["action"] == action), most))

    def action_counts(self) -> dict[ActionKind, int]:
        """How many actions there are of each kind."""
        import pyarrow.compute as pc

        counts: dict[ActionKind, int] = dict.fromkeys(ACTION_KINDS, 0)
        for entry in pc.value_counts(self.actions["action"]).to_pylist():
            counts[entry["values"]] = entry["counts"]
        return counts

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return bool(self.actions.num_rows == 0)

    def batches(self, action: ActionKind, size: int) -> Iterator[list[dict[str, Any]]]:
        """The actions of one kind with all their columns, at most `size` at a time."""
        pending: list[dict[str, Any]] = []
        for batch in self.actions.to_batches(max_chunksize=_ROWS_AT_A_TIME):
            for record in batch.to_pylist():
                if record["action"] != action:
                    continue
                pending.append(record)
                if len(pending) == size:
                    yield pending
                    pending = []
        if pending:
            yield pending

    def row_targets(self) -> Iterator[RowTarget]:
        """The rows that go, as a source takes them."""
        for actions in self.batches("delete_row", _ROWS_AT_A_TIME):
            yield from map(row_target, actions)

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
    written_at: datetime | None = action["written_at"]
    return RowTarget(
        table=action["source_table"],
        row_key=action["row_key"],
        written_at=None if written_at is None else written_at.replace(tzinfo=timezone.utc),
        digest=action["digest"],
    )
