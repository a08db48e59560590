"""A plan is a value: what a collection would do, why, and what stands in its way. Computed, shown, then executed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from xcomctl.units import format_time

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = "xcomctl.plan/1"

ActionKind = Literal["delete_row", "delete_object"]

PUBLIC_COLUMNS = ("action", "uri", "dag_id", "run_id", "task_id", "map_index", "key", "size", "reason")
"""What a plan tells of each action; the other columns of `Plan.actions` are what applying it needs."""

_ROWS_AT_A_TIME = 1000


@dataclass(frozen=True, slots=True)
class Guard:
    """A check of the whole plan. A guard that is not ok refuses it, unless the user accepts its exact value."""

    id: str
    ok: bool
    value: float
    limit: float
    cause: str
    """Why it refuses, with the numbers, in one line."""

    @property
    def acceptance(self) -> str:
        """What `--accept` takes to overrule this guard: its id and the exact value."""
        return f"{self.id}={int(self.value) if self.value == int(self.value) else self.value}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a collection would do.

    `actions` is an Arrow table, rows before objects: the public columns, then `source_table`, `row_key`,
    `written_at`, `digest` for rows and `bucket`, `object_key`, `etag`, `last_modified` for objects.
    """

    created_at: datetime
    scope: dict[str, Any]
    totals: dict[str, int]
    guards: tuple[Guard, ...]
    actions: pa.Table

    @property
    def plan_id(self) -> str:
        """Digest of scope and actions: two plans with the same id do the same."""
        digest = hashlib.sha256(
            json.dumps([self.scope, format_time(self.created_at)], sort_keys=True).encode()
        )
        for action in self.records():
            digest.update(json.dumps(action, sort_keys=True).encode())
        return digest.hexdigest()[:16]

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

        counts: dict[ActionKind, int] = {"delete_row": 0, "delete_object": 0}
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

    def header(self) -> dict[str, Any]:
        """The plan as a document, without its actions."""
        return {
            "schema": SCHEMA,
            "plan_id": self.plan_id,
            "created_at": format_time(self.created_at),
            "scope": self.scope,
            "totals": self.totals,
            "guards": [{k: v for k, v in asdict(guard).items() if k != "cause"} for guard in self.guards],
        }

    @property
    def refusals(self) -> list[Guard]:
        """The guards that stand in its way."""
        return [guard for guard in self.guards if not guard.ok]
