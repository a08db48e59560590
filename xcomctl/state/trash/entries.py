"""One object in the trash: whose place it left, when, and what there is to bring it back from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import ObjectInfo
from xcomctl.state.trash.places import ledger_operation, original_of

DEFAULT_TRASH_KEEP = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class HiddenVersion:
    """A version that a delete marker hides, in a bucket that keeps versions."""

    version_id: str
    marker_id: str


@dataclass(frozen=True, slots=True)
class TrashEntry:
    """An object in the trash. `size` and `etag` are those of what is kept; `discarded_at` is by the store's clock.

    `kept_as` is the copy as the store describes it, or the version in its own place. Of a version, and of a copy whose
    key does not tell whose it is, a `ledger` tells.
    """

    original: ObjectAddress
    operation_id: str
    size: int
    etag: str
    discarded_at: datetime
    kept_as: ObjectInfo | HiddenVersion
    ledger: ObjectAddress | None = None

    @property
    def way_back(self) -> dict[str, str]:
        """What a journal keeps of it: enough to bring the object back."""
        kept = self.kept_as
        if isinstance(kept, HiddenVersion):
            ledger = {} if self.ledger is None else {"trash_key": self.ledger.key}
            return {"version_id": kept.version_id, "marker_id": kept.marker_id, **ledger}
        return {"trash_key": kept.address.key}

    def action(self, kind: str, reason: str) -> dict[str, Any]:
        """It as an action of a plan, with the columns that applying needs."""
        kept = self.kept_as
        return {
            "action": kind,
            "uri": self.original.uri,
            "size": self.size,
            "reason": reason,
            "bucket": self.original.bucket,
            "object_key": self.original.key,
            "etag": self.etag,
            "last_modified": self.discarded_at.replace(tzinfo=None),
            **({"version_id": None, "marker_id": None} if isinstance(kept, ObjectInfo) else {}),
            **self.way_back,
        }

    @classmethod
    def of_action(cls, action: Mapping[str, Any]) -> TrashEntry:
        """Read what `action` wrote."""
        bucket = action["bucket"]
        place = ObjectAddress(bucket, action["trash_key"])
        at = action["last_modified"].replace(tzinfo=timezone.utc)
        original = ObjectAddress(bucket, action["object_key"])
        size, etag = action["size"], action["etag"]
        if action["marker_id"] is not None:
            hidden = HiddenVersion(action["version_id"], action["marker_id"])
            return cls(original, ledger_operation(place) or "", size, etag, at, hidden, ledger=place)
        told = original_of(place)
        copy = ObjectInfo(place, size, etag, at)
        return cls(original, told.operation_id if told else "", size, etag, at, copy)
