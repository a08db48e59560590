"""Writes S3 Inventories as AWS lays them out, since no server that runs here makes any."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Literal
from urllib.parse import quote_plus

import pyarrow as pa
from pyarrow import orc, parquet

Format = Literal["CSV", "Parquet", "ORC"]

FORMATS: tuple[Format, ...] = ("CSV", "Parquet", "ORC")


@dataclass(frozen=True)
class Listed:
    """One line of an inventory."""

    key: str
    size: int | None
    at: datetime
    etag: str | None
    version_id: str = ""
    is_latest: bool = True
    is_marker: bool = False


@dataclass(frozen=True)
class _Field:
    csv: str
    columnar: str
    type: pa.DataType
    value: Callable[[Listed], Any]


_FIELDS = (
    _Field("Key", "key", pa.string(), lambda one: one.key),
    _Field("VersionId", "version_id", pa.string(), lambda one: one.version_id),
    _Field("IsLatest", "is_latest", pa.bool_(), lambda one: one.is_latest),
    _Field("IsDeleteMarker", "is_delete_marker", pa.bool_(), lambda one: one.is_marker),
    _Field("Size", "size", pa.int64(), lambda one: one.size),
    _Field("LastModifiedDate", "last_modified_date", pa.timestamp("ms", tz="UTC"), lambda one: one.at),
    _Field("ETag", "e_tag", pa.string(), lambda one: one.etag),
    _Field("StorageClass", "storage_class", pa.string(), lambda _: "STANDARD"),
)

_OF_VERSIONS = ("VersionId", "IsLatest", "IsDeleteMarker")


class InventoryWriter:
    """Writes inventories of `source` into `bucket`, which are those of one configuration."""

    def __init__(
        self, client: Any, source: str, bucket: str | None = None, prefix: str = "inventories"
    ) -> None:
        self._client = client
        self.source = source
        self.bucket = bucket or source
        self.place = f"{prefix}/{source}/all"

    def objects(self, prefix: str = "") -> list[Listed]:
        """What the bucket holds now."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.source, Prefix=prefix)
        return [
            Listed(item["Key"], item["Size"], item["LastModified"], item["ETag"].strip('"'))
            for page in pages
            for item in page.get("Contents", [])
        ]

    def write(
        self,
        kind: Format,
        taken_at: datetime,
        lines: Iterable[Listed] | None = None,
        *,
        versions: bool = False,
        without: Sequence[str] = (),
        files: int = 2,
        change: Callable[[dict[str, Any]], None] = lambda _: None,
    ) -> str:
        """Write one, by default of all that is there now, outside of it; the URI of its manifest.

        `without` are columns that it lacks, by their names in CSV; `change` may spoil the manifest.
        """
        listed = list(self.objects() if lines is None else lines)
        left_out = (*without, *(() if versions else _OF_VERSIONS))
        fields = [field for field in _FIELDS if field.csv not in left_out]
        document: dict[str, Any] = {
            "sourceBucket": self.source,
            "destinationBucket": f"arn:aws:s3:::{self.bucket}",
            "version": "2016-11-30",
            "creationTimestamp": str(int(taken_at.timestamp() * 1000)),
            "fileFormat": kind,
            "fileSchema": _schema(kind, fields),
            "files": [self._file(kind, number, listed[number::files], fields) for number in range(files)],
        }
        change(document)
        folder = f"{self.place}/{taken_at.astimezone(timezone.utc):%Y-%m-%dT%H-%MZ}"
        body = json.dumps(document, indent=2).encode()
        self._put(f"{folder}/manifest.json", body)
        self._put(f"{folder}/manifest.checksum", _md5(body).encode() + b"\n")
        return f"s3://{self.bucket}/{folder}/manifest.json"

    def _file(
        self, kind: Format, number: int, listed: Sequence[Listed], fields: Sequence[_Field]
    ) -> dict[str, Any]:
        body = _BODIES[kind](self.source, listed, fields)
        ending = {"CSV": "csv.gz", "Parquet": "parquet", "ORC": "orc"}[kind]
        key = f"{self.place}/data/{_md5(body)}-{number}.{ending}"
        self._put(key, body)
        return {"key": key, "size": len(body), "MD5checksum": _md5(body)}

    def _put(self, key: str, body: bytes) -> None:
        self._client.put_object(Bucket=self.bucket, Key=key, Body=body)


def marker(key: str, at: datetime) -> Listed:
    """A delete marker that hides `key`."""
    return Listed(key, None, at, None, "m1", is_marker=True)


def older(line: Listed) -> Listed:
    """A version that another one followed."""
    return replace(line, version_id="v0", is_latest=False)


def _schema(kind: Format, fields: Sequence[_Field]) -> str:
    if kind == "CSV":
        return ", ".join(("Bucket", *(field.csv for field in fields)))
    return f"message s3.inventory {{ {'; '.join(field.columnar for field in fields)} }}"


def _csv(bucket: str, listed: Sequence[Listed], fields: Sequence[_Field]) -> bytes:
    lines = (
        ",".join(f'"{text}"' for text in (bucket, *(_text(field.value(one), field) for field in fields)))
        for one in listed
    )
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


def _text(value: Any, field: _Field) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return (
            value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03}Z"
        )
    return quote_plus(value, safe="/") if field.csv == "Key" else str(value)


def _columns(bucket: str, listed: Sequence[Listed], fields: Sequence[_Field]) -> dict[str, pa.Array]:
    return {
        "bucket": pa.array([bucket] * len(listed), pa.string()),
        **{field.columnar: pa.array(map(field.value, listed), field.type) for field in fields},
    }


def _parquet(bucket: str, listed: Sequence[Listed], fields: Sequence[_Field]) -> bytes:
    target = io.BytesIO()
    parquet.write_table(pa.table(_columns(bucket, listed, fields)), target)
    return target.getvalue()


def _orc(bucket: str, listed: Sequence[Listed], fields: Sequence[_Field]) -> bytes:
    columns = _columns(bucket, listed, fields)
    if "last_modified_date" in columns:
        # Hive's `timestamp` has no zone.
        columns["last_modified_date"] = columns["last_modified_date"].cast(pa.timestamp("ns"))
    target = io.BytesIO()
    orc.write_table(pa.table(columns), target)
    return target.getvalue()


def _md5(body: bytes) -> str:
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


_BODIES: dict[Format, Callable[[str, Sequence[Listed], Sequence[_Field]], bytes]] = {
    "CSV": _csv,
    "Parquet": _parquet,
    "ORC": _orc,
}
