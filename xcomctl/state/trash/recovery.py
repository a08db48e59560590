"""Out of the trash: back to where it was, or gone for good."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from xcomctl.errors import NotFoundError
from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import Copy, CopyOutcome, ObjectInfo, Store
from xcomctl.state.trash.entries import HiddenVersion, TrashEntry
from xcomctl.state.trash.ledger import strike_out

_THREADS = 16

RecoveryResult = Literal["restored", "there", "occupied", "gone", "failed"]
"""there: back already, with the same content. occupied: another object has its place. gone: it is not in the trash."""

PurgeResult = Literal["purged", "there", "gone", "failed"]
"""there: it is in its place again, so that nothing was deleted."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of one object that was to come back, or to go for good."""

    discarded: TrashEntry
    result: RecoveryResult | PurgeResult
    cause: str | None = None

    def entry(self) -> dict[str, Any]:
        """The outcome as the journal keeps it."""
        entry = {"uri": self.discarded.original.uri, "result": self.result}
        return entry if self.cause is None else {**entry, "cause": self.cause}


def recovery_entry(discarded: TrashEntry) -> dict[str, Any]:
    """The intent to take something out of the trash, as the journal keeps it."""
    address = discarded.original
    return {
        "uri": address.uri,
        "bucket": address.bucket,
        "key": address.key,
        "size": discarded.size,
        "etag": discarded.etag,
        "from_operation": discarded.operation_id,
        **discarded.way_back,
    }


def restore(store: Store, entries: Sequence[TrashEntry]) -> list[Recovery]:
    """Put objects back where there is nothing in their place; one outcome each, in order. Raises StoreError.

    A copy leaves the trash only once the object is back and confirmed.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        hidden = [entry for entry in entries if isinstance(entry.kept_as, HiddenVersion)]
        found = list(threads.map(lambda entry: _unhide(store, entry), hidden))
    found += _copy_back(store, [entry for entry in entries if isinstance(entry.kept_as, ObjectInfo)])
    out = [recovery.discarded for recovery in found if recovery.result in ("restored", "there", "gone")]
    _remove_copies(store, out)
    strike_out(store, out)
    return _in_order(entries, found)


def purge(store: Store, entries: Sequence[TrashEntry]) -> list[Recovery]:
    """Delete from the trash for good; one outcome each, in order. Raises StoreError."""
    with ThreadPoolExecutor(_THREADS) as threads:
        hidden = [entry for entry in entries if isinstance(entry.kept_as, HiddenVersion)]
        found = list(threads.map(lambda entry: _purge_version(store, entry), hidden))
    copies = [entry for entry in entries if isinstance(entry.kept_as, ObjectInfo)]
    for entry, result, cause in zip(copies, *_deletions(store, copies), strict=True):
        found.append(Recovery(entry, result, cause))
    strike_out(store, [recovery.discarded for recovery in found if recovery.result != "failed"])
    return _in_order(entries, found)


def _copy_back(store: Store, entries: Sequence[TrashEntry]) -> list[Recovery]:
    copies = [
        Copy(entry.kept_as, entry.original, if_absent=True)
        for entry in entries
        if isinstance(entry.kept_as, ObjectInfo)
    ]
    return [
        _came_back(store, entry, outcome)
        for entry, outcome in zip(entries, store.copy(copies) if copies else [], strict=True)
    ]


def _came_back(store: Store, entry: TrashEntry, outcome: CopyOutcome) -> Recovery:
    if outcome.result == "copied":
        return Recovery(entry, "restored")
    if outcome.result == "exists":
        same = _same_content(store, outcome.copy.source, entry.original)
        return Recovery(entry, "there" if same else "occupied")
    if outcome.result == "gone":
        # Restored before, as far as an attempt got that did not say so.
        return Recovery(entry, "gone" if store.stat(entry.original) is None else "there")
    return Recovery(entry, "failed", outcome.cause or "the copy in the trash is not what it was")


def _same_content(store: Store, copy: ObjectInfo, address: ObjectAddress) -> bool:
    now = store.stat(address)
    if now is None or now.size != copy.size:
        return False
    # Equal etags are equal content; unequal ones may be of the same content in other parts, or encrypted.
    return now.etag == copy.etag or _digest(store, address) == _digest(store, copy.address)


def _digest(store: Store, address: ObjectAddress) -> str | None:
    digest = hashlib.sha256()
    try:
        for chunk in store.stream(address):
            digest.update(chunk)
    except NotFoundError:
        return None
    return digest.hexdigest()


def _unhide(store: Store, entry: TrashEntry) -> Recovery:
    hidden = entry.kept_as
    assert isinstance(hidden, HiddenVersion)  # noqa: S101 - the caller chose them
    versions = store.versions(entry.original)
    # Also markers of others that came after ours: the object is wanted back.
    markers = list(takewhile(lambda version: version.is_marker, versions))
    newest = versions[len(markers)] if len(markers) < len(versions) else None
    if not any(version.version_id == hidden.version_id and not version.is_marker for version in versions):
        return Recovery(entry, "gone" if newest is None or markers else "occupied")
    if newest is None or newest.version_id != hidden.version_id:
        return Recovery(entry, "occupied")
    if not markers:
        return Recovery(entry, "there")
    for removal in store.delete_versions(markers):
        if removal.result == "failed":
            return Recovery(entry, "failed", removal.cause)
    return Recovery(entry, "restored")


def _purge_version(store: Store, entry: TrashEntry) -> Recovery:
    hidden = entry.kept_as
    assert isinstance(hidden, HiddenVersion)  # noqa: S101 - the caller chose them
    versions = store.versions(entry.original)
    payload = next((v for v in versions if v.version_id == hidden.version_id and not v.is_marker), None)
    if payload is not None and payload.is_latest:
        return Recovery(entry, "there")
    if payload is not None:
        # The version first: without its marker it would show up again in between.
        (removal,) = store.delete_versions([payload])
        if removal.result == "failed":
            return Recovery(entry, "failed", removal.cause)
    # Older versions need the marker, too, to stay hidden.
    if all(version.is_marker or version == payload for version in versions):
        store.delete_versions([v for v in versions if v.is_marker and v.version_id == hidden.marker_id])
    return Recovery(entry, "gone" if payload is None else "purged")


def _deletions(store: Store, entries: Sequence[TrashEntry]) -> tuple[list[PurgeResult], list[str | None]]:
    copies = [entry.kept_as for entry in entries if isinstance(entry.kept_as, ObjectInfo)]
    results: list[PurgeResult] = []
    causes: list[str | None] = []
    for outcome in store.delete(copies) if copies else []:
        if outcome.result == "changed":
            results.append("failed")
            causes.append("the copy in the trash is not what it was")
        else:
            results.append("purged" if outcome.result == "deleted" else outcome.result)
            causes.append(outcome.cause)
    return results, causes


def _remove_copies(store: Store, entries: Sequence[TrashEntry]) -> None:
    # One that stays is purged later: what it was for is back in its place.
    copies = [entry.kept_as for entry in entries if isinstance(entry.kept_as, ObjectInfo)]
    if copies:
        store.delete(copies)


def _in_order(entries: Sequence[TrashEntry], found: Sequence[Recovery]) -> list[Recovery]:
    by_entry = {(one.discarded.original, one.discarded.kept_as): one for one in found}
    return [by_entry[entry.original, entry.kept_as] for entry in entries]
