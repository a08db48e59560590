"""Check a backup: every part and every payload is there, and is what was written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Literal

from xcomctl.backup.ledger import Ledger, LedgerEntry
from xcomctl.backup.manifest import BackupManifest, payload_name
from xcomctl.backup.parts import read_part
from xcomctl.backup.spool import proven
from xcomctl.backup.target import BackupTarget
from xcomctl.errors import UnreadableError
from xcomctl.progress import Progress, no_progress

_THREADS = 8
_BATCH = 256


@dataclass(frozen=True, slots=True)
class BackupFinding:
    """Something that is not as it was written. `name` is where it lies in the target."""

    kind: Literal["part", "payload"]
    name: str
    cause: str


@dataclass(frozen=True, slots=True)
class BackupVerification:
    """What a check of a backup found; whole if there are no findings."""

    manifest: BackupManifest
    payloads: int
    bytes: int
    findings: tuple[BackupFinding, ...]

    def document(self) -> dict[str, Any]:
        """The result as JSON types."""
        return {
            "schema": "xcomctl.verification/1",
            "id": self.manifest.id,
            "counts": dict(self.manifest.counts),
            "payloads": self.payloads,
            "bytes": self.bytes,
            "findings": [{"kind": one.kind, "name": one.name, "cause": one.cause} for one in self.findings],
        }


def verify(
    backup_target: BackupTarget, manifest: BackupManifest, *, report: Progress = no_progress
) -> BackupVerification:
    """Read all of a backup, and compare checksums. Raises StoreError where the target cannot be read."""
    findings: list[BackupFinding] = []
    payloads = size = 0
    with Ledger() as ledger:
        for part in manifest.parts:
            try:
                for line in read_part(backup_target, part):
                    if part.kind == "objects" and line["state"] == "stored":
                        ledger.record([LedgerEntry.of(line)])
                    report("lines", 1)
            except (UnreadableError, KeyError, TypeError, ValueError) as error:
                cause = str(error) if isinstance(error, UnreadableError) else "a line is malformed"
                findings.append(BackupFinding("part", part.name, cause))
        with ThreadPoolExecutor(_THREADS) as threads, closing(ledger.payloads()) as found:
            while batch := list(islice(found, _BATCH)):
                findings += [
                    one for one in threads.map(partial(_check, backup_target), batch) if one is not None
                ]
                payloads += len(batch)
                size += sum(expected for _, expected in batch)
                report("payloads", len(batch))
    return BackupVerification(manifest, payloads, size, tuple(findings))


def _check(backup_target: BackupTarget, payload: tuple[str, int]) -> BackupFinding | None:
    sha256, size = payload
    name = payload_name(sha256)
    try:
        with proven(backup_target, name, size=size, sha256=sha256):
            return None
    except UnreadableError as error:
        return BackupFinding("payload", name, str(error))
