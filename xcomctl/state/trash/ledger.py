"""Ledgers: small objects in the trash that tell what no key can.

Which version of an object a delete marker of ours hides, and whose copy it is that has a digest for a name. One is
written for each batch, of at most 1,000 lines; what has left the trash is struck out.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from xcomctl.errors import ConflictError, NotFoundError, StoreError, UnreadableError
from xcomctl.models import ObjectAddress
from xcomctl.s3.documents import encode_lines
from xcomctl.s3.interface import ObjectInfo, Store
from xcomctl.state.trash.entries import HiddenVersion, TrashEntry
from xcomctl.state.trash.places import ledger_operation


def write_ledgers(store: Store, entries: Collection[TrashEntry]) -> None:
    """Write the ledgers of those entries that need one. What a ledger tells already stays in it. Raises StoreError."""
    by_ledger: dict[ObjectAddress, list[TrashEntry]] = {}
    for entry in entries:
        if entry.ledger is not None:
            by_ledger.setdefault(entry.ledger, []).append(entry)
    for ledger, told in by_ledger.items():
        _write(store, ledger, told)


def _write(store: Store, ledger: ObjectAddress, entries: Sequence[TrashEntry]) -> None:
    try:
        store.put(ledger, encode_lines(map(_line, entries)), if_absent=True)
    except ConflictError:
        known = read_ledger(store, ledger)
        told = {entry.original for entry in known}
        _replace(store, ledger, [*known, *(entry for entry in entries if entry.original not in told)])


def read_ledger(store: Store, ledger: ObjectAddress) -> list[TrashEntry]:
    """What a ledger tells; nothing if it is gone. Raises StoreError, UnreadableError."""
    try:
        packed = store.read(ledger)
    except NotFoundError:
        return []
    try:
        if not packed:
            # Nothing at all is no gzip, whatever the library thinks of it.
            raise ValueError
        return [_entry(ledger, json.loads(line)) for line in gzip.decompress(packed).splitlines()]
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        raise UnreadableError(
            f"{ledger.uri} is no ledger of the trash",
            hint="what it told of is hidden by delete markers: list the object versions of the bucket",
        ) from None


def strike_out(store: Store, entries: Collection[TrashEntry]) -> None:
    """Take what left the trash out of its ledgers; an empty ledger is deleted. Raises StoreError."""
    by_ledger: dict[ObjectAddress, set[ObjectAddress]] = {}
    for entry in entries:
        if entry.ledger is not None:
            by_ledger.setdefault(entry.ledger, set()).add(entry.original)
    for ledger, gone in by_ledger.items():
        known = read_ledger(store, ledger)
        left = [entry for entry in known if entry.original not in gone]
        if len(left) < len(known):
            _replace(store, ledger, left)


def _replace(store: Store, ledger: ObjectAddress, entries: Sequence[TrashEntry]) -> None:
    info = store.stat(ledger)
    if info is None:
        return
    if entries:
        store.put(ledger, encode_lines(map(_line, entries)), if_etag=info.etag)
        return
    (outcome,) = store.delete([info])
    if outcome.result == "failed":
        raise StoreError(f"{ledger.uri} could not be deleted: {outcome.cause}")


def _line(entry: TrashEntry) -> dict[str, Any]:
    kept = entry.kept_as
    line: dict[str, Any] = {
        "key": entry.original.key,
        "size": entry.size,
        "etag": entry.etag,
        "discarded_at": entry.discarded_at.isoformat(),
    }
    if isinstance(kept, HiddenVersion):
        return {**line, "version_id": kept.version_id, "marker_id": kept.marker_id}
    return {**line, "copy": kept.address.key}


def _entry(ledger: ObjectAddress, line: dict[str, Any]) -> TrashEntry:
    size, etag, at = line["size"], line["etag"], datetime.fromisoformat(line["discarded_at"])
    kept: ObjectInfo | HiddenVersion
    if "copy" in line:
        kept = ObjectInfo(ObjectAddress(ledger.bucket, line["copy"]), size, etag, at)
    else:
        kept = HiddenVersion(line["version_id"], line["marker_id"])
    return TrashEntry(
        original=ObjectAddress(ledger.bucket, line["key"]),
        operation_id=ledger_operation(ledger) or "",
        size=size,
        etag=etag,
        discarded_at=at,
        kept_as=kept,
        ledger=ledger,
    )
