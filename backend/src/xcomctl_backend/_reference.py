"""The reference format, version 1: what the row holds, and where the object lies. Standard library only.

`docs/reference-format.md` is the norm that this module follows.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import IO, Any, Mapping
from urllib.parse import quote, unquote

from xcomctl_backend.errors import ReferenceFormatError

FORMAT_VERSION = 1
MARKER = "__xcomctl__"
"""Member that makes a JSON object a reference; its value is the format version."""

MAX_KEY_BYTES = 1024
"""S3's limit for a key, in bytes of UTF-8."""
MAX_PREFIX_BYTES = 400
"""So long may a prefix be that the shortest form of any key still fits."""
RESERVED_FOLDER = ".xcomctl"
"""Folder in which the tool keeps its trash and journal; no object of ours lies below it."""
_LONGEST_COMPONENT = 250
# Stores that keep objects as files take at most 255 bytes between two slashes.
_SHORTEST_COMPONENT = 128
_DIGEST_DIGITS = 32
_ABSENT = "%7E"
"""Quoting never gives `%7E`, because `~` is kept: so it can mark what is absent, or was cut."""
_MAX_METADATA_BYTES = 2000
"""S3 takes 2 KB of user metadata: names and values together."""

_CHUNK = 1 << 20

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAME = re.compile(r"(?P<unique>" + _UUID + r")\.(?P<suffix>[a-z0-9]+(?:\.[a-z0-9]+)?)")
_CUT_ESCAPE = re.compile(r"%[0-9A-F]?$")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Coordinates:
    """Which XCom a value is: Airflow's ids, unquoted. None where Airflow did not say. `map_index` is -1 if not mapped."""

    dag_id: str | None
    run_id: str | None
    task_id: str | None
    map_index: int
    key: str | None

    def __str__(self) -> str:
        index = "" if self.map_index < 0 else f"[{self.map_index}]"
        return f"{self.dag_id}/{self.run_id}/{self.task_id}{index}:{self.key}"


@dataclass(frozen=True)
class Reference:
    """What the row holds instead of the value. `size` in bytes and `sha256` (hex) are those of the payload."""

    uri: str
    codec: str
    size: int
    sha256: str
    type: str | None = None
    """Name of the value's Python type, for people; nothing is decoded by it."""
    index_columns: int = 0
    """CSV only: how many leading columns are the index of the frame."""
    name: str | None = None
    """Files only: the name of the file."""

    @classmethod
    def to_payload(
        cls,
        bucket: str,
        key: str,
        codec: str,
        payload: bytes | IO[bytes],
        *,
        type_name: str,
        index_columns: int = 0,
        name: str | None = None,
    ) -> Reference:
        """The reference to a payload that is (to be) stored under `key`. A stream is read to its end and set back."""
        size, digest = fingerprint(payload)
        return cls(f"s3://{bucket}/{key}", codec, size, digest, type_name, index_columns, name)

    @property
    def bucket(self) -> str:
        """Bucket of the object."""
        return self.uri[len("s3://") :].partition("/")[0]

    @property
    def key(self) -> str:
        """Key of the object, exactly as S3 holds it."""
        return self.uri[len("s3://") :].partition("/")[2]

    @property
    def coordinates(self) -> Coordinates | None:
        """The XCom's coordinates as the key has them; None if the key is not of the layout."""
        return coordinates_of(self.key)

    def to_json(self) -> dict[str, Any]:
        """The JSON object for the row."""
        document: dict[str, Any] = {
            MARKER: FORMAT_VERSION,
            "uri": self.uri,
            "codec": self.codec,
            "size": self.size,
            "sha256": self.sha256,
        }
        if self.type is not None:
            document["type"] = self.type
        if self.index_columns:
            document["index_columns"] = self.index_columns
        if self.name is not None:
            document["name"] = self.name
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Reference:
        """Read the row's JSON object; members that version 1 does not have are ignored.

        Raises ReferenceFormatError for another version and for a member that is missing or of the wrong type.
        """
        version = document.get(MARKER)
        if version != FORMAT_VERSION or isinstance(version, bool):
            raise ReferenceFormatError(
                f"the row holds a reference of format {version!r}, and this xcomctl-backend reads format "
                f"{FORMAT_VERSION}: upgrade xcomctl-backend where this task runs"
            )
        uri, codec, size, sha256 = (document.get(name) for name in ("uri", "codec", "size", "sha256"))
        if not (isinstance(uri, str) and uri.startswith("s3://") and uri[len("s3://") :].partition("/")[2]):
            raise ReferenceFormatError("the row holds a reference whose `uri` is not s3://bucket/key")
        if not isinstance(codec, str):
            raise ReferenceFormatError(f"the reference to {uri} has no `codec`")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ReferenceFormatError(f"the reference to {uri} has no `size` in bytes")
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise ReferenceFormatError(f"the reference to {uri} has no `sha256` of 64 hex digits")
        type_name, index_columns = document.get("type"), document.get("index_columns", 0)
        name = document.get("name")
        return cls(
            uri,
            codec,
            size,
            sha256,
            type_name if isinstance(type_name, str) else None,
            index_columns if isinstance(index_columns, int) else 0,
            name if isinstance(name, str) else None,
        )


def fingerprint(payload: bytes | IO[bytes]) -> tuple[int, str]:
    """Size in bytes and SHA-256 (hex) of bytes, or of a stream from its beginning, which is set back to it."""
    if isinstance(payload, bytes):
        return len(payload), hashlib.sha256(payload).hexdigest()
    digest, size = hashlib.sha256(), 0
    payload.seek(0)
    while chunk := payload.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    payload.seek(0)
    return size, digest.hexdigest()


def quote_component(text: str) -> str:
    """One component of a key: letters, digits and `_.~-` as they are, all else as %XX of its UTF-8.

    `.` and `..` are quoted, because stores and clients take them for folders, and so is the name of the folder
    that the tool keeps for itself. Lone surrogates are legal in a Python str and are quoted like the three bytes
    that they would take.
    """
    if text in (".", "..", RESERVED_FOLDER):
        return text.replace(".", "%2E")
    return quote(text, safe="", errors="surrogatepass")


def object_key(prefix: str, coordinates: Coordinates, unique: str, suffix: str) -> str:
    """`<prefix>/<dag_id>/<run_id>/<task_id>/<map_index>/<key>/<unique>.<suffix>`, at most 1,024 bytes.

    `prefix` is without slashes at its ends, at most MAX_PREFIX_BYTES long, or ''. `unique` is a uuid in lower case.
    """
    plain = [coordinates.dag_id, coordinates.run_id, coordinates.task_id, coordinates.key]
    parts = [_shortened(text, _LONGEST_COMPONENT) for text in plain]
    while True:
        dag_id, run_id, task_id, key = parts
        components = [dag_id, run_id, task_id, str(coordinates.map_index), key, f"{unique}.{suffix}"]
        whole = "/".join([prefix, *components] if prefix else components)
        longest = max(range(len(parts)), key=lambda index: len(parts[index]))
        if len(whole.encode()) <= MAX_KEY_BYTES or len(parts[longest]) <= _SHORTEST_COMPONENT:
            return whole
        parts[longest] = _shortened(plain[longest], _SHORTEST_COMPONENT)


def _shortened(text: str | None, limit: int) -> str:
    if not text:
        return _ABSENT
    quoted = quote_component(text)
    if len(quoted) <= limit:
        return quoted
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
    start = _CUT_ESCAPE.sub("", quoted[: limit - len(_ABSENT) - _DIGEST_DIGITS])
    return f"{start}{_ABSENT}{digest}"


def coordinates_of(key: str) -> Coordinates | None:
    """Read the coordinates out of an object's key; None if it is not of the layout.

    A component that was shortened comes back as its beginning with `~` and digits; metadata has it whole.
    """
    parts = key.split("/")[-6:]
    if (
        len(parts) < 6
        or not all(parts)
        or not _NAME.fullmatch(parts[5])
        or not re.fullmatch(r"-1|[0-9]+", parts[3])
    ):
        return None
    dag_id, run_id, task_id, name = (_unquoted(parts[index]) for index in (0, 1, 2, 4))
    return Coordinates(dag_id, run_id, task_id, int(parts[3]), name)


def _unquoted(component: str) -> str | None:
    if component == _ABSENT:
        return None
    try:
        return unquote(component, errors="surrogatepass")
    except UnicodeDecodeError:
        # A shortened component may end within a character.
        return unquote(component, errors="replace")


def may_belong_to(key: str, prefix: str, row: Mapping[str, Any]) -> bool:
    """Whether `key` lies under `prefix`, is of the layout, and contradicts none of the row's coordinates.

    `row` maps names of Coordinates to unquoted values; what is None or absent is not compared.
    """
    if not key.startswith(f"{prefix}/" if prefix else "") or coordinates_of(key) is None:
        return False
    parts = dict(zip(("dag_id", "run_id", "task_id", "map_index", "key"), key.split("/")[-6:]))
    for name, part in parts.items():
        value = row.get(name)
        if value is not None:
            forms = {_shortened(str(value), limit) for limit in (_LONGEST_COMPONENT, _SHORTEST_COMPONENT)}
            if part not in forms:
                return False
    return True


def reference_document(stored: object) -> dict[str, Any] | None:
    """The JSON object of a reference in what a row holds (bytes in Airflow 2, decoded JSON in Airflow 3), else None."""
    return marked_document(stored, MARKER)


def marked_document(stored: object, marker: str) -> dict[str, Any] | None:
    """The JSON object with the member `marker` in what a row holds, None if it holds anything else."""
    if isinstance(stored, bytes):
        if stored[:1] != b"{" or marker.encode() not in stored:
            return None
        try:
            stored = json.loads(stored)
        except ValueError:
            return None
    return stored if isinstance(stored, dict) and marker in stored else None


def object_metadata(coordinates: Coordinates, codec: str, sha256: str) -> dict[str, str]:
    """User metadata of the object: format, codec, checksum and the percent-quoted coordinates.

    Coordinates that S3's 2 KB have no room for are left out, the longest first.
    """
    metadata = {
        "xcomctl-format": str(FORMAT_VERSION),
        "xcomctl-codec": codec,
        "xcomctl-sha256": sha256,
        "xcomctl-map-index": str(coordinates.map_index),
    }
    named = {
        "xcomctl-dag-id": coordinates.dag_id,
        "xcomctl-run-id": coordinates.run_id,
        "xcomctl-task-id": coordinates.task_id,
        "xcomctl-key": coordinates.key,
    }
    quoted = {name: quote_component(text) for name, text in named.items() if text}
    while _weight(metadata) + _weight(quoted) > _MAX_METADATA_BYTES:
        del quoted[max(quoted, key=lambda name: len(quoted[name]))]
    return {**metadata, **quoted}


def _weight(metadata: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in metadata.items())
