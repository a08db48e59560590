"""Port to the object store. A 403, a time-out or a 5xx is a StoreError, never "absent"."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from xcomctl.models import RESERVED_FOLDER, ObjectAddress, Root
from xcomctl.s3.uploads import UploadStore

if TYPE_CHECKING:
    import pyarrow as pa

MOST_PARTS = 10_000
"""S3 puts an object together from no more."""


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
    marker_id: str | None = None
    """Version id of the delete marker that hides the object now, in a bucket that keeps versions."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the store can do with the objects of one bucket: probed by doing it, never told from a vendor's name."""

    versioning: Literal["off", "enabled", "suspended"]
    object_lock: bool
    mfa_delete: bool
    conditional_put: bool
    """A PUT on a condition (`If-None-Match: *`, `If-Match: <etag>`) is refused where it does not hold."""
    conditional_delete: bool
    """So is a DELETE of one object with `If-Match`."""
    conditional_batch: bool
    """So is a key of a batch deletion that carries an ETag."""


@dataclass(frozen=True, slots=True)
class ObjectVersion:
    """One version of an object, or a delete marker (no size, no etag)."""

    address: ObjectAddress
    version_id: str
    is_latest: bool
    is_marker: bool
    size: int
    etag: str
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is to be made: of `source` as described, to `target`."""

    source: ObjectInfo
    target: ObjectAddress
    if_absent: bool = False
    """Only if there is nothing at `target` yet."""


@dataclass(frozen=True, slots=True)
class CopyOutcome:
    """What became of one copy. `made` describes the object at the target: our copy, or what `exists` there."""

    copy: Copy
    result: Literal["copied", "changed", "gone", "exists", "failed"]
    made: ObjectInfo | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class StoreErrorInfo:
    """Why one of many objects could not be described."""

    cause: str
    hint: str | None = None
    denied: bool = False
    """Whether it is the right that is missing."""


Answer = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class StoreRight:
    """Whether the user has a right, as far as that can be told without changing anything."""

    name: str
    """In the words of AWS: `s3:PutObject`."""
    granted: Answer
    cause: str | None = None
    """Why it is not granted, or cannot be told."""
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class LifecycleRule:
    """One rule by which a bucket deletes or moves objects by itself. Disabled rules are none.

    It is for objects whose key begins with `prefix`, of more than `more_than` and less than `less_than` bytes, and, if
    `tagged`, with some tags, of which a listing does not tell.
    """

    name: str
    prefix: str
    tagged: bool = False
    more_than: int | None = None
    less_than: int | None = None
    expire_days: int | None = None
    """Days after its upload an object is deleted."""
    expire_at: datetime | None = None
    """From when on all of them are deleted."""
    noncurrent_days: int | None = None
    """Days after which a version that is not the current one is deleted for good."""
    moved_days: int | None = None
    """Days after which an object is moved to a class from which it cannot be read at once."""
    moved_to: str | None = None

    @property
    def expires(self) -> bool:
        """Whether it deletes current objects."""
        return self.expire_days is not None or self.expire_at is not None

    def reaches(self, prefix: str) -> bool:
        """Whether it is for some of the keys that begin with `prefix`."""
        return prefix.startswith(self.prefix) or self.prefix.startswith(prefix)


@dataclass(frozen=True, slots=True)
class BucketSettings:
    """What a bucket does by itself. A StoreErrorInfo where it did not let us ask."""

    versioning: Literal["off", "enabled", "suspended"] | StoreErrorInfo
    mfa_delete: bool
    object_lock: bool | StoreErrorInfo
    encryption: str | StoreErrorInfo | None
    """Algorithm by which objects are encrypted unless an upload says otherwise: `AES256`, `aws:kms`."""
    encryption_key: str | None
    """The key of `aws:kms`, where the bucket names one."""
    lifecycle: tuple[LifecycleRule, ...] | StoreErrorInfo


class Store(UploadStore, Protocol):
    """An S3-compatible object store, with one set of credentials."""

    def now(self, bucket: str) -> datetime:
        """The store's own clock. Raises StoreError, also where the bucket does not exist."""

    def batches(self, root: Root, *, in_order: bool = False) -> Iterator[pa.RecordBatch]:
        """Every object below `root`, in batches of the schema `object_schema()`; a listing is whole or it is an error.

        They come in any order, of a long listing in another one each time; `in_order`: in the order of the store, by one
        thread, and also where those that were given are deleted meanwhile.
        """

    def folders(self, root: Root) -> list[str]:
        """Names of the folders directly below `root`, each ending with `/`, in the order of the store. Raises StoreError."""

    def loose(self, root: Root) -> Iterator[pa.RecordBatch]:
        """Every object directly below `root`, in none of its folders: batches as those of `batches`. Raises StoreError."""

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

    def capabilities(self, root: Root) -> Capabilities:
        """Probe the bucket of `root` with scratch objects below `<root>/.xcomctl/probe/`, which are removed again.

        The answer is kept for the life of the store. Where the bucket does not let us ask for its versioning, what a
        deletion leaves behind tells; an Object Lock is assumed where versions are kept and it cannot be asked for. Raises
        StoreError, also for a missing right to write or delete, and for a bucket that promises versions and keeps none.
        """

    def put(
        self, address: ObjectAddress, body: bytes, *, if_absent: bool = False, if_etag: str | None = None
    ) -> ObjectInfo:
        """Write a small object whole, and describe it.

        Raises ConflictError where the condition does not hold (there is an object; it has another etag), and
        StoreError. A write whose answer was lost is settled by reading it back. Where the store does not look at
        conditions, they are looked at before: then two writers at the same moment can both win.
        """

    def copy(self, copies: Sequence[Copy]) -> list[CopyOutcome]:
        """Copy objects inside the store, in parallel, of any size; one outcome each, in order.

        A source that is no longer as described is `changed`. Content type, encoding and metadata go along. What was made
        is asked for again, and `copied` only if it has the size of the source.
        """

    def versions(self, address: ObjectAddress) -> list[ObjectVersion]:
        """All versions and delete markers of one key, newest first; empty where the bucket keeps none. Raises StoreError."""

    def delete_versions(self, versions: Sequence[ObjectVersion]) -> list[DeleteOutcome]:
        """Remove just these versions or markers for good, one outcome each, in order."""

    def settings(self, bucket: str) -> BucketSettings:
        """What the bucket does by itself: versions, encryption, lifecycle. Raises StoreError where it is out of reach."""

    def rights(self, root: Root) -> list[StoreRight]:
        """What may be done below a root, as far as that can be told without a trace. Raises StoreError."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a store keeps of a payload beside its bytes. None where it was not said."""

    content_type: str | None = None
    content_encoding: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Download:
    """One object on its way here: all from one answer, so that content, etag and description belong together."""

    info: ObjectInfo
    description: Description
    chunks: Iterator[bytes]
    """Raises StoreError where the payload does not come whole."""


class TransferStore(Store, Protocol):
    """A store that hands out and takes whole payloads."""

    def download(self, address: ObjectAddress) -> AbstractContextManager[Download]:
        """Open an object. Raises NotFoundError, StoreError."""

    def upload(
        self,
        address: ObjectAddress,
        body: BinaryIO,
        size: int,
        description: Description,
        *,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Write `size` bytes of a file from its position on, in one piece or none, and describe the object.

        Raises ConflictError where `if_absent` and there is an object (it may be this one, if an answer was lost: compare
        it), StoreError.
        """


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


_RESERVED = r"(?s)^(?P<folder>(?:.*?/)?" + RESERVED_FOLDER.replace(".", r"\.") + ")"
"""The outermost folder of the tool in which a key lies."""


class StoredListing(Protocol):
    """What says which objects there were at some time."""

    @property
    def uri(self) -> str:
        """Where it lies."""

    @property
    def taken_at(self) -> datetime:
        """When it was begun, aware UTC, by the store's clock: what was written until then is in it."""

    def batches(self, root: Root) -> Iterator[pa.RecordBatch]:
        """Every object below `root` that is in it, in batches of `object_schema()`. It is whole, or it is an error."""


def objects_below(root: Root, listing: StoredListing, store: Store) -> Iterator[pa.RecordBatch]:
    """Every object below `root`: those of `listing`, but what the tool keeps for itself (trash, journal) as it is now.

    Batches are of `object_schema()`. Raises what both sides raise.
    """
    import pyarrow.compute as pc

    reserved = {RESERVED_FOLDER}
    for batch in listing.batches(root):
        below = pc.utf8_slice_codeunits(batch.column("key"), len(root.prefix))
        folders = pc.struct_field(pc.extract_regex(below, _RESERVED), "folder")
        reserved.update(pc.unique(folders.drop_null()).to_pylist())
        yield batch.filter(pc.is_null(folders))
    for folder in sorted(reserved):
        yield from store.batches(Root(root.bucket, root.prefix + folder))
