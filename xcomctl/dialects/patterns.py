"""How dialects are written down: patterns as data, and the fragments that they share.

Python's `re` reads one value with them, DuckDB's RE2 a hundred million keys, so they keep to what both understand
alike: no look-around, no back-references, no `\\w` (RE2 knows only ASCII there), and every capturing group is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from xcomctl.dialects.interface import Confidence, KeyPattern
from xcomctl.models import ObjectAddress, Root

UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
UUID_OR_HEX = rf"(?:{UUID}|[0-9a-fA-F]{{32}})"
"""A uuid in either of the spellings that Python's `uuid4()` gives. Never in the middle of a word of hex digits."""

SEGMENT = r"(?:[^/.][^/]*|\.[^/.][^/]*|\.\.[^/]+)"
"""One segment of a key, raw: not empty, not `.`, not `..`."""

_SAFE = r"(?:[A-Za-z0-9_~-]|%[0-9A-F]{2})"
QUOTED = rf"(?:{_SAFE}|\.{_SAFE}|\.\.(?:{_SAFE}|\.))(?:{_SAFE}|\.)*"
"""One segment of a key, percent-quoted: `[A-Za-z0-9_.~-]` as they are, `%XX` for all else; not `.`, not `..`."""

FOLDERS = r"(?:[^/]*/)*"
"""Any number of whole segments, empty ones included, each with its slash."""

COMPRESSION = r"\.(?:gz|bz2|xz|lzma|zip|zst|lz4|snappy)"
"""Suffixes of the compressions that fsspec and its codecs write."""

S3 = r"[sS]3[aAnN]?://(?:[^/]*@)?"
"""Scheme of an S3 address in the spellings of all clients, with an Airflow connection id or without."""

_CODEC_BY_SUFFIX = {
    "bin": "bytes",
    "csv": "csv",
    "dat": "pickle",
    "html": "text",
    "json": "json",
    "parquet": "parquet",
    "pickle": "pickle",
    "pkl": "pickle",
    "txt": "text",
}
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_COMPRESSION_SUFFIXES = ("gz", "bz2", "xz", "lzma", "zip", "zst", "lz4", "snappy")


@dataclass(frozen=True, slots=True)
class ReferencePattern:
    """References that are strings, as data. `pattern` matches a whole string, from `^` to `$`.

    Named groups: `key` (always), `bucket`, `prefix` (the beginning of the key up to the root). Where there is no
    `bucket`, neither as a group nor as a field, the roots that the user gave say which.
    """

    dialect: str
    pattern: str
    confidence: Confidence
    codec: str | None = None
    bucket: str | None = None
    key_prefix: str = ""
    """What the backend puts before the `key` of the reference."""
    only_in: Literal["anywhere", "bucket of a root", "root"] = "anywhere"
    """The pattern counts only where the object lies in the bucket of a given root, or under a given root."""
    shows_root: Literal["no", "prefix", "bucket"] = "no"
    """Whether the reference shows its root: up to the group `prefix`, or only its bucket."""


@dataclass(frozen=True, slots=True)
class DocumentPattern:
    """References that are JSON objects, as data.

    `members` are those that must be there, with the value that each must have (None for any value). `address` is the
    member that holds an S3 URI or a key, `bucket` the one that holds the bucket of a key.
    """

    dialect: str
    members: Mapping[str, Any]
    address: str
    confidence: Confidence
    bucket: str | None = None
    codec_member: str | None = None
    size_member: str | None = None
    sha256_member: str | None = None
    root_pattern: str | None = field(default=None)
    """Pattern of the key whose group `prefix` is the root's."""


@dataclass(frozen=True, slots=True)
class Family:
    """The dialects of one file: their names, and all patterns by which they read references and claim keys."""

    names: tuple[str, ...]
    references: tuple[ReferencePattern, ...] = ()
    documents: tuple[DocumentPattern, ...] = ()
    keys: tuple[KeyPattern, ...] = ()


def codec_of_key(key: str) -> str | None:
    """The codec that the suffix of a key stands for, compression suffixes aside; None if it says nothing."""
    parts = key.rpartition("/")[2].lower().split(".")[1:]
    while parts and parts[-1] in _COMPRESSION_SUFFIXES:
        parts.pop()
    return _CODEC_BY_SUFFIX.get(parts[-1]) if parts else None


def may_name_object(text: str) -> bool:
    """False for halves of surrogate pairs: JSON can write them, UTF-8 and so a key of S3 cannot."""
    return text.isascii() or _SURROGATE.search(text) is None


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern, which ends with `$`, for Python: read as RE2 reads it."""
    # RE2's `$` matches at the very end only, and its classes know ASCII only.
    return re.compile(pattern[:-1] + r"\Z", re.ASCII)


def addresses_of(bucket: str | None, key: str, roots: Sequence[Root]) -> list[ObjectAddress]:
    """The object, or all that it may be: at the top of each root's bucket and under the root's prefix."""
    if bucket is not None:
        return [ObjectAddress(bucket, key)]
    either = [address for root in roots for address in (ObjectAddress(root.bucket, key), root.at(key))]
    return list(dict.fromkeys(either))
