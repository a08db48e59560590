"""What a backup consists of, and where its parts lie. The manifest is written last: without one there is no backup."""

from __future__ import annotations

import hashlib
import io
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, Literal

from xcomctl.backup.target import BackupTarget
from xcomctl.errors import NotFoundError, RefusedError, UsageError
from xcomctl.models import Root

SCHEMA = "xcomctl.backup/1"

BACKUPS = "backups"
_MANIFEST = "manifest.json"
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PART = re.compile(rf"{BACKUPS}/({_ID.pattern})/(rows|objects)-[0-9]{{5,}}\.ndjson\.gz")

_COUNTED = ("rows", "rows_dangling", "objects_stored", "bytes")
"""Counts that every backup has."""

PartKind = Literal["rows", "objects"]


@dataclass(frozen=True, slots=True)
class ManifestPart:
    """One file of a backup: gzip of NDJSON. `size` and `sha256` are of the file, `count` is its lines."""

    name: str
    kind: PartKind
    count: int
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """A backup. `counts` are those of `docs/backup.md`; `selection` is what was asked for, as JSON types."""

    id: str
    created_at: datetime
    snapshot_at: datetime
    tool_version: str
    database: Mapping[str, str]
    roots: tuple[str, ...]
    selection: Mapping[str, Any]
    counts: Mapping[str, int]
    parts: tuple[ManifestPart, ...]

    def parts_of(self, kind: PartKind) -> list[ManifestPart]:
        """The parts of one kind, in order."""
        return [part for part in self.parts if part.kind == kind]

    def document(self) -> dict[str, Any]:
        """The manifest as JSON types, with a checksum over all the rest."""
        document = {
            "schema": SCHEMA,
            **asdict(self),
            "created_at": self.created_at.isoformat(),
            "snapshot_at": self.snapshot_at.isoformat(),
            "roots": list(self.roots),
            "parts": [asdict(part) for part in self.parts],
        }
        return {**document, "sha256": _checksum(document)}


def new_id(now: datetime) -> str:
    """An id that sorts by time and that no other backup has."""
    return f"{now.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def payload_name(sha256: str) -> str:
    """Where a payload lies: under its own checksum, once for all backups of a target."""
    return f"objects/{sha256[:2]}/{sha256}"


def part_name(backup_id: str, kind: PartKind, number: int) -> str:
    """Where a part lies."""
    return f"{BACKUPS}/{backup_id}/{kind}-{number:05}.ndjson.gz"


def write_manifest(backup_target: BackupTarget, manifest: BackupManifest) -> None:
    """Make the backup one, after all that it names is there. Raises StoreError."""
    body = (json.dumps(manifest.document(), indent=2, ensure_ascii=False) + "\n").encode()
    backup_target.write(f"{BACKUPS}/{manifest.id}/{_MANIFEST}", io.BytesIO(body), len(body))


def backup_ids(backup_target: BackupTarget) -> list[str]:
    """Ids of all backups that were finished, newest first. Raises StoreError."""
    found = []
    for name in backup_target.names(BACKUPS):
        _, _, rest = name.partition("/")
        backup_id, _, file = rest.partition("/")
        if file == _MANIFEST and _ID.fullmatch(backup_id):
            found.append(backup_id)
    return sorted(found, reverse=True)


def read_manifest(backup_target: BackupTarget, backup_id: str | None = None) -> BackupManifest:
    """The manifest of a backup, the newest one unless named.

    Raises NotFoundError where there is none, RefusedError where it is damaged or of another release, StoreError.
    """
    if backup_id is None:
        known = backup_ids(backup_target)
        if not known:
            raise NotFoundError(
                f"{backup_target.label} holds no finished backup",
                hint="one that was cut short has no manifest, and is none: run `xcomctl backup` again",
            )
        backup_id = known[0]
    name = f"{BACKUPS}/{backup_id}/{_MANIFEST}"
    try:
        if not _ID.fullmatch(backup_id):
            raise NotFoundError("no such id")
        body = b"".join(backup_target.read(name))
    except NotFoundError:
        raise NotFoundError(
            f"{backup_target.label} holds no finished backup {backup_id}",
            hint=f"xcomctl backup ls {backup_target.label}",
        ) from None
    return _parsed(body, backup_id, f"{backup_target.label}@{backup_id}")


def _parsed(body: bytes, backup_id: str, label: str) -> BackupManifest:
    damaged = RefusedError(
        f"the manifest of {label} is damaged", hint="take another backup: `xcomctl backup ls` names them"
    )
    try:
        document = json.loads(body)
        schema = document.pop("schema")
        checksum = document.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise damaged from None
    if schema != SCHEMA:
        raise RefusedError(
            f"{label} was written by another release of xcomctl ({schema!r})",
            hint="pip install --upgrade xcomctl",
        )
    if checksum != _checksum({"schema": schema, **document}):
        raise damaged
    try:
        parts = tuple(ManifestPart(**part) for part in document.pop("parts"))
        times = {name: datetime.fromisoformat(document.pop(name)) for name in ("created_at", "snapshot_at")}
        manifest = BackupManifest(**{**document, **times, "roots": tuple(document["roots"]), "parts": parts})
        _require_shape(manifest, backup_id)
    except (ValueError, KeyError, TypeError, AttributeError, UsageError):
        raise damaged from None
    return manifest


def _require_shape(manifest: BackupManifest, backup_id: str) -> None:
    """Raise TypeError or ValueError for what no backup says: a checksum can be computed by anybody.

    A part that lies elsewhere than where this backup writes its parts would lead out of the place.
    """
    for uri in manifest.roots:
        Root.parse(uri)
    texts = (manifest.tool_version, *manifest.database.values(), manifest.database["label"])
    numbers = [*manifest.counts.values(), *(manifest.counts[name] for name in _COUNTED)]
    for part in manifest.parts:
        numbers += [part.count, part.size]
        named = _PART.fullmatch(part.name)
        if named is None or named.groups() != (backup_id, part.kind) or not is_sha256(part.sha256):
            raise ValueError("not a part of this backup")
    if manifest.id != backup_id or not all(isinstance(text, str) for text in texts):
        raise ValueError("not this backup")
    if not isinstance(manifest.selection, dict) or not all(type(number) is int for number in numbers):
        raise TypeError("not the shape of a manifest")


def split_place(text: str) -> tuple[str, str | None]:
    """`PLACE` or `PLACE@ID` as place and id; an `@` elsewhere belongs to the place."""
    where, _, backup_id = text.rpartition("@")
    return (where, backup_id) if where and _ID.fullmatch(backup_id) else (text, None)


def is_sha256(text: object) -> bool:
    """Whether it can be a checksum, and so part of a name."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def _checksum(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
