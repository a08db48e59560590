"""Show one XCom: find the row or object that a user names, follow its reference, and preview what is there."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from xcomctl.dialects.interface import Claim, Reference
from xcomctl.dialects.whole_value import whole_references
from xcomctl.errors import NotFoundError, StoreError
from xcomctl.look.codecs.interface import Payload, Preview, PreviewOptions
from xcomctl.look.refs import Access, existing, named, require_root
from xcomctl.models import ObjectAddress, Row
from xcomctl.s3.interface import ObjectInfo, Store

LARGE = 256 << 20
"""Bytes of payloads that are not read whole without a word."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a user's REF names: a row whose value is inline, a row with the object that it points to, or an object."""

    ref: str
    """What to call it: the row's `dag/run/task:key`, or the object's URI."""
    row: Row | None = None
    reference: Reference | None = None
    """The reference that led to `object`; None where the user named the object itself."""
    object: ObjectInfo | None = None
    """The payload, None if that is the row's own value."""
    claim: Claim | None = None
    """What the object's key says of where it comes from."""
    held: tuple[Reference, ...] = ()
    """References that an inline value holds somewhere inside."""
    notes: tuple[str, ...] = ()
    store: Store | None = field(default=None, repr=False, compare=False)

    @property
    def size(self) -> int:
        """Bytes of the payload as it is stored."""
        if self.object is not None:
            return self.object.size
        return self.row.size if self.row is not None else 0


@dataclass(frozen=True, slots=True)
class Shown:
    """A preview of what was found, and how it was encoded."""

    found: Found
    preview: Preview
    codec: str
    compression: tuple[str, ...]
    notes: tuple[str, ...]
    bytes_fetched: int | None
    """Bytes that were read from the object for it; None for an inline value."""


def find(ref: str, access: Access) -> Found:
    """Find what `ref` names (see `refs.named`), with the object that it points to.

    Raises NotFoundError (with near matches, or because the object is gone), UsageError (malformed, or a reference
    that no root completes), SourceError, StoreError.
    """
    subject = named(ref, access)
    if isinstance(subject, Row):
        return _of_row(subject, access)
    if isinstance(subject, ObjectAddress):
        return _object_at(subject, access)
    return _object_of_reference(subject, access)


def preview(found: Found, options: PreviewOptions) -> Shown:
    """Preview what was found, reading only what is needed.

    Raises UnreadableError, UsageError (no such column), NotFoundError (gone meanwhile), StoreError.
    """
    from xcomctl.look.codecs.registry import examine

    if found.object is None or found.store is None:
        raw = found.row.raw if found.row is not None else None
        payload = Payload(io.BytesIO(b"null" if raw is None else raw), found.size)
        examined = examine(payload, options)
        fetched = None
        notes = ("the row holds SQL NULL",) if raw is None else ()
    else:
        from xcomctl.s3.reader import ObjectReader

        hint = found.reference.codec if found.reference else None
        if hint is None and found.claim is not None:
            hint = found.claim.codec
        address = found.object.address
        reader = ObjectReader(found.store, address, found.object.size)
        with io.BufferedReader(reader) as stream:
            examined = examine(Payload(stream, found.object.size, name=address.key, hint=hint), options)
            fetched = reader.bytes_fetched
        notes = ()
    return Shown(
        found=found,
        preview=examined.preview,
        codec=examined.codec,
        compression=examined.compression,
        notes=(*found.notes, *notes, *examined.notes),
        bytes_fetched=fetched,
    )


def stored_bytes(found: Found) -> Iterator[bytes]:
    """The payload as it is stored, chunk by chunk. Raises NotFoundError, StoreError."""
    if found.object is not None and found.store is not None:
        yield from found.store.stream(found.object.address)
    elif found.row is not None:
        yield found.row.raw or b""


def _object_at(address: ObjectAddress, access: Access) -> Found:
    info = access.store.stat(address)
    if info is None:
        raise NotFoundError(
            f"there is no object {address.uri}",
            hint="the key is taken as it stands: check it for encoded characters",
        )
    return _found(info, access)


def _object_of_reference(reference: Reference, access: Access) -> Found:
    require_root(reference)
    info = existing(reference, access)
    if info is None:
        raise NotFoundError(
            f"the object of {reference.text} does not exist: {_uris(reference)}",
            hint=_other_root(reference) or "xcomctl fsck lists the rows whose object is gone",
        )
    return replace(_found(info, access), reference=reference)


def _found(info: ObjectInfo, access: Access) -> Found:
    claim = access.dialects.claim(info.address.key)
    return Found(ref=info.address.uri, object=info, claim=claim, store=access.store)


def _of_row(row: Row, access: Access) -> Found:
    """The row with the object that its value points to, or with its inline value."""
    read = access.dialects.references(row.raw, access.roots)
    whole = whole_references(row.raw, access.dialects, access.roots)
    notes: list[str] = []
    for reference in whole:
        try:
            info = existing(reference, access)
        except StoreError:
            if reference.confidence != "ambiguous":
                raise
            notes.append(f"the value may be a reference to {_uris(reference)}, which could not be asked for")
            continue
        if info is not None:
            return replace(_found(info, access), ref=row.ref, row=row, reference=reference)
    for reference in whole:
        if reference.confidence != "ambiguous":
            require_root(reference)
            raise _dangling(row, reference)
    notes += [_ambiguity(reference) for reference in whole if not notes]
    held = tuple(reference for reference in read if reference not in whole)
    return Found(row.ref, row, held=held, notes=tuple(dict.fromkeys(notes)))


def _uris(reference: Reference) -> str:
    return " or ".join(address.uri for address in reference.addresses) or reference.text


def _ambiguity(reference: Reference) -> str:
    if not reference.addresses:
        return "the value may be a reference, but no --store says in which bucket; shown is the value itself"
    return f"the value may be a reference, but {_uris(reference)} does not exist; shown is the value itself"


def _other_root(reference: Reference) -> str | None:
    return "if it is elsewhere: --store s3://bucket/prefix" if reference.confidence == "configured" else None


def _dangling(row: Row, reference: Reference) -> NotFoundError:
    return NotFoundError(
        f"{row.ref} is dangling: its object {_uris(reference)} does not exist",
        hint=_other_root(reference) or "xcomctl fsck lists all such rows",
    )
