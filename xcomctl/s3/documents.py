"""JSON that the tool keeps in a store for itself, below `<root>/.xcomctl/`: documents that say what they are, and lines."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, TypeVar

from xcomctl.errors import NotFoundError, RefusedError
from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import ObjectInfo, Store

T = TypeVar("T")

_SCHEMA = re.compile(r"(xcomctl\.[a-z-]+)/([0-9]+)")

_LARGEST = 1 << 20
"""Bytes that a document can have: what somebody else put in its place must not fill the memory."""


def read_document(
    store: Store, address: ObjectAddress, schema: str, parse: Callable[[dict[str, Any], ObjectInfo], T]
) -> T | None:
    """What `parse` makes of the document at an address, and of the object that holds it; None only if there is none.

    Raises RefusedError for anything else than a document of this schema, also where `parse` raises what Python does for
    members that are not there or of another type; StoreError.
    """
    info = store.stat(address)
    if info is None:
        return None
    if info.size > _LARGEST:
        raise damaged(address)
    try:
        document = decode(store.read(address), schema, address)
    except NotFoundError:
        return None
    try:
        return parse(document, info)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise damaged(address) from None


def encode(schema: str, members: dict[str, Any]) -> bytes:
    """The document as bytes. `members` are JSON types, and aware times."""
    document = {"schema": schema, **members}
    return (json.dumps(document, indent=2, default=_time, ensure_ascii=False) + "\n").encode()


def encode_lines(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """The objects, which are JSON types, as lines of JSON in gzip. The same ones are always the same bytes."""
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    # Without a time in its head.
    return gzip.compress(text.encode(), mtime=0)


def decode(raw: bytes, schema: str, address: ObjectAddress, *, older: Sequence[str] = ()) -> dict[str, Any]:
    """Read what `encode` wrote; times are text still. Raises RefusedError for anything else, and for a newer schema.

    What is of an `older` schema is read as well.
    """
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        raise damaged(address) from None
    if not isinstance(document, dict):
        raise damaged(address)
    said = document.get("schema")
    if said == schema or said in older:
        return document
    known, given = _SCHEMA.fullmatch(schema), _SCHEMA.fullmatch(str(said))
    if known and given and known[1] == given[1]:
        raise RefusedError(
            f"{address.uri} was written by another release of xcomctl ({said})",
            hint="pip install --upgrade xcomctl",
        )
    raise damaged(address)


def damaged(address: ObjectAddress) -> RefusedError:
    """What to say of a document that cannot be read."""
    return RefusedError(
        f"{address.uri} is damaged: it is not what xcomctl wrote there",
        hint="look who else writes below .xcomctl/; an older version of the object may still be in the bucket",
    )


def time_of(text: Any) -> datetime:
    """A time of a document, aware UTC. Raises TypeError, ValueError for what is none."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time without zone")
    try:
        return at.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError("a time that UTC does not have") from None


def _time(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} is no JSON type")
    return value.astimezone(timezone.utc).isoformat()
