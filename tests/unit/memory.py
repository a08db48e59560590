"""A store in memory, for what a server cannot be made to do: counting single reads, failing in the middle of one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone

import pyarrow as pa

from xcomctl.errors import NotFoundError, StoreError
from xcomctl.models import ObjectAddress, Root
from xcomctl.stores.interface import DeleteOutcome, ObjectInfo, StoreErrorInfo

WRITTEN_AT = datetime(2026, 11, 1, 6, tzinfo=timezone.utc)
"""When every object in memory was written."""


class MemoryStore:
    """Objects by URI. It loses its connection after `fails_after` bytes, and denies access to the buckets `denied`."""

    def __init__(
        self,
        objects: Mapping[str, bytes],
        *,
        fails_after: int | None = None,
        denied: frozenset[str] = frozenset(),
    ) -> None:
        self.objects = dict(objects)
        self.asked: list[str] = []
        self._denied = denied
        self._fails_after = fails_after
        self._given = 0

    def stat(self, address: ObjectAddress) -> ObjectInfo | None:
        """Describe one object, and remember that it was asked for."""
        self.asked.append(address.uri)
        if address.bucket in self._denied:
            raise StoreError(f"access to {address.bucket} is denied")
        content = self.objects.get(address.uri)
        if content is None:
            return None
        return ObjectInfo(address, len(content), hashlib.sha256(content).hexdigest(), WRITTEN_AT)

    def stat_many(self, addresses: Sequence[ObjectAddress]) -> list[ObjectInfo | StoreErrorInfo | None]:
        """Describe many."""
        return [self.stat(address) for address in addresses]

    def read(self, address: ObjectAddress, start: int = 0, length: int | None = None) -> bytes:
        """A part of an object."""
        content = self.objects.get(address.uri)
        if content is None:
            raise NotFoundError(f"there is no object {address.uri}")
        part = content[start:] if length is None else content[start : start + length]
        self._given += len(part)
        if self._fails_after is not None and self._given > self._fails_after:
            raise StoreError("the connection was lost")
        return part

    def stream(self, address: ObjectAddress, chunk_size: int = 1 << 20) -> Iterator[bytes]:
        """All of an object."""
        yield self.read(address)

    def now(self, bucket: str) -> datetime:
        """The time at which everything was written."""
        return WRITTEN_AT

    def batches(self, root: Root) -> Iterator[pa.RecordBatch]:
        """No test lists objects in memory."""
        raise NotImplementedError

    def delete(self, objects: Sequence[ObjectInfo]) -> list[DeleteOutcome]:
        """No test deletes objects in memory."""
        raise NotImplementedError
