"""Writing the journal of an operation: every object once, and before the step that it tells of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Union

from xcomctl import __version__
from xcomctl.errors import PartialError, XcomctlError
from xcomctl.models import Root
from xcomctl.s3.documents import encode, encode_lines
from xcomctl.s3.interface import Store
from xcomctl.state.journal.columns import pack, table_of
from xcomctl.state.journal.reading import step_forms
from xcomctl.state.journal.records import (
    BEGAN,
    BEGAN_SCHEMA,
    COLUMNS,
    ENDED,
    ENDED_SCHEMA,
    LINES,
    Invocation,
    JournalEntry,
    OperationRecord,
    State,
    StepKind,
    folder_of,
    intent_name,
    outcome_name,
)

if TYPE_CHECKING:
    import pyarrow as pa

Entries = Union[Sequence[JournalEntry], "pa.Table"]
"""The entries of a step: JSON types, or columns as `columns.pack` takes them."""


class Journal:
    """The journal of one operation, to be written to."""

    def __init__(self, store: Store, home: Root, operation_id: str) -> None:
        self._store = store
        self._home = home
        self._endings: dict[int, str] = {}
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
        journal = cls(store, record.home, record.id)
        journal._endings = {number: form.ending for number, form in step_forms(store, record).items()}
        return journal

    def intent(self, kind: StepKind, entries: Entries) -> int:
        """Write what the next step is about to do; its number, from 1 on. It is in the store when this returns.

        Raises StoreError.
        """
        number = max(self._endings, default=0) + 1
        ending = LINES if isinstance(entries, Sequence) else COLUMNS
        self._write(intent_name(number, kind) + ending, _packed(entries, ending))
        self._endings[number] = ending
        return number

    def outcome(self, number: int, entries: Entries) -> None:
        """Write what came of a step. Raises StoreError, also where that is known already."""
        # As the intent, so that it cannot be known twice under two names.
        ending = self._endings[number]
        self._write(outcome_name(number) + ending, _packed(entries, ending))

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


def _packed(entries: Entries, ending: str) -> bytes:
    if isinstance(entries, Sequence):
        return encode_lines(entries) if ending == LINES else pack(table_of(entries))
    return pack(entries)


def _state_of(summary: Mapping[str, Any], error: BaseException | None) -> State:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    if error is not None and not isinstance(error, PartialError):
        return "failed"
    return "partial" if error is not None or summary.get("failed") else "done"
