"""Streams of any size held for a moment: in memory while they are small, in a temporary file beyond that."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from xcomctl.backup.target import BackupTarget
from xcomctl.errors import NotFoundError, UnreadableError

_IN_MEMORY = 8 << 20


@dataclass(frozen=True, slots=True)
class Spool:
    """A stream that was read to its end. `file` stands at its start."""

    file: BinaryIO
    size: int
    sha256: str


@contextmanager
def spooled(chunks: Iterable[bytes]) -> Iterator[Spool]:
    """Read a stream to its end, and hold it inside the block. Raises what reading raises."""
    digest = hashlib.sha256()
    size = 0
    with SpooledTemporaryFile(_IN_MEMORY) as file:
        for chunk in chunks:
            digest.update(chunk)
            size += len(chunk)
            file.write(chunk)
        file.seek(0)
        yield Spool(cast(BinaryIO, file), size, digest.hexdigest())


@contextmanager
def proven(backup_target: BackupTarget, name: str, *, size: int, sha256: str) -> Iterator[Spool]:
    """A stream of a target, inside the block, once all of it is what it should be.

    Raises UnreadableError where it is missing or another, StoreError where the target cannot be asked.
    """
    try:
        with spooled(backup_target.read(name)) as found:
            if found.size != size:
                raise UnreadableError(f"{name} has {found.size} bytes instead of {size}")
            if found.sha256 != sha256:
                raise UnreadableError(f"{name} is not what was written: its checksum differs")
            yield found
    except NotFoundError:
        raise UnreadableError(f"{name} is missing") from None
