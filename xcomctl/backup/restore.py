"""A restore from its begin to its end: everything is proven, then batch by batch objects first and rows second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from xcomctl.airflow.interface import InsertOutcome, RowRecord, Source
from xcomctl.backup.ledger import Ledger, LedgerEntry
from xcomctl.backup.parts import malformed, required_entries, required_lines
from xcomctl.backup.relocation import moved
from xcomctl.backup.restore_objects import PutBack, put_back
from xcomctl.backup.restore_request import RestoreRequest
from xcomctl.errors import RefusedError
from xcomctl.globs import matches
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import TransferStore
from xcomctl.state.operation import Operation

_THREADS = 8
_ROWS_AT_A_TIME = 200
_EXAMPLES = 5

ROW_OUTCOMES = ("inserted", "identical", "conflict", "no_task_instance", "misfit", "no_object", "not_movable")
"""Of the rows that were meant. no_object: its object did not come back. not_movable: its reference cannot be rewritten."""

OBJECT_OUTCOMES = ("restored", "identical", "conflict", "damaged", "outside")

NOT_RESTORED = ("conflict", "no_task_instance", "misfit", "no_object", "not_movable", "damaged", "outside")


@dataclass(slots=True)
class RestoreResult:
    """What a restore did so far; it stays true when it is cut short by an error."""

    rows: Counter[str] = field(default_factory=Counter)
    objects: Counter[str] = field(default_factory=Counter)
    bytes_restored: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)
    """By `rows.<outcome>` and `objects.<outcome>`, the first few of what was not restored."""

    @property
    def failed(self) -> int:
        """Rows and objects that were meant to be there afterwards and are not."""
        return sum(counts[name] for counts in (self.rows, self.objects) for name in NOT_RESTORED)

    def document(self, request: RestoreRequest, *, dry_run: bool) -> dict[str, Any]:
        """The result as JSON types."""
        return {
            "schema": "xcomctl.restore/1",
            "backup": request.manifest.id,
            "dry_run": dry_run,
            "targets": [root.uri for root in request.targets],
            "rows": {name: self.rows[name] for name in ROW_OUTCOMES},
            "objects": {name: self.objects[name] for name in OBJECT_OUTCOMES},
            "bytes_restored": self.bytes_restored,
            "examples": self.examples,
        }

    def count_row(self, record: RowRecord, outcome: str) -> None:
        """Count one row."""
        self.rows[outcome] += 1
        self._keep("rows", outcome, record.ref)

    def count_object(self, done: PutBack) -> None:
        """Count one object."""
        self.objects[done.result] += 1
        if done.result == "restored":
            self.bytes_restored += done.entry.size
        self._keep("objects", done.result, f"{done.uri}: {done.cause}" if done.cause else done.uri)

    def _keep(self, what: str, outcome: str, example: str) -> None:
        if outcome in NOT_RESTORED:
            kept = self.examples.setdefault(f"{what}.{outcome}", [])
            if len(kept) < _EXAMPLES:
                kept.append(example)


@dataclass(frozen=True, slots=True)
class _Line:
    """A row of the backup on its way: as it goes into the database, with the objects that it needs."""

    record: RowRecord
    entries: tuple[LedgerEntry, ...]


def restore(
    request: RestoreRequest,
    source: Source,
    store: TransferStore,
    *,
    operation: Operation | None,
    result: RestoreResult,
    report: Progress = no_progress,
) -> None:
    """Put back the rows that are meant and the objects that they need, counting in `result`.

    Without an operation nothing is changed, and `result` says what would become of each. Doing it again after a crash
    ends in the same state. Raises RefusedError for a damaged backup before anything is changed, SourceError, StoreError.
    """
    backup_target, manifest = request.backup_target, request.manifest
    with Ledger() as ledger, ThreadPoolExecutor(_THREADS) as threads:
        for part in manifest.parts_of("objects"):
            ledger.record(required_entries(backup_target, part))
        for part in manifest.parts_of("rows"):
            for line in required_lines(backup_target, part):
                if not _is_row(line):
                    raise malformed(part.name, backup_target)
                report("lines checked", 1)

        def put(entry: LedgerEntry) -> PutBack:
            target = request.target_of(entry.uri)
            if target is None:
                return PutBack(entry, entry.uri, "outside")
            return put_back(
                entry, target, store=store, backup_target=backup_target, dry_run=operation is None
            )

        lines = _meant(request)
        while batch := list(islice(lines, _ROWS_AT_A_TIME)):
            chosen = [_prepared(record, uris, ledger, request, result) for record, uris in batch]
            wanted = [line for line in chosen if line is not None]
            outcomes = source.insertable([line.record for line in wanted])
            _require_fit(outcomes, source, result)
            wanted = _count_hopeless(wanted, outcomes, result)
            pending = {
                entry.uri: entry
                for line in wanted
                for entry in line.entries
                if ledger.result_of(entry.uri) is None
            }
            if operation is not None:
                operation.fence()
            for done in threads.map(put, pending.values()):
                ledger.note_result(done.entry.uri, done.result)
                result.count_object(done)
                report("objects", 1)
            _insert(wanted, source, ledger, operation, result)
            report("rows", len(batch))


def _is_row(line: dict[str, Any]) -> bool:
    """Whether a line is one of a row, by its shape."""
    try:
        RowRecord.of(line["row"])
        return isinstance(line["objects"], list) and all(isinstance(uri, str) for uri in line["objects"])
    except (KeyError, RefusedError):
        return False


def _meant(request: RestoreRequest) -> Iterator[tuple[RowRecord, list[str]]]:
    """The rows that the selection means, with the objects that they may mean. Their shape was looked at before."""
    selection = request.selection
    for part in request.manifest.parts_of("rows"):
        for line in required_lines(request.backup_target, part):
            record = RowRecord.of(line["row"])
            if all(matches(glob, getattr(record, column)) for column, glob in selection.globs.items()) and (
                selection.map_index is None or record.map_index == selection.map_index
            ):
                yield record, line["objects"]


def _prepared(
    record: RowRecord, uris: Sequence[str], ledger: Ledger, request: RestoreRequest, result: RestoreResult
) -> _Line | None:
    """A row with what the backup has of its objects; None, and counted, where it cannot go where it should."""
    entries = [entry for entry in map(ledger.entry, uris) if entry and entry.state == "stored"]
    if request.to_root is not None:
        changed = moved(record, [entry.uri for entry in entries], request.roots, request.to_root)
        if changed is None:
            result.count_row(record, "not_movable")
            return None
        record = changed
    return _Line(record, tuple(entries))


def _require_fit(outcomes: Sequence[InsertOutcome], source: Source, result: RestoreResult) -> None:
    """Raise RefusedError where the first rows, all of them, are of another shape than the tables."""
    if outcomes and not result.rows and set(outcomes) == {"misfit"}:
        raise RefusedError(
            f"the rows of this backup do not fit the tables of {source.info().label}; nothing was restored",
            hint="restore into the generation of Airflow that the rows come from",
        )


def _count_hopeless(
    lines: Sequence[_Line], outcomes: Sequence[InsertOutcome], result: RestoreResult
) -> list[_Line]:
    """Those lines that can be in the database afterwards; no object comes back for the others, which are counted."""
    kept = []
    for line, outcome in zip(lines, outcomes, strict=True):
        if outcome in ("inserted", "identical"):
            kept.append(line)
        else:
            result.count_row(line.record, outcome)
    return kept


def _insert(
    lines: Sequence[_Line],
    source: Source,
    ledger: Ledger,
    operation: Operation | None,
    result: RestoreResult,
) -> None:
    ready = []
    for line in lines:
        states = {ledger.result_of(entry.uri) for entry in line.entries}
        if states <= {"restored", "identical"}:
            ready.append(line.record)
        else:
            # Without its object it would dangle; with another one in its place it would lie.
            result.count_row(line.record, "no_object")
    outcomes = source.insertable(ready) if operation is None else operation.insert_rows(ready)
    for record, outcome in zip(ready, outcomes, strict=True):
        result.count_row(record, outcome)
