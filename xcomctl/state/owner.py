"""The owner marker of a root: which database its objects belong to, and how much that held when it was last collected.

It lies at `<root>/.xcomctl/owner.json`, is written at the end of each operation that was applied, and is what guards
compare with: another database, one that shrank, one that was set back to an older backup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from xcomctl.errors import ConflictError, RefusedError
from xcomctl.models import RESERVED_FOLDER, ObjectAddress, Root
from xcomctl.s3.documents import encode, read_document, time_of
from xcomctl.s3.interface import ObjectInfo, Store

_SCHEMA = "xcomctl.owner/1"


@dataclass(frozen=True, slots=True)
class Owner:
    """What was known of the database at the end of the last operation. No secrets."""

    database: str
    """`Source.identity()` of the database."""
    label: str
    """`SourceInfo.label` of the database: for people, without a password."""
    rows: int
    """Rows of the live XCom tables."""
    newest_run: int | None
    """Highest number of a DAG run."""
    newest_row_at: datetime | None
    """When the newest of these rows was written."""
    written_at: datetime
    """When this marker was written, by the store's clock."""
    tool_version: str
    collected: Mapping[str, datetime] = field(default_factory=dict)
    """Up to which age of objects everything was collected, by the store's clock, for each share (`''`: without shares).

    What was written before and still lies there was referenced then.
    """
    claims: str | None = None
    """Which keys counted as written by a backend: `Collected.claims`."""
    etag: str | None = field(default=None, compare=False)
    """Etag of the object that this was read from; None for one that is yet to be written."""

    def collected_until(self, share: str, claims: str) -> datetime | None:
        """Up to which age this share was collected whole, None if it never was, or if other keys counted then."""
        known = [self.collected[one] for one in {"", share} if one in self.collected]
        return max(known, default=None) if self.claims == claims else None

    def having_collected(self, done: Collected, previous: Owner | None) -> Owner:
        """The marker after a whole collection; what `previous` tells of other shares of as many still holds."""
        kept = {}
        if previous is not None and (previous.database, previous.claims) == (self.database, done.claims):
            kept = {
                share: until
                for share, until in previous.collected.items()
                if not share or _of(share) == _of(done.share)
            }
        until = max(done.until, kept.get(done.share, done.until))
        return replace(self, collected={**kept, done.share: until}, claims=done.claims)


@dataclass(frozen=True, slots=True)
class Collected:
    """A whole collection: of no DAG alone, and orphans, too."""

    share: str
    """As `--shard` takes it; '' without."""
    until: datetime
    """Objects that are younger were not judged, by the store's clock."""
    claims: str
    """Digest of the patterns of keys that backends write."""


def _of(share: str) -> str:
    return share.partition("/")[2]


def owner_address(root: Root) -> ObjectAddress:
    """Where the marker of a root lies."""
    return root.at(f"{RESERVED_FOLDER}owner.json")


def read_owner(store: Store, root: Root) -> Owner | None:
    """The marker of a root, None only if there is none.

    Raises RefusedError for one that cannot be read or is of a newer release, StoreError.
    """
    return read_document(store, owner_address(root), _SCHEMA, _parsed)


def _parsed(document: dict[str, Any], info: ObjectInfo) -> Owner:
    newest_run, newest_row_at = document["newest_run"], document["newest_row_at"]
    claims = document.get("claims")
    if not isinstance(claims, str | None):
        raise TypeError("no digest")
    return Owner(
        database=str(document["database"]),
        label=str(document["label"]),
        rows=int(document["rows"]),
        newest_run=None if newest_run is None else int(newest_run),
        newest_row_at=None if newest_row_at is None else time_of(newest_row_at),
        written_at=time_of(document["written_at"]),
        tool_version=str(document["tool_version"]),
        # What was written after the marker was not there to be collected, whatever stands in it.
        collected={
            str(share): min(time_of(until), info.last_modified)
            for share, until in dict(document.get("collected", {})).items()
        },
        claims=claims,
        etag=info.etag,
    )


def write_owner(store: Store, root: Root, owner: Owner, previous: Owner | None) -> None:
    """Put `owner` in the place of `previous`, as `read_owner` gave it.

    Raises RefusedError where another marker is there by now, StoreError.
    """
    body = encode(
        _SCHEMA,
        {
            "database": owner.database,
            "label": owner.label,
            "rows": owner.rows,
            "newest_run": owner.newest_run,
            "newest_row_at": owner.newest_row_at,
            "written_at": owner.written_at,
            "tool_version": owner.tool_version,
            "collected": dict(owner.collected),
            "claims": owner.claims,
        },
    )
    try:
        store.put(
            owner_address(root),
            body,
            if_absent=previous is None,
            if_etag=None if previous is None else previous.etag,
        )
    except ConflictError as error:
        raise RefusedError(
            f"the owner marker of {root.uri} was written by somebody else meanwhile",
            hint="xcomctl log shows the operations on it",
        ) from error
