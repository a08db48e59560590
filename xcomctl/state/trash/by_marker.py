"""The trash of a bucket that keeps versions: a delete marker hides the object, and never anything but what was judged."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from xcomctl.s3.interface import DeleteOutcome, ObjectInfo, ObjectVersion, Store
from xcomctl.state.trash.by_copy import LedgerOf
from xcomctl.state.trash.entries import HiddenVersion, TrashEntry
from xcomctl.state.trash.intents import DiscardOutcome, Intent
from xcomctl.state.trash.ledger import write_ledgers

_THREADS = 16


def discard_by_marker(
    store: Store, operation_id: str, intents: Sequence[Intent], ledger_of: LedgerOf
) -> list[DiscardOutcome]:
    """Hide the objects; one outcome each, in order. A write that came in between is brought to light again at once.

    Raises StoreError where it cannot be told what a marker hides: `settle_markers` asks later.
    """

    def look(pair: tuple[Intent, DeleteOutcome]) -> DiscardOutcome:
        intent, deletion = pair
        if deletion.result != "deleted":
            return DiscardOutcome(intent.info, deletion.result, deletion.cause)
        return _behind(store, operation_id, intent, deletion.marker_id, ledger_of)

    deletions = store.delete([intent.info for intent in intents])
    with ThreadPoolExecutor(_THREADS) as threads:
        outcomes = list(threads.map(look, zip(intents, deletions, strict=True)))
    write_ledgers(store, [outcome.discarded for outcome in outcomes if outcome.discarded is not None])
    return outcomes


def settle_markers(
    store: Store, operation_id: str, intents: Sequence[Intent], ledger_of: LedgerOf
) -> list[DiscardOutcome]:
    """What became of attempts of which no outcome is known, by the versions that there are. Raises StoreError."""

    def look(intent: Intent) -> DiscardOutcome:
        versions = store.versions(intent.info.address)
        if not versions:
            return DiscardOutcome(intent.info, "gone")
        if not versions[0].is_marker:
            same = as_judged(intent.info, versions[0])
            return DiscardOutcome(intent.info, "not_done" if same else "changed")
        return _behind(store, operation_id, intent, versions[0].version_id, ledger_of)

    with ThreadPoolExecutor(_THREADS) as threads:
        outcomes = list(threads.map(look, intents))
    write_ledgers(store, [outcome.discarded for outcome in outcomes if outcome.discarded is not None])
    return outcomes


def as_judged(info: ObjectInfo, version: ObjectVersion) -> bool:
    """Whether a version is the object that was judged. Times are compared to the second, as a HEAD tells them."""
    return (version.etag, version.size) == (info.etag, info.size) and version.last_modified.replace(
        microsecond=0
    ) == info.last_modified.replace(microsecond=0)


def _behind(
    store: Store, operation_id: str, intent: Intent, marker_id: str | None, ledger_of: LedgerOf
) -> DiscardOutcome:
    versions = store.versions(intent.info.address)
    newest = next((version for version in versions if not version.is_marker), None)
    # A store that does not tell the marker's id: it is the newest one.
    marker = next((v for v in versions if v.is_marker and marker_id in (None, v.version_id)), None)
    if marker is None:
        # The bucket keeps no versions any more.
        return DiscardOutcome(intent.info, "deleted" if newest is None else "changed")
    if newest is None or not as_judged(intent.info, newest):
        (removal,) = store.delete_versions([marker])
        if removal.result == "failed":
            cause = f"a delete marker hides a newer version, and stays: {removal.cause}"
            return DiscardOutcome(intent.info, "failed", cause)
        return DiscardOutcome(intent.info, "changed")
    entry = TrashEntry(
        original=intent.info.address,
        operation_id=operation_id,
        size=newest.size,
        etag=newest.etag,
        discarded_at=marker.last_modified,
        kept_as=HiddenVersion(newest.version_id, marker.version_id),
        ledger=ledger_of(intent.info.address),
    )
    return DiscardOutcome(intent.info, "trashed", discarded=entry)
