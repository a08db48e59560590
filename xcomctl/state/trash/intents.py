"""What is about to be done with objects that go, and what became of it: as values, and as the journal keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import ObjectInfo
from xcomctl.state.trash.entries import HiddenVersion, TrashEntry

Way = Literal["marker", "copy", "none", "kept"]
"""How an object goes: hidden by a delete marker, copied to the trash and deleted, deleted for good, not at all."""


@dataclass(frozen=True, slots=True)
class DeleteCandidate:
    """An object that is to go. `reusable`: a writer may put this very key again."""

    info: ObjectInfo
    reusable: bool


@dataclass(frozen=True, slots=True)
class Intent:
    """What is about to be done with one object. `copy` is where its copy goes, if its way is that."""

    info: ObjectInfo
    way: Way
    copy: ObjectAddress | None = None

    def entry(self) -> dict[str, Any]:
        """The intent as JSON types."""
        return {
            "uri": self.info.address.uri,
            "bucket": self.info.address.bucket,
            "key": self.info.address.key,
            "size": self.info.size,
            "etag": self.info.etag,
            "last_modified": self.info.last_modified.isoformat(),
            "way": self.way,
            "trash_key": None if self.copy is None else self.copy.key,
        }

    @classmethod
    def of_entry(cls, entry: Mapping[str, Any]) -> Intent:
        """Read what `entry` wrote. Raises KeyError, ValueError for anything else."""
        bucket, key = entry["bucket"], entry["trash_key"]
        info = ObjectInfo(
            ObjectAddress(bucket, entry["key"]),
            entry["size"],
            entry["etag"],
            datetime.fromisoformat(entry["last_modified"]),
        )
        return cls(info, entry["way"], None if key is None else ObjectAddress(bucket, key))


DiscardResult = Literal["trashed", "deleted", "changed", "gone", "kept", "not_done", "failed"]
"""trashed: out of the way, and can come back. deleted: for good. not_done: an attempt that broke off did not get there."""


@dataclass(frozen=True, slots=True)
class DiscardOutcome:
    """What became of one object. `discarded` is what there is to bring it back from."""

    info: ObjectInfo
    result: DiscardResult
    cause: str | None = None
    discarded: TrashEntry | None = None

    def entry(self) -> dict[str, Any]:
        """The outcome as JSON types."""
        address = self.info.address
        entry: dict[str, Any] = {"uri": address.uri, "bucket": address.bucket, "key": address.key}
        entry["result"] = self.result
        if self.cause is not None:
            entry["cause"] = self.cause
        if self.discarded is not None:
            entry |= {
                "size": self.discarded.size,
                "etag": self.discarded.etag,
                "discarded_at": self.discarded.discarded_at.isoformat(),
                "ledger": None if self.discarded.ledger is None else self.discarded.ledger.key,
                **self.discarded.way_back,
            }
        return entry


def discarded_of(entry: Mapping[str, Any], operation_id: str) -> TrashEntry | None:
    """What an outcome, as `DiscardOutcome.entry` wrote it, left to bring the object back from; None if nothing.

    Raises KeyError, ValueError for what is no such outcome.
    """
    if entry["result"] != "trashed":
        return None
    bucket, ledger = entry["bucket"], entry["ledger"]
    at = datetime.fromisoformat(entry["discarded_at"])
    kept: ObjectInfo | HiddenVersion
    if "marker_id" in entry:
        kept = HiddenVersion(entry["version_id"], entry["marker_id"])
    else:
        kept = ObjectInfo(ObjectAddress(bucket, entry["trash_key"]), entry["size"], entry["etag"], at)
    return TrashEntry(
        original=ObjectAddress(bucket, entry["key"]),
        operation_id=operation_id,
        size=entry["size"],
        etag=entry["etag"],
        discarded_at=at,
        kept_as=kept,
        ledger=None if ledger is None else ObjectAddress(bucket, ledger),
    )
