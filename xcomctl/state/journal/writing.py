"""Writing the journal of an operation: every object once, and before the step that it tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xcomctl import __version__
from xcomctl.errors import PartialError, XcomctlError
from xcomctl.models import Root
from xcomctl.s3.documents import encode, encode_lines
from xcomctl.s3.interface import Store
from xcomctl.state.journal.reading import step_numbers
from xcomctl.state.journal.records import (
    BEGAN,
    BEGAN_SCHEMA,
    ENDED,
    ENDED_SCHEMA,
    Invocation,
    JournalEntry,
    OperationRecord,
    State,
    StepKind,
    folder_of,
    intent_name,
    outcome_name,
)


class Journal:
    """The journal of one operation, to be written to."""

    def __init__(self, store: Store, home: Root, operation_id: str, *, steps: int = 0) -> None:
        self._store = store
        self._home = home
        self._steps = steps
        self.operation_id = operation_id

    @classmethod
    def begin(
        cls,
        store: Store,
        home: Root,
        *,
        operation_id: str,
        invocation: Invocation,
        roots: Sequence[Root],
        database: str,
    ) -> Journal:
        """Begin the journal of a new operation. Raises StoreError, also where there is one of this id."""
        journal = cls(store, home, operation_id)
        members = {
            "id": operation_id,
            "command": invocation.command,
            "actor": invocation.actor,
            "started_at": invocation.started_at,
            "roots": [root.uri for root in roots],
            "database": database,
            "plan_id": invocation.plan_id,
            "tool_version": __version__,
        }
        journal._write(BEGAN, encode(BEGAN_SCHEMA, members))
        return journal

    @classmethod
    def resume(cls, store: Store, record: OperationRecord) -> Journal:
        """The journal of an unfinished operation, to write what became of it. Raises StoreError, RefusedError."""
        numbers = step_numbers(store, record)
        return cls(store, record.home, record.id, steps=max(numbers, default=0))

    def intent(self, kind: StepKind, entries: Sequence[JournalEntry]) -> int:
        """Write what the next step is about to do; its number, from 1 on. It is in the store when this returns.

        Raises StoreError.
        """
        number = self._steps + 1
        self._write(intent_name(number, kind), encode_lines(entries))
        self._steps = number
        return number

    def outcome(self, number: int, entries: Sequence[JournalEntry]) -> None:
        """Write what came of a step. Raises StoreError, also where that is known already."""
        self._write(outcome_name(number), encode_lines(entries))

    def end(
        self, summary: Mapping[str, Any], error: BaseException | None = None, *, state: State | None = None
    ) -> None:
        """Write how it ended, by the store's clock.

        `summary` holds JSON types, among them `rows`, `objects`, `bytes`, `failed`. The state is that of `error`, or
        `done`, or `partial` where something failed; `state` overrules it. Raises StoreError.
        """
        if state is None:
            state = _state_of(summary, error)
        members = {
            "ended_at": self._store.now(self._home.bucket),
            "state": state,
            "summary": dict(summary),
            # The text of an unknown error could quote anything.
            "error": str(error) if isinstance(error, XcomctlError) else error and type(error).__name__,
        }
        self._write(ENDED, encode(ENDED_SCHEMA, members))

    def _write(self, name: str, body: bytes) -> None:
        self._store.put(folder_of(self._home, self.operation_id).at(name), body, if_absent=True)


def _state_of(summary: Mapping[str, Any], error: BaseException | None) -> State:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if error is not None and not isinstance(error, PartialError):
        return "failed"
    return "partial" if error is not None or summary.get("failed") else "done"
