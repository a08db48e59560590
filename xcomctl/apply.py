"""Execute a plan: rows first, then objects, asking both sides again right before each deletion."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from xcomctl.dialects.interface import Dialects
from xcomctl.inventory import Inventory
from xcomctl.inventory.build import Report, silent
from xcomctl.metadata.interface import RowTarget, Source
from xcomctl.models import ObjectAddress, Root
from xcomctl.plan import Plan
from xcomctl.stores.interface import ObjectInfo, Store

_ROWS_PER_TRANSACTION = 500

_OBJECTS_PER_CHECK = 10_000
"""Objects that one reading of all rows clears for deletion: few enough to be gone within seconds of it."""

_OBJECTS_PER_DELETION = 1_000
"""Objects that are deleted before they are counted and reported: at most so many go unsaid if it is cut short."""

_FAILURES_KEPT = 20


@dataclass(slots=True)
class Outcome:
    """What applying a plan did so far; it stays true when applying is cut short by an error."""

    rows: Counter[str] = field(default_factory=Counter)
    """Rows by outcome: deleted, changed, gone, run_active."""
    objects: Counter[str] = field(default_factory=Counter)
    """Objects by outcome: deleted, changed, gone, referenced, failed."""
    bytes_reclaimed: int = 0
    failures: list[str] = field(default_factory=list)
    """The first few failed objects, with the store's word for the cause."""

    @property
    def failed(self) -> int:
        """Actions that were meant to happen and did not; a skipped one is none."""
        return self.objects["failed"]

    def document(self, plan: Plan) -> dict[str, Any]:
        """The outcome as JSON types."""
        return {
            "schema": "xcomctl.outcome/1",
            "plan_id": plan.plan_id,
            "rows": {name: self.rows[name] for name in ("deleted", "changed", "gone", "run_active")},
            "objects": {
                name: self.objects[name] for name in ("deleted", "changed", "gone", "referenced", "failed")
            },
            "bytes_reclaimed": self.bytes_reclaimed,
            "failures": self.failures,
        }


def apply_plan(
    plan: Plan,
    source: Source,
    store: Store | None,
    dialects: Dialects,
    *,
    roots: Sequence[Root],
    ignore_archives: bool,
    outcome: Outcome,
    report: Report = silent,
) -> None:
    """Execute `plan`, counting in `outcome`. Applying it again after a crash ends in the same state.

    Raises SourceError or StoreError when a side fails: what was not yet asked again is not deleted. What `report`
    raises stops it, too, between two deletions that are both counted.
    """
    for actions in plan.batches("delete_row", _ROWS_PER_TRANSACTION):
        results = source.delete_rows([_target(action) for action in actions])
        outcome.rows.update(results)
        report("rows deleted", len(actions))
    if store is None:
        return
    for actions in plan.batches("delete_object", _OBJECTS_PER_CHECK):
        objects = [_object(action) for action in actions]
        referenced = still_referenced(
            objects, source, dialects, roots=roots, ignore_archives=ignore_archives, report=report
        )
        outcome.objects["referenced"] += len(referenced)
        doomed = [one for one in objects if one.address not in referenced]
        for start in range(0, len(doomed), _OBJECTS_PER_DELETION):
            _delete(doomed[start : start + _OBJECTS_PER_DELETION], store, outcome)
            report("objects deleted", len(doomed[start : start + _OBJECTS_PER_DELETION]))


def _delete(objects: Sequence[ObjectInfo], store: Store, outcome: Outcome) -> None:
    for one, result in zip(objects, store.delete(objects), strict=True):
        outcome.objects[result.result] += 1
        if result.result == "failed" and len(outcome.failures) < _FAILURES_KEPT:
            outcome.failures.append(f"{result.address.uri}: {result.cause}")
        if result.result == "deleted":
            outcome.bytes_reclaimed += one.size


def still_referenced(
    objects: Sequence[ObjectInfo],
    source: Source,
    dialects: Dialects,
    *,
    roots: Sequence[Root],
    ignore_archives: bool,
    report: Report = silent,
) -> set[ObjectAddress]:
    """Which of the objects some row keeps now: by any reading, or by mentioning what is unique of the key.

    An object outside of the roots cannot be asked for, and counts as kept.
    """
    with Inventory(dialects, roots, search_whole_keys=True, report=report) as inventory:
        outside = {one.address for one in objects if not inventory.contains(one.address)}
        for root in inventory.roots:
            inventory.add_objects(root, [_batch([o for o in objects if root.contains(o.address)])])
        with source.snapshot() as snapshot:
            inventory.add_rows(snapshot.batches(include_archives=not ignore_archives))
        found = inventory.run("SELECT DISTINCT bucket, key FROM objects JOIN links USING (object_id)")
    return outside | {ObjectAddress(bucket, key) for bucket, key in found}


def _batch(objects: Sequence[ObjectInfo]) -> Any:
    import pyarrow as pa

    from xcomctl.stores.interface import object_schema

    return pa.RecordBatch.from_pylist(
        [
            {
                "bucket": one.address.bucket,
                "key": one.address.key,
                "size": one.size,
                "etag": one.etag,
                "last_modified": one.last_modified,
            }
            for one in objects
        ],
        schema=object_schema(),
    )


def _target(action: dict[str, Any]) -> RowTarget:
    written_at: datetime | None = action["written_at"]
    return RowTarget(
        table=action["source_table"],
        row_key=action["row_key"],
        written_at=None if written_at is None else written_at.replace(tzinfo=timezone.utc),
        digest=action["digest"],
    )


def _object(action: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        address=ObjectAddress(action["bucket"], action["object_key"]),
        size=action["size"],
        etag=action["etag"],
        last_modified=action["last_modified"].replace(tzinfo=timezone.utc),
    )
