"""The owner marker of a root: which database its objects belong to, and how much that held when it was last collected.

It lies at `<root>/.xcomctl/owner.json`, is written at the end of each operation that was applied, and is what guards
compare with: another database, one that shrank, one that was set back to an older backup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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
    etag: str | None = field(default=None, compare=False)
    """Etag of the object that this was read from; None for one that is yet to be written."""


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
    return Owner(
        database=str(document["database"]),
        label=str(document["label"]),
        rows=int(document["rows"]),
        newest_run=None if newest_run is None else int(newest_run),
        newest_row_at=None if newest_row_at is None else time_of(newest_row_at),
        written_at=time_of(document["written_at"]),
        tool_version=str(document["tool_version"]),
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


def read_owners(store: Store | None, roots: Sequence[Root]) -> list[Owner]:
    """The markers of the databases to which the roots belong. Raises StoreError, RefusedError."""
    if store is None:
        return []
    found = [read_owner(store, root) for root in roots]
    return [owner for owner in found if owner is not None]
