"""Port to the object store. A 403, a time-out or a 5xx is a StoreError, never "absent"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from xcomctl.models import ObjectAddress, Root

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object as the store describes it. `etag` is without quotes, `last_modified` aware UTC."""

    address: ObjectAddress
    size: int
    etag: str
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class DeleteOutcome:
    """What became of one object that was to be deleted. `cause` is the store's word for a failure."""

    address: ObjectAddress
    result: Literal["deleted", "changed", "gone", "failed"]
    cause: str | None = None


class Store(Protocol):
    """An S3-compatible object store, with one set of credentials."""

    def now(self, bucket: str) -> datetime:
        """The store's own clock. Raises StoreError, also where the bucket does not exist."""

    def batches(self, root: Root) -> Iterator[pa.RecordBatch]:
        """Every object below `root`, in batches of the schema `object_schema()`; a listing is whole or it is an error."""

    def stat(self, address: ObjectAddress) -> ObjectInfo | None:
        """Describe one object; None only if the store says that there is no such key. Raises StoreError."""

    def stat_many(self, addresses: Sequence[ObjectAddress]) -> list[ObjectInfo | StoreErrorInfo | None]:
        """`stat` of many objects in parallel, in order; an object that cannot be asked for is a StoreErrorInfo."""

    def read(self, address: ObjectAddress, start: int = 0, length: int | None = None) -> bytes:
        """Bytes `start` to `start + length` of an object (to its end if None). Raises NotFoundError, StoreError."""

    def stream(self, address: ObjectAddress, chunk_size: int = 1 << 20) -> Iterator[bytes]:
        """The whole payload, in chunks. Raises NotFoundError, StoreError."""

    def delete(self, objects: Sequence[ObjectInfo]) -> list[DeleteOutcome]:
        """Delete objects that are still as described (etag, size and modification time), one outcome each, in order."""


@dataclass(frozen=True, slots=True)
class StoreErrorInfo:
    """Why one of many objects could not be described."""

    cause: str
    hint: str | None = None


def object_schema() -> pa.Schema:
    """Columns of the batches that `Store.batches` gives. Times are UTC microseconds."""
    import pyarrow as pa

    return pa.schema(
        [
            ("bucket", pa.string()),
            ("key", pa.string()),
            ("size", pa.int64()),
            ("etag", pa.string()),
            ("last_modified", pa.timestamp("us", tz="UTC")),
        ]
    )
