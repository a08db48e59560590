"""The trash of a bucket that keeps no versions: a confirmed copy inside the store, then a deletion of what was copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import Copy, CopyOutcome, DeleteOutcome, ObjectInfo, Store, StoreErrorInfo
from xcomctl.state.trash.entries import TrashEntry
from xcomctl.state.trash.intents import DiscardOutcome, Intent
from xcomctl.state.trash.ledger import write_ledgers
from xcomctl.state.trash.places import is_named_by_digest

LedgerOf = Callable[[ObjectAddress], ObjectAddress]
"""Which ledger tells of an object, if one has to."""


def discard_by_copy(
    store: Store, operation_id: str, intents: Sequence[Intent], ledger_of: LedgerOf
) -> list[DiscardOutcome]:
    """Copy the objects to the trash, and delete those of which the copy is confirmed; one outcome each, in order."""
    copies = [Copy(intent.info, intent.copy) for intent in intents if intent.copy is not None]
    made = dict(zip((copy.source.address for copy in copies), store.copy(copies), strict=True))
    entries: dict[ObjectAddress, TrashEntry] = {}
    for intent in intents:
        kept = made[intent.info.address].made
        if made[intent.info.address].result == "copied" and kept is not None:
            entries[intent.info.address] = _entry(operation_id, intent, kept, ledger_of)
    # Before the deletion: afterwards nothing but the journal would tell whose copies these are.
    write_ledgers(store, entries.values())
    copied = [intent.info for intent in intents if intent.info.address in entries]
    deletions = dict(zip((info.address for info in copied), store.delete(copied), strict=True))
    outcomes = []
    superfluous = []
    for intent in intents:
        address = intent.info.address
        if address not in entries:
            outcomes.append(_not_copied(intent, made[address]))
            continue
        outcome = _copied(store, intent, entries[address], deletions[address])
        if outcome.result == "changed" and made[address].made is not None:
            superfluous.append(made[address].made)
        outcomes.append(outcome)
    store.delete([copy for copy in superfluous if copy is not None])
    return outcomes


def settle_copies(
    store: Store, operation_id: str, intents: Sequence[Intent], ledger_of: LedgerOf
) -> list[DiscardOutcome]:
    """What became of attempts of which no outcome is known: is the object there, is its copy?

    An object that is still there, or there again, has no use for the copy.
    """
    found = store.stat_many([intent.info.address for intent in intents])
    copies = store.stat_many([intent.copy or intent.info.address for intent in intents])
    outcomes, superfluous = [], []
    for intent, now, made in zip(intents, found, copies, strict=True):
        copy = None if intent.copy is None else made
        if isinstance(now, StoreErrorInfo) or isinstance(copy, StoreErrorInfo):
            outcomes.append(DiscardOutcome(intent.info, "failed", "the store cannot be asked for it"))
        elif now is not None:
            same = (now.etag, now.size) == (intent.info.etag, intent.info.size)
            outcomes.append(DiscardOutcome(intent.info, "not_done" if same else "changed"))
            superfluous += [copy] if copy is not None else []
        elif copy is not None:
            entry = _entry(operation_id, intent, copy, ledger_of)
            outcomes.append(DiscardOutcome(intent.info, "trashed", discarded=entry))
        else:
            outcomes.append(DiscardOutcome(intent.info, "deleted" if intent.way == "none" else "gone"))
    write_ledgers(store, [outcome.discarded for outcome in outcomes if outcome.discarded is not None])
    store.delete(superfluous)
    return outcomes


def _entry(operation_id: str, intent: Intent, kept: ObjectInfo, ledger_of: LedgerOf) -> TrashEntry:
    address = intent.info.address
    return TrashEntry(
        original=address,
        operation_id=operation_id,
        size=kept.size,
        etag=kept.etag,
        discarded_at=kept.last_modified,
        kept_as=kept,
        ledger=ledger_of(address) if is_named_by_digest(kept.address) else None,
    )


def _not_copied(intent: Intent, outcome: CopyOutcome) -> DiscardOutcome:
    if outcome.result in ("changed", "gone"):
        return DiscardOutcome(intent.info, outcome.result)
    return DiscardOutcome(intent.info, "failed", outcome.cause or "it could not be copied to the trash")


def _copied(store: Store, intent: Intent, entry: TrashEntry, deletion: DeleteOutcome) -> DiscardOutcome:
    if deletion.result == "changed":
        return DiscardOutcome(intent.info, "changed")
    # It was there a moment ago: "gone" may well be our own deletion, whose first answer was lost; and a deletion
    # that was not confirmed may have happened all the same.
    if deletion.result != "failed" or store.stat_many([intent.info.address]) == [None]:
        return DiscardOutcome(intent.info, "trashed", discarded=entry)
    # The copy stays until it is purged: a failure may not be what it seems.
    return DiscardOutcome(intent.info, "failed", deletion.cause)
