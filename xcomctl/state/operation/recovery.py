"""What became of operations that broke off: a crash, a kill, a store that was gone. Both sides are asked.

Their locks are ours by now, so nobody works on them any more. For every step of which only the intent is on record
the outcome is written; what they had taken away can then be undone like everything else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from xcomctl.airflow.interface import RowRecord, RowTarget, Source
from xcomctl.errors import RefusedError
from xcomctl.models import ObjectAddress, Root
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import Capabilities, ObjectInfo, Store
from xcomctl.state.journal import Journal, JournalEntry, JournalStep, OperationRecord, steps, unfinished
from xcomctl.state.operation.entries import kept_outcome, settled_aborts
from xcomctl.state.trash.discarding import Trash
from xcomctl.state.trash.intents import Intent


def recover_unfinished(
    source: Source, store: Store, capabilities: Mapping[Root, Capabilities], *, report: Progress = no_progress
) -> None:
    """Write the missing outcomes of every operation that did not end, and its end.

    Steps on the rows of another database stay open, and so does their operation; a journal that is damaged stays as
    it is. Raises SourceError, StoreError.
    """
    # Heard by nobody: `xcomctl log` tells of journals that are damaged.
    for record in unfinished(store, list(capabilities), on_damage=lambda _: None):
        try:
            _recover_operation(record, source, store, capabilities, report)
        except RefusedError:
            continue


def _recover_operation(
    record: OperationRecord,
    source: Source,
    store: Store,
    capabilities: Mapping[Root, Capabilities],
    report: Progress,
) -> None:
    journal = Journal.resume(store, record)
    trash = Trash(store, record.id, capabilities, timedelta(0))
    ours = record.database == source.identity()
    counts: Counter[str] = Counter()
    complete = True
    for step in steps(store, record):
        outcome = step.outcome
        if outcome is None:
            outcome = _outcome_of(step, source if ours else None, store, trash)
            if outcome is None:
                complete = False
                continue
            journal.outcome(step.number, outcome)
            report("steps settled", 1)
        counts += _counted(step, outcome)
    if complete:
        journal.end(counts, state="interrupted")


def _counted(step: JournalStep, outcome: Sequence[JournalEntry]) -> Counter[str]:
    """What a step did, by the names that a summary has."""
    results = Counter(entry["result"] for entry in outcome)
    counts = Counter(failed=results["failed"])
    if step.kind == "delete_rows":
        counts["rows"] = results["deleted"]
    if step.kind == "keep_objects":
        counts["foreign"] = len(outcome)
    if step.kind == "abort_uploads":
        counts["uploads"] = results["aborted"]
    if step.kind == "discard_objects":
        gone = {entry["key"] for entry in outcome if entry["result"] in ("trashed", "deleted")}
        counts["objects"] = len(gone)
        counts["bytes"] = sum(entry["size"] for entry in step.intent if entry["key"] in gone)
    return counts


def _outcome_of(
    step: JournalStep, source: Source | None, store: Store, trash: Trash
) -> list[JournalEntry] | None:
    if step.kind == "discard_objects":
        outcomes = trash.settle([Intent.of_entry(entry) for entry in step.intent], step.number)
        return [outcome.entry() for outcome in outcomes]
    if step.kind == "keep_objects":
        return [kept_outcome(entry) for entry in step.intent]
    if step.kind == "abort_uploads":
        return settled_aborts(step.intent, store)
    if step.kind in ("restore_objects", "purge_objects"):
        return _recover_moves(step.intent, store, restored=step.kind == "restore_objects")
    if source is None:
        return None
    return _recover_rows(step.intent, source, deleted=step.kind == "delete_rows")


def _recover_moves(entries: Sequence[JournalEntry], store: Store, *, restored: bool) -> list[JournalEntry]:
    """By whether an object is in its place again, or what was to be purged is still in the trash."""
    if restored:
        found = store.stat_many([ObjectAddress(entry["bucket"], entry["key"]) for entry in entries])
        results = ["restored" if isinstance(one, ObjectInfo) else "failed" for one in found]
    else:
        results = ["failed" if _in_trash(entry, store) else "purged" for entry in entries]
    return [{"uri": entry["uri"], "result": result} for entry, result in zip(entries, results, strict=True)]


def _in_trash(entry: JournalEntry, store: Store) -> bool:
    """Whether what a purge was to delete is still there: a hidden version in its own place, or a copy in the trash."""
    if "version_id" in entry:
        versions = store.versions(ObjectAddress(entry["bucket"], entry["key"]))
        return any(one.version_id == entry["version_id"] and not one.is_marker for one in versions)
    return store.stat(ObjectAddress(entry["bucket"], entry["trash_key"])) is not None


def _recover_rows(entries: Sequence[JournalEntry], source: Source, *, deleted: bool) -> list[JournalEntry]:
    records = [RowRecord.of(entry) for entry in entries]
    there = source.recorded(
        [RowTarget(one.table, one.row_key, one.written_at, one.digest) for one in records]
    )
    absent, present = ("deleted", "not_done") if deleted else ("not_done", "inserted")
    return [
        {
            "table": record.table,
            "row_key": record.row_key,
            "result": absent if place is None else present,
        }
        for record, place in zip(records, there.places, strict=True)
    ]
