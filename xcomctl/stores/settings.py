"""Port to what a bucket does by itself, and to what its user may do there: asked, never tried out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from xcomctl.stores.interface import StoreErrorInfo

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
