"""Put payloads of a backup back into a store: only what is proven, and only where there is nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from xcomctl.backup.ledger import LedgerEntry
from xcomctl.backup.manifest import payload_name
from xcomctl.backup.spool import proven
from xcomctl.backup.target import BackupTarget
from xcomctl.errors import ConflictError, NotFoundError, UnreadableError
from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import ObjectInfo, TransferStore

ObjectOutcome = Literal["restored", "identical", "conflict", "damaged", "outside"]
"""identical: the object is there with this very content. conflict: with another one. damaged: the backup's payload is.
outside: its place is none that this restore may write to."""


@dataclass(frozen=True, slots=True)
class PutBack:
    """What became of one object. `uri` is where it belongs now."""

    entry: LedgerEntry
    uri: str
    result: ObjectOutcome
    cause: str | None = None


def put_back(
    entry: LedgerEntry,
    target: ObjectAddress,
    *,
    store: TransferStore,
    backup_target: BackupTarget,
    dry_run: bool,
) -> PutBack:
    """Restore one object, or only say what would become of it (then payloads are not read, and sizes must do).

    Raises StoreError where the store or the target fails.
    """
    name = payload_name(str(entry.sha256))
    found = store.stat(target)
    if found is not None:
        same = found.size == entry.size if dry_run else _has_content(found, entry, store)
        return PutBack(entry, target.uri, "identical" if same else "conflict")
    if dry_run:
        there = backup_target.size_of(name) == entry.size
        cause = None if there else f"{name} is missing or cut short"
        return PutBack(entry, target.uri, "restored" if there else "damaged", cause)
    try:
        with proven(backup_target, name, size=entry.size, sha256=str(entry.sha256)) as payload:
            store.upload(target, payload.file, entry.size, entry.description, if_absent=True)
    except UnreadableError as error:
        return PutBack(entry, target.uri, "damaged", str(error))
    except ConflictError:
        # Somebody was faster; it may have been ourselves, if the first answer was lost.
        now = store.stat(target)
        same = now is not None and _has_content(now, entry, store)
        return PutBack(entry, target.uri, "identical" if same else "conflict")
    return PutBack(entry, target.uri, "restored")


def _has_content(found: ObjectInfo, entry: LedgerEntry, store: TransferStore) -> bool:
    if found.size != entry.size:
        return False
    if found.etag == entry.etag:
        return True
    digest = hashlib.sha256()
    try:
        for chunk in store.stream(found.address):
            digest.update(chunk)
    except NotFoundError:
        return False
    return digest.hexdigest() == entry.sha256
