"""Reading journals: which operations there were, and what each did, step by step."""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from typing import Any, get_args

from xcomctl.errors import NotFoundError, RefusedError, UsageError
from xcomctl.models import ObjectAddress, Root, outermost
from xcomctl.s3.documents import damaged, decode, time_of
from xcomctl.s3.interface import Store
from xcomctl.state.journal.columns import unpack
from xcomctl.state.journal.records import (
    BEGAN,
    BEGAN_SCHEMA,
    COLUMNS,
    ENDED,
    ENDED_SCHEMA,
    LINES,
    OLDER_SCHEMAS,
    OPERATION_ID,
    JournalEntry,
    JournalStep,
    OperationRecord,
    State,
    StepKind,
    folder_of,
    intent_name,
    outcome_name,
)

_ENDING = "|".join(map(re.escape, (LINES, COLUMNS)))
_INTENT = re.compile(rf"([0-9]{{6,}})-({'|'.join(get_args(StepKind))})-intent({_ENDING})")
_OUTCOME = re.compile(rf"([0-9]{{6,}})-outcome({_ENDING})")

_INCOMPLETE_HINT = "look who else deletes below .xcomctl/; a lifecycle rule?"

_AT_ONCE = 16
"""Operations that are asked for side by side."""

Damage = Callable[[RefusedError], None]
"""Hears of a part of the journal that cannot be read."""


def operations(
    store: Store,
    roots: Sequence[Root],
    limit: int | None = None,
    *,
    since: datetime | None = None,
    on_damage: Damage | None = None,
) -> Iterator[OperationRecord]:
    """Past operations on `roots`, newest first; with `since` those that were begun then or later.

    Several are asked for side by side. Raises StoreError, and RefusedError for a journal that cannot be read; with
    `on_damage` it is told, and left out.
    """
    # An id begins with the second in which its operation did.
    first = "" if since is None else f"{since.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}"
    chosen = (one for one in _folders(store, roots) if one[1] >= first)
    given = 0
    while (limit is None or given < limit) and (part := list(islice(chosen, _AT_ONCE))):
        with ThreadPoolExecutor(len(part)) as threads:
            asked = [threads.submit(_record, store, home, operation_id) for home, operation_id, _ in part]
        for one in asked:
            record = _unless_damaged(one.result, on_damage)
            if record is not None and (limit is None or given < limit):
                given += 1
                yield record


def unfinished(
    store: Store, roots: Sequence[Root], *, on_damage: Damage | None = None
) -> Iterator[OperationRecord]:
    """Operations without an end, newest first, without asking for all others. Raises as `operations` does."""
    for home, operation_id, names in _folders(store, roots):
        if ENDED not in names:
            record = _unless_damaged(partial(_record, store, home, operation_id), on_damage)
            if record is not None:
                yield record


def find(store: Store, roots: Sequence[Root], operation_id: str) -> OperationRecord:
    """The operation of this id. Raises NotFoundError, RefusedError where its journal cannot be read, StoreError."""
    if OPERATION_ID.fullmatch(operation_id):
        for home in outermost(roots):
            if store.stat(folder_of(home, operation_id).at(BEGAN)) is not None:
                return _record(store, home, operation_id)
    raise NotFoundError(f"there is no operation {operation_id!r}", hint="xcomctl log shows what there is")


def require_own_roots(record: OperationRecord, roots: Sequence[Root]) -> None:
    """Raise RefusedError where an operation says that it was on a root that is none of these, nor lies in one.

    Whoever takes it back would lock and write there, with the values of rows: a file must not say where.
    """
    others = [root for root in record.roots if not any(own.contains(root.at("")) for own in roots)]
    if others or not record.roots:
        named = ", ".join(root.uri for root in others) or "no store at all"
        raise RefusedError(
            f"operation {record.id} was on {named}, by its journal, which this command is not for; nothing was done",
            hint=" ".join(["if that is yours, add", *(f"--store {root.uri}" for root in others)])
            if others
            else "look who else writes below .xcomctl/",
        )


def steps(store: Store, record: OperationRecord) -> Iterator[JournalStep]:
    """The steps of an operation in order, one after the other read. Raises RefusedError for a damaged one, StoreError."""
    folder = folder_of(record.home, record.id)
    for number, step in sorted(step_forms(store, record).items()):
        intent = _unpacked(store, folder.at(intent_name(number, step.kind) + step.ending), step.ending)
        yield JournalStep(
            number,
            step.kind,
            intent,
            _unpacked(store, folder.at(outcome_name(number) + step.ending), step.ending)
            if step.has_outcome
            else None,
        )


def _folders(store: Store, roots: Sequence[Root]) -> list[tuple[Root, str, set[str]]]:
    """Home, id and names of the objects of each operation, newest first."""
    found: dict[tuple[str, Root], set[str]] = {}
    for home in outermost(roots):
        for name in _names(store, folder_of(home)):
            operation_id, _, rest = name.partition("/")
            if OPERATION_ID.fullmatch(operation_id):
                found.setdefault((operation_id, home), set()).add(rest)
    return [
        (home, operation_id, names) for (operation_id, home), names in sorted(found.items(), reverse=True)
    ]


def _names(store: Store, folder: Root) -> Iterator[str]:
    for batch in store.batches(folder):
        for key in batch.column("key").to_pylist():
            yield key.removeprefix(folder.prefix)


@dataclass(frozen=True, slots=True)
class StepForm:
    """What the names of a step's objects tell."""

    kind: StepKind
    ending: str
    """`LINES` or `COLUMNS`, of its intent and of its outcome."""
    has_outcome: bool


def step_forms(store: Store, record: OperationRecord) -> dict[int, StepForm]:
    """Each step by its number. Raises RefusedError where an intent is missing, or there is more than one."""
    folder = folder_of(record.home, record.id)
    intents: dict[int, list[tuple[Any, str]]] = {}
    outcomes: dict[int, list[str]] = {}
    for name in _names(store, folder):
        if intent := _INTENT.fullmatch(name):
            intents.setdefault(int(intent[1]), []).append((intent[2], intent[3]))
        elif outcome := _OUTCOME.fullmatch(name):
            outcomes.setdefault(int(outcome[1]), []).append(outcome[2])
    for number in sorted({*range(1, max(intents, default=0) + 1), *outcomes}):
        endings = [ending for _, ending in intents.get(number, ())]
        if not endings:
            raise RefusedError(
                f"the journal {folder.uri} is damaged: the intent of step {number} is missing",
                hint=_INCOMPLETE_HINT,
            )
        if len(endings) > 1 or outcomes.get(number, endings) != endings:
            raise RefusedError(
                f"the journal {folder.uri} is damaged: step {number} is there in two forms",
                hint="look who else writes below .xcomctl/",
            )
    return {
        number: StepForm(kind, ending, number in outcomes) for number, ((kind, ending),) in intents.items()
    }


def _unless_damaged(read: Callable[[], OperationRecord], on_damage: Damage | None) -> OperationRecord | None:
    try:
        return read()
    except RefusedError as error:
        if on_damage is None:
            raise
        on_damage(error)
        return None


def _record(store: Store, home: Root, operation_id: str) -> OperationRecord:
    folder = folder_of(home, operation_id)
    address = folder.at(BEGAN)
    began = _document(store, address, BEGAN_SCHEMA, OLDER_SCHEMAS)
    if began is None:
        raise RefusedError(
            f"the journal {folder.uri} is damaged: its beginning is missing",
            hint=_INCOMPLETE_HINT,
        )
    try:
        record = OperationRecord(
            id=operation_id,
            home=home,
            command=str(began["command"]),
            actor=str(began["actor"]),
            started_at=time_of(began["started_at"]),
            roots=tuple(Root.parse(uri) for uri in began["roots"]),
            database=str(began["database"]),
            plan_id=began["plan_id"],
            tool_version=str(began["tool_version"]),
            state="unfinished",
        )
        address = folder.at(ENDED)
        ended = _document(store, address, ENDED_SCHEMA)
        if ended is None:
            return record
        if ended["state"] not in get_args(State) or not isinstance(ended["summary"], dict):
            raise ValueError("no state")
        return replace(
            record,
            state=ended["state"],
            ended_at=time_of(ended["ended_at"]),
            summary=ended["summary"],
            error=ended["error"],
        )
    except (KeyError, TypeError, ValueError, UsageError):
        raise damaged(address) from None


def _document(
    store: Store, address: ObjectAddress, schema: str, older: Sequence[str] = ()
) -> dict[str, Any] | None:
    try:
        return decode(store.read(address), schema, address, older=older)
    except NotFoundError:
        return None


def _unpacked(store: Store, address: ObjectAddress, ending: str) -> list[JournalEntry]:
    try:
        raw = store.read(address)
        if ending == COLUMNS:
            return unpack(raw, address)
        entries = [json.loads(line) for line in gzip.decompress(raw).splitlines()]
    except (NotFoundError, OSError, EOFError, zlib.error, ValueError, RecursionError):
        raise damaged(address) from None
    # Nothing at all decompresses to nothing, but no step was ever written as that.
    if not raw or not all(isinstance(entry, dict) for entry in entries):
        raise damaged(address)
    return entries
