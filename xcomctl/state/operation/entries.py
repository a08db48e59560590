"""What the journal keeps of objects that stay and of uploads that are aborted: as JSON types, and back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import ObjectInfo, Store
from xcomctl.s3.uploads import AbortOutcome, Upload
from xcomctl.state.journal import JournalEntry


def kept_entry(info: ObjectInfo) -> JournalEntry:
    """An object that stays, as it was seen."""
    address = info.address
    return {
        "uri": address.uri,
        "bucket": address.bucket,
        "key": address.key,
        "size": info.size,
        "etag": info.etag,
        "last_modified": info.last_modified.isoformat(),
    }


def kept_outcome(entry: JournalEntry) -> JournalEntry:
    """That it stayed, and why."""
    return {"uri": entry["uri"], "result": "foreign"}


def upload_entry(upload: Upload) -> JournalEntry:
    """The intent to abort an upload."""
    address = upload.address
    return {
        "uri": address.uri,
        "bucket": address.bucket,
        "key": address.key,
        "upload_id": upload.upload_id,
        "begun_at": upload.begun_at.isoformat(),
        "size": upload.size,
    }


def abort_entry(outcome: AbortOutcome) -> JournalEntry:
    """What became of an upload."""
    upload = outcome.upload
    entry = {"uri": upload.address.uri, "upload_id": upload.upload_id, "result": outcome.result}
    return entry if outcome.cause is None else {**entry, "cause": outcome.cause}


def settled_aborts(entries: Sequence[JournalEntry], store: Store) -> list[JournalEntry]:
    """What became of uploads that were to be aborted, by whether the store still has them; nothing is aborted now."""
    uploads = [
        Upload(
            ObjectAddress(entry["bucket"], entry["key"]),
            entry["upload_id"],
            datetime.fromisoformat(entry["begun_at"]),
        )
        for entry in entries
    ]
    found = store.weigh_uploads(uploads)
    return [
        abort_entry(AbortOutcome(upload, "aborted" if there is None else "not_done"))
        for upload, there in zip(uploads, found, strict=True)
    ]
