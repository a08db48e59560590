"""Take back what an operation did: objects first, from the trash, then the rows that named them, from the journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from xcomctl.airflow.interface import RowRecord, Source
from xcomctl.dialects.interface import Dialects
from xcomctl.errors import RefusedError
from xcomctl.models import Root
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import ObjectInfo, Store
from xcomctl.state.journal import JournalStep, OperationRecord, steps
from xcomctl.state.operation import Operation
from xcomctl.state.trash.entries import TrashEntry
from xcomctl.state.trash.intents import discarded_of

ROW_RESULTS = ("inserted", "identical", "conflict", "no_task_instance", "misfit", "no_object")
"""identical: the row is there already. conflict: another value has its place. no_task_instance: nothing to belong to.
misfit: its record is damaged, or the database does not take such a row. no_object: what it references is not there, and
a row without its object is of no use to anybody."""

OBJECT_RESULTS = ("restored", "there", "occupied", "gone", "deleted", "failed")
"""there: back already. occupied: another object has its place. gone: purged since. deleted: it never was in the trash."""

_BACK = ("inserted", "identical", "restored", "there")
_EXAMPLES = 5


@dataclass(slots=True)
class Undone:
    """What became of everything that an operation took away; see `ROW_RESULTS` and `OBJECT_RESULTS`."""

    rows: Counter[str] = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    """The first few of each kind that did not come back: `dag/run/task:key` of rows, URIs of objects."""

    @property
    def missing(self) -> int:
        """Rows and objects that did not come back."""
        return sum(
            number
            for counts in (self.rows, self.objects)
            for kind, number in counts.items()
            if kind not in _BACK
        )

    def add_row(self, name: str, result: str) -> None:
        """Count a row."""
        self.rows[result] += 1
        self._note(result, name)

    def add_object(self, uri: str, result: str) -> None:
        """Count an object."""
        self.objects[result] += 1
        self._note(result, uri)

    def summary(self) -> dict[str, int]:
        """The counts that the journal keeps."""
        return {
            "rows": self.rows["inserted"],
            "objects": self.objects["restored"],
            "bytes": 0,
            "failed": self.missing,
        }

    def document(self, undone_id: str, operation_id: str | None) -> dict[str, Any]:
        """The outcome as JSON types."""
        return {
            "schema": "xcomctl.undo/1",
            "undone": undone_id,
            "operation": operation_id,
            "rows": {name: self.rows[name] for name in ROW_RESULTS},
            "objects": {name: self.objects[name] for name in OBJECT_RESULTS},
            "examples": self.examples,
        }

    def _note(self, result: str, name: str) -> None:
        if result not in _BACK:
            examples = self.examples.setdefault(result, [])
            if len(examples) < _EXAMPLES:
                examples.append(name)


def undo(
    record: OperationRecord,
    operation: Operation,
    store: Store,
    dialects: Dialects,
    undone: Undone,
    report: Progress = no_progress,
) -> None:
    """Bring back what the operation `record` took away, as steps of `operation`, counting in `undone`.

    Whatever is back already stays as it is: undoing twice is undoing once. Raises RefusedError, SourceError, StoreError.
    """
    try:
        for step in steps(store, record):
            entries = list(_discarded(step, record, undone))
            if entries:
                for recovery in operation.restore(entries):
                    undone.add_object(recovery.discarded.original.uri, recovery.result)
                report("objects restored", len(entries))
        for step in steps(store, record):
            deleted = list(_deleted(step, undone))
            dangling = _without_object(deleted, store, dialects, operation.roots)
            for row in dangling:
                undone.add_row(row.ref, "no_object")
            whole = [row for row in deleted if row not in dangling] if dangling else deleted
            if whole:
                for row, result in zip(whole, operation.insert_rows(whole), strict=True):
                    undone.add_row(row.ref, result)
                report("rows restored", len(whole))
    finally:
        operation.summary.update(undone.summary())


def preview(record: OperationRecord, store: Store) -> Undone:
    """What `undo` would bring back, as far as that can be told without trying: rows are not asked for."""
    undone = Undone()
    for step in steps(store, record):
        entries = list(_discarded(step, record, undone))
        copies = [entry.kept_as.address for entry in entries if isinstance(entry.kept_as, ObjectInfo)]
        found = dict(zip(copies, store.stat_many(copies), strict=True))
        originals = store.stat_many([entry.original for entry in entries])
        for entry, original in zip(entries, originals, strict=True):
            kept = entry.kept_as
            if original is not None:
                undone.add_object(entry.original.uri, "there")
            elif isinstance(kept, ObjectInfo) and found[kept.address] is None:
                undone.add_object(entry.original.uri, "gone")
            else:
                undone.add_object(entry.original.uri, "restored")
        for row in _deleted(step, undone):
            undone.add_row(row.ref, "inserted")
    return undone


def require_same_database(record: OperationRecord, source: Source) -> None:
    """Raise RefusedError if the operation was one on another database than `source`."""
    if record.database != source.identity():
        raise RefusedError(
            f"operation {record.id} was on another database than {source.info().label}",
            hint="check --db; rows can be put back only where they came from",
        )


def _without_object(
    records: Sequence[RowRecord], store: Store, dialects: Dialects, roots: Sequence[Root]
) -> list[RowRecord]:
    """Those rows of which some reference means no object that is there. Only the store's "no such key" counts."""
    meant = [
        (record, reference.addresses)
        for record in records
        for reference in dialects.references(record.raw, roots)
        if reference.addresses and reference.confidence != "ambiguous"
    ]
    addresses = sorted({address for _, choice in meant for address in choice})
    found = dict(zip(addresses, store.stat_many(addresses), strict=True))
    absent = {id(record) for record, choice in meant if all(found[address] is None for address in choice)}
    return [record for record in records if id(record) in absent]


def _discarded(step: JournalStep, record: OperationRecord, undone: Undone) -> Iterator[TrashEntry]:
    """What a step moved to the trash; what it deleted for good is counted."""
    if step.kind == "discard_objects":
        for entry in step.outcome or ():
            discarded = discarded_of(entry, record.id)
            if discarded is not None:
                yield discarded
            elif entry["result"] == "deleted":
                undone.add_object(entry["uri"], "deleted")


def _deleted(step: JournalStep, undone: Undone) -> Iterator[RowRecord]:
    """The rows that a step deleted; one whose record cannot be read is counted, and keeps no other one out."""
    if step.kind == "delete_rows":
        deleted = {(e["table"], e["row_key"]) for e in step.outcome or () if e["result"] == "deleted"}
        for entry in step.intent:
            if (entry.get("table"), entry.get("row_key")) in deleted:
                try:
                    yield RowRecord.of(entry)
                except RefusedError:
                    undone.add_row(f"{entry['table']} {entry['row_key']}", "misfit")
