"""The manifest of an S3 Inventory: when the list was begun, of which bucket it is, and of which files it consists."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Literal

import msgspec

from xcomctl.errors import NotFoundError, UnreadableError, UsageError
from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import Store

FileFormat = Literal["CSV", "Parquet", "ORC"]

_MANIFEST = "manifest.json"
_CHECKSUM = "manifest.checksum"
_LARGEST_MANIFEST = 64 << 20
_EXAMPLE = "s3://BUCKET/PREFIX/SOURCE-BUCKET/CONFIG-ID/2026-11-22T01-00Z/manifest.json"


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of the list: where it lies, its bytes, and its MD5 in lower-case hex digits."""

    address: ObjectAddress
    size: int
    md5: str


@dataclass(frozen=True, slots=True)
class InventoryManifest:
    """What an inventory consists of. `fields` are the columns of CSV files, which have no header; else empty."""

    uri: str
    source_bucket: str
    taken_at: datetime
    format: FileFormat
    fields: tuple[str, ...]
    files: tuple[DataFile, ...]


class _File(msgspec.Struct):
    key: str
    size: int
    md5: str = msgspec.field(name="MD5checksum")


class _Document(msgspec.Struct, rename="camel"):
    source_bucket: str
    destination_bucket: str
    creation_timestamp: str | int
    file_format: FileFormat
    file_schema: str
    files: list[_File]


def read_manifest(store: Store, uri: str) -> InventoryManifest:
    """Read a manifest. Raises UsageError for what is none, NotFoundError, UnreadableError if damaged, StoreError."""
    if not re.fullmatch(r"s3[an]?://[^/]+/.*", uri, re.IGNORECASE | re.DOTALL):
        raise _no_manifest(uri)
    address = ObjectAddress.parse(uri) if not uri.endswith("/") else None
    if address is None or not address.key.endswith(".json"):
        raise _no_manifest(uri)
    try:
        raw = store.read(address, 0, _LARGEST_MANIFEST)
    except NotFoundError as error:
        raise NotFoundError(
            str(error), hint="aws s3 ls shows the folders of the inventories there are"
        ) from error
    _require_checksum(store, address, raw)
    return _decoded(address, raw)


def _require_checksum(store: Store, address: ObjectAddress, raw: bytes) -> None:
    """The manifest is what S3 wrote, by the checksum beside it; without one, as in a copy, it is taken as it is."""
    folder, _, name = address.key.rpartition("/")
    if name != _MANIFEST:
        return
    beside = ObjectAddress(address.bucket, f"{folder}/{_CHECKSUM}" if folder else _CHECKSUM)
    try:
        said = store.read(beside, 0, 1024)
    except NotFoundError:
        return
    if said.decode("latin-1").strip().lower() != hashlib.md5(raw, usedforsecurity=False).hexdigest():
        raise UnreadableError(
            f"{address.uri} is damaged: its MD5 is not that of {_CHECKSUM} beside it",
            hint="take another inventory, or leave out --inventory",
        )


def _decoded(address: ObjectAddress, raw: bytes) -> InventoryManifest:
    try:
        document = msgspec.json.decode(raw, type=_Document)
        taken_at = datetime.fromtimestamp(int(document.creation_timestamp) / 1000, timezone.utc)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"{address.uri} is no manifest of an S3 Inventory: {error}", hint=f"--inventory {_EXAMPLE}"
        ) from error
    # An ARN on AWS, `arn:aws:s3:::bucket`; the bare name elsewhere.
    bucket = document.destination_bucket.rpartition(":")[2]
    is_csv = document.file_format == "CSV"
    return InventoryManifest(
        uri=address.uri,
        source_bucket=document.source_bucket,
        taken_at=taken_at,
        format=document.file_format,
        fields=tuple(field.strip() for field in document.file_schema.split(",")) if is_csv else (),
        files=tuple(
            DataFile(ObjectAddress(bucket, file.key), file.size, file.md5.lower()) for file in document.files
        ),
    )


def _no_manifest(uri: str) -> UsageError:
    return UsageError(f"{uri!r} is not the manifest.json of an S3 Inventory", hint=f"--inventory {_EXAMPLE}")
