"""The parts of a backup: lines of JSON, compressed, never whole in memory, read only if their checksum is right."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Any, BinaryIO, cast

from xcomctl.backup.ledger import LedgerEntry
from xcomctl.backup.manifest import ManifestPart, PartKind, part_name
from xcomctl.backup.spool import proven
from xcomctl.backup.target import BackupTarget
from xcomctl.errors import RefusedError, UnreadableError

_LINES = 100_000
_BYTES = 64 << 20
_IN_MEMORY = 8 << 20
_CHUNK = 1 << 20


class PartWriter:
    """Writes lines of one kind into as many parts as they take. Use it in a `with`; `parts` is whole afterwards."""

    def __init__(self, backup_target: BackupTarget, backup_id: str, kind: PartKind) -> None:
        self._target = backup_target
        self._backup_id = backup_id
        self._kind = kind
        self._open = ExitStack()
        self._file: BinaryIO | None = None
        self._zip: gzip.GzipFile | None = None
        self._lines = 0
        self._bytes = 0
        self.parts: list[ManifestPart] = []

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            if kind is None:
                self._finish()

    def add(self, document: dict[str, Any]) -> None:
        """Append one line. Raises StoreError where a part that is full cannot be stored."""
        if self._zip is None:
            file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed with the rest
            self._file = cast(BinaryIO, self._open.enter_context(file))
            # No time in it: the same lines are the same file.
            self._zip = self._open.enter_context(gzip.GzipFile(fileobj=self._file, mode="wb", mtime=0))
        line = json.dumps(document, separators=(",", ":")).encode() + b"\n"
        self._zip.write(line)
        self._lines += 1
        self._bytes += len(line)
        if self._lines >= _LINES or self._bytes >= _BYTES:
            self._finish()

    def _finish(self) -> None:
        if self._zip is None or self._file is None:
            return
        self._zip.close()
        size = self._file.tell()
        digest = hashlib.sha256()
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            digest.update(chunk)
        self._file.seek(0)
        name = part_name(self._backup_id, self._kind, len(self.parts) + 1)
        self._target.write(name, self._file, size)
        self.parts.append(ManifestPart(name, self._kind, self._lines, size, digest.hexdigest()))
        self._open.close()
        self._file, self._zip, self._lines, self._bytes = None, None, 0, 0


def read_part(backup_target: BackupTarget, part: ManifestPart) -> Iterator[dict[str, Any]]:
    """The lines of a part, once all of it is proven. Raises UnreadableError, StoreError."""
    count = 0
    with proven(backup_target, part.name, size=part.size, sha256=part.sha256) as whole:
        try:
            with gzip.GzipFile(fileobj=whole.file, mode="rb") as lines:
                for line in lines:
                    count += 1
                    yield _document(line)
        except (OSError, EOFError, zlib.error, ValueError, RecursionError):
            raise UnreadableError(f"{part.name} does not hold what it should") from None
    if count != part.count:
        raise UnreadableError(f"{part.name} has {count} lines instead of {part.count}")


def _document(line: bytes) -> dict[str, Any]:
    document = json.loads(line)
    if not isinstance(document, dict):
        raise ValueError("a line that is no document")
    return document


def required_lines(backup_target: BackupTarget, part: ManifestPart) -> Iterator[dict[str, Any]]:
    """The same for whoever cannot go on without. Raises RefusedError, StoreError."""
    try:
        yield from read_part(backup_target, part)
    except UnreadableError as error:
        raise RefusedError(
            f"the backup is damaged: {error}",
            hint=f"xcomctl backup verify {backup_target.label} says all that is",
        ) from None


def required_entries(backup_target: BackupTarget, part: ManifestPart) -> Iterator[LedgerEntry]:
    """The objects of a part. Raises RefusedError, StoreError."""
    for line in required_lines(backup_target, part):
        try:
            yield LedgerEntry.of(line)
        except (KeyError, TypeError, ValueError):
            raise malformed(part.name, backup_target) from None


def malformed(name: str, backup_target: BackupTarget) -> RefusedError:
    """What to say of a part whose lines are not those of a backup, although its checksum fits."""
    return RefusedError(
        f"the backup is damaged: {name} has a line that is none of a backup",
        hint=f"take another backup: xcomctl backup ls {backup_target.label}",
    )
