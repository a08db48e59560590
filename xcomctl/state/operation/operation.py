"""An operation from its begin to its end: locks, journal, trash, and every change that it makes.

Each change is one step: the lock is checked, the intent is on record before anything happens, the outcome after. A
step of which the outcome is missing is settled by the next operation, which asks both sides what became of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from xcomctl import __version__
from xcomctl.airflow.interface import InsertOutcome, RowOutcome, RowRecord, RowTarget, Source
from xcomctl.errors import XcomctlError
from xcomctl.models import Root, outermost
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import ObjectInfo, Store
from xcomctl.s3.uploads import AbortOutcome, Upload
from xcomctl.state.journal import (
    Entries,
    Invocation,
    Journal,
    StepKind,
    home_of,
    new_operation_id,
    outcome_table,
)
from xcomctl.state.lock import NO_WAIT, Lock, LockWait
from xcomctl.state.operation.entries import abort_entry, kept_entry, kept_outcome, upload_entry
from xcomctl.state.operation.recovery import recover_unfinished
from xcomctl.state.owner import Collected, Owner, read_owner, write_owner
from xcomctl.state.ownership import roots_above
from xcomctl.state.trash.discarding import Trash
from xcomctl.state.trash.entries import DEFAULT_TRASH_KEEP, TrashEntry
from xcomctl.state.trash.intents import DeleteCandidate, DiscardOutcome
from xcomctl.state.trash.recovery import Recovery, purge, recovery_entry, restore

_NO_DIGEST = ""
"""Of no value: a row that is asked for with it is told of, and never deleted."""


@dataclass(frozen=True, slots=True)
class RowsSeen:
    """What the owner markers tell of the database."""

    rows: int
    newest_run: int | None
    newest_row_at: datetime | None


@dataclass(frozen=True, slots=True)
class Extent:
    """What of its roots an operation is about, as far as a plan tells."""

    inside: tuple[Root, ...] = ()
    """Other roots that lie in them."""
    collected: Collected | None = None
    """What will have been collected when it is done."""


_ALL = Extent()


class Operation:
    """One mutating run, made by `begin`. Without roots there is nowhere to keep a record, and no object to touch.

    `summary` is what the journal tells of it at the end.
    """

    def __init__(
        self,
        operation_id: str,
        source: Source,
        store: Store | None,
        roots: Sequence[Root],
        locks: Sequence[Lock],
        journal: Journal | None,
        trash: Trash | None,
        collected: Collected | None = None,
    ) -> None:
        self.id = operation_id
        self.source = source
        self.roots = tuple(roots)
        self.journal = journal
        self.trash = trash
        self.summary: dict[str, int] = {}
        self._store = store
        self._locks = locks
        self._collected = collected
        self._seen: RowsSeen | None = None
        self._open_steps = 0

    @classmethod
    @contextmanager
    def begin(
        cls,
        source: Source,
        store: Store | None,
        roots: Sequence[Root],
        invocation: Invocation,
        *,
        trash_keep: timedelta = DEFAULT_TRASH_KEEP,
        lock_wait: LockWait = NO_WAIT,
        extent: Extent = _ALL,
        report: Progress = no_progress,
    ) -> Iterator[Operation]:
        """Take the lock of every root, settle what earlier operations left open, and begin a journal.

        Raises LockedError where somebody else holds a lock, or that of a root around or inside, for longer than
        `lock_wait` lasts, StoreError, SourceError.
        """
        operation_id = new_operation_id(invocation.started_at)
        kept = outermost(roots)
        if store is None or not kept:
            yield cls(operation_id, source, None, (), (), None, None)
            return
        with ExitStack() as held:
            capabilities = {root: store.capabilities(root) for root in kept}
            locks = [
                held.enter_context(
                    Lock.acquire(
                        store,
                        root,
                        holder=invocation.actor,
                        operation_id=operation_id,
                        source=source,
                        around=[
                            *roots_above(root),
                            *(one for one in extent.inside if root.contains(one.at(""))),
                        ],
                        lock_wait=lock_wait,
                    )
                )
                for root in kept
            ]
            recover_unfinished(source, store, capabilities, report=report)
            journal = Journal.begin(
                store,
                home_of(kept),
                operation_id=operation_id,
                invocation=invocation,
                roots=kept,
                database=source.identity(),
            )
            trash = Trash(store, operation_id, capabilities, trash_keep)
            operation = cls(operation_id, source, store, kept, locks, journal, trash, extent.collected)
            try:
                yield operation
                operation._write_owners()
            except BaseException as error:
                # What broke the operation is what is told, whatever else breaks now. An open step is left to the next
                # operation to settle, and with it the end.
                if not operation._open_steps:
                    with suppress(XcomctlError):
                        journal.end(operation.summary, error)
                raise
            # Whoever took the lock meanwhile has settled what we did, and written the end.
            operation.fence()
            journal.end(operation.summary)

    @property
    def keeps_trash(self) -> bool:
        """Whether what goes can come back after the operation."""
        return self.trash is not None and bool(self.trash.keep)

    def fence(self) -> None:
        """Make sure that the locks are still ours. Raises RefusedError where one was lost, StoreError."""
        for lock in self._locks:
            lock.check()

    def saw(self, seen: RowsSeen) -> None:
        """Note what is there in the database now, for the owner markers."""
        self._seen = seen

    def delete_rows(
        self,
        targets: Sequence[RowTarget],
        *,
        active_runs: bool = False,
        count: Callable[[Sequence[RowOutcome]], None] = lambda _: None,
    ) -> list[RowOutcome]:
        """Record rows with their values, then delete those that are still as judged; see `Source.delete_rows`.

        It is one step, but may take several transactions: `count` hears the outcomes of each that was committed.
        """
        if self.journal is None:
            return self._delete_in_transactions(targets, active_runs, count)
        recorded = self.source.recorded(targets)
        # A row that cannot be recorded as it was judged must not go, even if it is as judged a moment later.
        wanted = [
            target if place is not None else replace(target, digest=_NO_DIGEST)
            for target, place in zip(targets, recorded.places, strict=True)
        ]
        with self._step("delete_rows", recorded.table) as step:
            results = self._delete_in_transactions(wanted, active_runs, count)
            told: dict[int, RowOutcome] = {}
            for place, result in zip(recorded.places, results, strict=True):
                if place is not None:
                    told.setdefault(place, result)
            step.outcome = outcome_table(recorded.table, [told[place] for place in range(len(told))])
        return results

    def _delete_in_transactions(
        self,
        targets: Sequence[RowTarget],
        active_runs: bool,
        count: Callable[[Sequence[RowOutcome]], None],
    ) -> list[RowOutcome]:
        results: list[RowOutcome] = []
        while len(results) < len(targets):
            outcomes = self.source.delete_rows(targets[len(results) :], active_runs=active_runs)
            count(outcomes)
            results += outcomes
        return results

    def insert_rows(self, records: Sequence[RowRecord]) -> list[InsertOutcome]:
        """Put rows back; see `Source.insert_records`."""
        with self._step("insert_rows", [record.document() for record in records]) as step:
            results = self.source.insert_records(records)
            step.outcome = [
                {"table": record.table, "row_key": record.row_key, "result": result}
                for record, result in zip(records, results, strict=True)
            ]
        return results

    def discard(self, objects: Sequence[DeleteCandidate]) -> list[DiscardOutcome]:
        """Move objects to the trash; one outcome each, in order. Raises RefusedError, StoreError."""
        _, trash = self._with_store()
        intents = trash.intend(objects)
        entries = [intent.entry() for intent in intents if intent.way != "kept"]
        with self._step("discard_objects", entries) as step:
            outcomes = trash.discard(intents, step.number)
            step.outcome = [outcome.entry() for outcome in outcomes if outcome.result != "kept"]
        return outcomes

    def restore(self, entries: Sequence[TrashEntry]) -> list[Recovery]:
        """Bring objects back from the trash; one outcome each, in order. Raises RefusedError, StoreError."""
        store, _ = self._with_store()
        with self._step("restore_objects", [recovery_entry(entry) for entry in entries]) as step:
            recoveries = restore(store, entries)
            step.outcome = [recovery.entry() for recovery in recoveries]
        return recoveries

    def purge(self, entries: Sequence[TrashEntry]) -> list[Recovery]:
        """Delete from the trash for good; one outcome each, in order. Raises RefusedError, StoreError."""
        store, _ = self._with_store()
        with self._step("purge_objects", [recovery_entry(entry) for entry in entries]) as step:
            recoveries = purge(store, entries)
            step.outcome = [recovery.entry() for recovery in recoveries]
        return recoveries

    def keep(self, objects: Sequence[ObjectInfo]) -> None:
        """Record that objects stay which no dialect claims, before the last rows go that name them. Raises StoreError."""
        entries = [kept_entry(one) for one in objects]
        with self._step("keep_objects", entries) as step:
            step.outcome = [kept_outcome(entry) for entry in entries]

    def abort_uploads(self, uploads: Sequence[Upload]) -> list[AbortOutcome]:
        """Abort unfinished uploads; one outcome each, in order. Raises RefusedError, StoreError."""
        store, _ = self._with_store()
        with self._step("abort_uploads", [upload_entry(upload) for upload in uploads]) as step:
            outcomes = store.abort_uploads(uploads)
            step.outcome = [abort_entry(outcome) for outcome in outcomes]
        return outcomes

    @contextmanager
    def _step(self, kind: StepKind, entries: Entries) -> Iterator[_Step]:
        """One step: what is done inside has its intent on record before, and the outcome that it sets after."""
        if self.journal is None or not len(entries):
            yield _Step(0)
            return
        self.fence()
        self._open_steps += 1
        step = _Step(self.journal.intent(kind, entries))
        yield step
        self.journal.outcome(step.number, step.outcome)
        self._open_steps -= 1

    def _with_store(self) -> tuple[Store, Trash]:
        assert self._store is not None and self.trash is not None, "objects need a store"  # noqa: S101, PT018
        return self._store, self.trash

    def _write_owners(self) -> None:
        if self._seen is None or self._store is None:
            return
        self.fence()
        for root in self.roots:
            owner = Owner(
                database=self.source.identity(),
                label=self.source.info().label,
                rows=self._seen.rows,
                newest_run=self._seen.newest_run,
                newest_row_at=self._seen.newest_row_at,
                written_at=self._store.now(root.bucket),
                tool_version=__version__,
            )
            previous = read_owner(self._store, root)
            if self._collected is not None:
                owner = owner.having_collected(self._collected, previous)
            elif previous is not None and previous.database == owner.database:
                owner = replace(owner, collected=previous.collected, claims=previous.claims)
            write_owner(self._store, root, owner, previous)


class _Step:
    """A step while it is done."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.outcome: Entries = []
