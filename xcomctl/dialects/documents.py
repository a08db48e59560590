"""References that are JSON objects: read as the first form says that fits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeGuard

from xcomctl.dialects.interface import Reference
from xcomctl.dialects.patterns import DocumentPattern, addresses_of, codec_of_key, compiled, may_name_object
from xcomctl.errors import UsageError
from xcomctl.models import ObjectAddress, Root

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_CODEC = re.compile(r"[A-Za-z0-9._+-]{1,64}")


def reference_in(
    document: dict[str, Any], forms: Sequence[DocumentPattern], roots: Sequence[Root]
) -> Reference | None:
    """The reference that a JSON object is, or None. `roots` give the bucket where it has none."""
    for form in forms:
        if all(_fits(document, name, wanted) for name, wanted in form.members.items()):
            found = _read(form, document, roots)
            if found is not None:
                return found
    return None


def _fits(document: dict[str, Any], name: str, wanted: Any) -> bool:
    if wanted is None:
        return name in document
    found = document.get(name)
    # `True == 1` in Python, but not in JSON.
    return type(found) is type(wanted) and bool(found == wanted)


def _read(form: DocumentPattern, document: dict[str, Any], roots: Sequence[Root]) -> Reference | None:
    text = document.get(form.address)
    bucket = document.get(form.bucket) if form.bucket else None
    if not _is_name(text) or (form.bucket is not None and not _is_name(bucket)):
        return None
    confidence = form.confidence
    if "://" in text:
        try:
            addresses = [ObjectAddress.parse(text)]
        except UsageError:
            return None
        confidence = "exact" if confidence == "configured" else confidence
    else:
        addresses = addresses_of(bucket, text, roots)
    root = None
    if form.root_pattern and addresses and (match := compiled(form.root_pattern).match(addresses[0].key)):
        root = Root(addresses[0].bucket, match.group("prefix"))
    codec = document.get(form.codec_member) if form.codec_member else None
    size = document.get(form.size_member) if form.size_member else None
    sha256 = document.get(form.sha256_member) if form.sha256_member else None
    return Reference(
        form.dialect,
        text,
        tuple(addresses),
        confidence,
        codec=codec if isinstance(codec, str) and _CODEC.fullmatch(codec) else codec_of_key(text),
        size=size if type(size) is int and size >= 0 else None,
        sha256=sha256.lower() if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None,
        root=root,
    )


def _is_name(member: object) -> TypeGuard[str]:
    return isinstance(member, str) and member != "" and may_name_object(member)
