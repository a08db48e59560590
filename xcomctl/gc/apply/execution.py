"""Execute a plan, in an order in which a crash at any place costs nothing.

What a row references again comes out of the trash first. Then rows go, each recorded with its value; then objects,
which both sides are asked for again right before; then all rows are read once more, and what is referenced by now
comes back. What was in the trash for long goes last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from xcomctl.airflow.interface import RowTarget
from xcomctl.errors import XcomctlError
from xcomctl.gc.apply.outcome import Outcome
from xcomctl.gc.apply.purging import purge_unreferenced
from xcomctl.gc.apply.references import CHECK_HOLDS, OBJECTS_PER_CHECK, RowReading, still_referenced
from xcomctl.gc.apply.uploads import abort_uploads
from xcomctl.gc.apply.verification import Verification
from xcomctl.gc.plan import Plan, object_of
from xcomctl.gc.rate_limit import MOST_AT_ONCE, RateLimit
from xcomctl.state.operation import Operation
from xcomctl.state.trash.entries import TrashEntry
from xcomctl.state.trash.intents import DeleteCandidate, DiscardOutcome

_ROWS_PER_STEP = 50_000
"""Each step is two requests to the store, one after the other."""

_BYTES_PER_STEP = 16 << 20
"""Of values, which are all in memory, and in one object of the journal."""

_MOST_ATTEMPTS = 5

# The code alone, as a batch tells it of one key, or in parentheses, as an error of a whole request does.
_THROTTLED = re.compile(
    r"(?:^|\()(?:SlowDown|ServiceUnavailable|RequestLimitExceeded|TooManyRequests|503|429)\b"
)


def apply_plan(
    plan: Plan,
    operation: Operation,
    reading: RowReading,
    *,
    outcome: Outcome,
    active_runs: bool = False,
    max_rate: float | None = None,
) -> None:
    """Execute `plan`, counting in `outcome`. Applying it again after a crash ends in the same state.

    With `active_runs` rows go also if their run is not over. `max_rate` is in objects per second.

    Raises SourceError or StoreError when a side fails, RefusedError when the lock was lost: what was not yet asked
    again is not deleted. What `reading.report` raises stops it, too, between two batches that are both counted.
    """
    execution = _Execution(plan, operation, reading, outcome, RateLimit(max_rate))
    try:
        execution.restore()
        execution.keep_foreign()
        execution.delete_rows(active_runs)
        if operation.trash is not None:
            with Verification(reading, operation.roots, operation.id) as verification:
                try:
                    execution.discard(verification)
                except (KeyboardInterrupt, XcomctlError):
                    # Also then nobody shall miss what was taken away until now; what broke it is what is told.
                    with suppress(XcomctlError):
                        execution.verify(verification)
                    raise
                execution.verify(verification)
            execution.purge()
            abort_uploads(plan, operation, outcome, reading.report)
    finally:
        operation.summary.update(outcome.summary())


class _Execution:
    def __init__(
        self,
        plan: Plan,
        operation: Operation,
        reading: RowReading,
        outcome: Outcome,
        rate: RateLimit,
    ) -> None:
        self._plan = plan
        self._operation = operation
        self._reading = reading
        self._outcome = outcome
        self._rate = rate
        self._report = reading.report

    def restore(self) -> None:
        for actions in self._plan.batches("restore_object", MOST_AT_ONCE):
            self._outcome.add_recoveries(self._operation.restore([TrashEntry.of_action(a) for a in actions]))
            self._report("objects restored", len(actions))

    def keep_foreign(self) -> None:
        # On record before the rows go that name them: afterwards nothing tells of these objects.
        for actions in self._plan.batches("keep_object", MOST_AT_ONCE):
            self._operation.keep([object_of(action) for action in actions])
            self._outcome.objects["foreign"] += len(actions)

    def delete_rows(self, active_runs: bool) -> None:
        for targets in _bounded(self._plan.sized_row_targets()):
            self._operation.delete_rows(targets, active_runs=active_runs, count=self._outcome.rows.update)
            self._report("rows deleted", len(targets))

    def discard(self, verification: Verification) -> None:
        actions = self._plan.actions.records("delete_object")
        candidates = (
            DeleteCandidate(object_of(action), action["reusable"] is not False) for action in actions
        )
        while waiting := list(islice(candidates, OBJECTS_PER_CHECK)):
            attempts = 0
            while waiting:
                waiting = self._unreferenced(waiting)
                throttled = self._discard_while_it_holds(waiting, verification, attempts < _MOST_ATTEMPTS)
                attempts += 1 if throttled else 0
                waiting = throttled + waiting

    def _discard_while_it_holds(
        self, waiting: list[DeleteCandidate], verification: Verification, retries: bool
    ) -> list[DeleteCandidate]:
        """Take from `waiting` what goes before the rows must be read again; those that the store was too busy for."""
        throttled: list[DeleteCandidate] = []
        checked_at = self._rate.now()
        while waiting and self._rate.now() - checked_at < CHECK_HOLDS:
            size = self._rate.batch_size
            chosen, waiting[:size] = waiting[:size], []
            self._rate.take(len(chosen))
            outcomes = self._operation.discard(chosen)
            busy = {one.info.address for one in outcomes if retries and _was_throttled(one)}
            done = [one for one in outcomes if one.info.address not in busy]
            throttled += [one for one in chosen if one.info.address in busy]
            if busy:
                self._rate.throttled()
            else:
                self._rate.went_well()
            verification.add(outcomes)
            self._outcome.add_discards(done)
            self._report("objects deleted", len(done))
        return throttled

    def _unreferenced(self, waiting: Sequence[DeleteCandidate]) -> list[DeleteCandidate]:
        referenced = still_referenced(
            [candidate.info for candidate in waiting],
            self._operation.source,
            self._operation.roots,
            self._reading,
        )
        self._outcome.objects["referenced"] += len(referenced)
        return [candidate for candidate in waiting if candidate.info.address not in referenced]

    def verify(self, verification: Verification) -> None:
        # How many rows are left is noted, too: fewer of them must not look like a loss to the next operation.
        if verification.is_empty and not self._outcome.rows["deleted"]:
            return
        seen = verification.read_rows(self._operation.source)
        self._operation.saw(seen)
        for entries in verification.referenced():
            self._outcome.take_back(self._operation.restore(entries))
        if not self._operation.keeps_trash:
            for entries in verification.unreferenced():
                self._outcome.add_recoveries(self._operation.purge(entries))

    def purge(self) -> None:
        batches = self._plan.batches("purge_object", MOST_AT_ONCE)
        purge_unreferenced(
            (TrashEntry.of_action(action) for actions in batches for action in actions),
            self._operation,
            self._reading,
            outcome=self._outcome,
            rate=self._rate,
        )


def _was_throttled(outcome: DiscardOutcome) -> bool:
    return outcome.result == "failed" and _THROTTLED.search(outcome.cause or "") is not None


def _bounded(rows: Iterable[tuple[RowTarget, int]]) -> Iterator[list[RowTarget]]:
    """The rows in parts of one step each, by their number and the bytes of their values; a larger one comes alone."""
    part: list[RowTarget] = []
    held = 0
    for target, size in rows:
        if part and (len(part) == _ROWS_PER_STEP or held + size > _BYTES_PER_STEP):
            yield part
            part, held = [], 0
        part.append(target)
        held += size
    if part:
        yield part
