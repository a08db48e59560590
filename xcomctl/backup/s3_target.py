"""A prefix of a bucket as a place for backups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.interface import Description, TransferStore


class S3Target:
    """A prefix of a bucket (`backup.target.BackupTarget`), with the endpoint and the credentials of a store."""

    def __init__(self, store: TransferStore, root: Root) -> None:
        self._store = store
        self._root = root

    @property
    def label(self) -> str:
        """The prefix as `s3://bucket/prefix`."""
        return self._root.uri

    def write(self, name: str, body: BinaryIO, size: int) -> None:
        """Upload; an object is there whole or not at all. Raises StoreError."""
        self._store.upload(self._at(name), body, size, Description())

    def read(self, name: str) -> Iterator[bytes]:
        """The object, in chunks. Raises NotFoundError, StoreError."""
        with self._store.download(self._at(name)) as download:
            yield from download.chunks

    def size_of(self, name: str) -> int | None:
        """Bytes of an object, None only if the store says that there is none. Raises StoreError."""
        info = self._store.stat(self._at(name))
        return None if info is None else info.size

    def names(self, folder: str) -> Iterator[str]:
        """Names of all objects below a folder. Raises StoreError."""
        below = Root(self._root.bucket, f"{self._root.prefix}{folder}/")
        for batch in self._store.batches(below):
            for key in batch.column("key").to_pylist():
                yield key.removeprefix(self._root.prefix)

    def _at(self, name: str) -> ObjectAddress:
        return self._root.at(name)
