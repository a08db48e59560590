"""Port to a place where backups are kept: named streams, each there whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol


class BackupTarget(Protocol):
    """A place for backups. Names are paths with `/`; may be used from several threads."""

    @property
    def label(self) -> str:
        """The place for people, and for the command line."""

    def write(self, name: str, body: BinaryIO, size: int) -> None:
        """Store `size` bytes of a file from its position on; what was there is replaced. Raises StoreError."""

    def read(self, name: str) -> Iterator[bytes]:
        """The stream, in chunks. Raises NotFoundError, StoreError."""

    def size_of(self, name: str) -> int | None:
        """Bytes of a stream; None only if there is none of this name. Raises StoreError."""

    def names(self, folder: str) -> Iterator[str]:
        """Names of all streams below a folder, at any depth; none where there is no such folder. Raises StoreError."""
