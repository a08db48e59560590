"""Show one XCom: find the row or object that a user names, follow its reference, and preview what is there."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from xcomctl.airflow.interface import Source
from xcomctl.airflow.naming import row_named, short_id_in
from xcomctl.dialects.interface import Claim, Dialects, Reference, certainty
from xcomctl.dialects.whole_value import whole_references
from xcomctl.errors import NotFoundError, StoreError, UsageError
from xcomctl.look.codecs.interface import Payload, Preview, PreviewOptions
from xcomctl.models import ObjectAddress, Root, Row
from xcomctl.s3.interface import ObjectInfo, Store

_URI_SCHEMES = ("s3://", "s3a://", "s3n://")
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*://")


class Access(Protocol):
    """The parts that showing may need. Each is asked for only when it is needed, and opens then."""

    @property
    def source(self) -> Source:
        """Where rows live."""

    @property
    def store(self) -> Store:
        """Where objects live."""

    @property
    def dialects(self) -> Dialects:
        """What a value may point to."""

    @property
    def roots(self) -> Sequence[Root]:
        """Roots of our objects."""


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
    """Find what `ref` names: `s3://bucket/key`, a short id, a stored reference, or `dag/run/task[3]:key`.

    Raises NotFoundError (with near matches, or because the object is gone), UsageError (malformed, or a reference
    that no root completes), SourceError, StoreError.
    """
    if ref.lower().startswith(_URI_SCHEMES):
        try:
            address = ObjectAddress.parse(ref)
        except UsageError:
            # A scheme without a bucket: some backends write that.
            return _object_of_reference(ref, access)
        return _object_at(address, access)
    if _SCHEME.match(ref) or ref[:1] in ("{", '"'):
        return _object_of_reference(ref, access)
    if (short_id := short_id_in(ref)) is not None:
        row = access.source.row_by_short_id(short_id)
        if row is None:
            raise NotFoundError(
                f"no XCom has the id {short_id}", hint="xcomctl ls lists XComs with their ids"
            )
        return _of_row(row, access)
    if "/" not in ref:
        return _object_of_reference(ref, access)
    try:
        row = row_named(ref, access.source)
    except NotFoundError:
        # Some backends store a bare key, which reads like the name of an XCom.
        with contextlib.suppress(StoreError):
            if (found := _existing(_read_reference(ref, access), access)) is not None:
                return found
        raise
    return _of_row(row, access)


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
    return Found(ref=address.uri, object=info, claim=access.dialects.claim(address.key), store=access.store)


def _object_of_reference(text: str, access: Access) -> Found:
    reference = _read_reference(text, access)
    if reference is None:
        raise NotFoundError(
            f"{text!r} names no XCom and is no reference that a known backend writes",
            hint="write dag/run/task:key, an id that xcomctl ls prints, or s3://bucket/key",
        )
    if not reference.addresses:
        raise _without_root(reference)
    found = _existing(reference, access)
    if found is None:
        raise NotFoundError(
            f"the object of {reference.text} does not exist: {_uris(reference)}", hint=_other_root(reference)
        )
    return found


def _read_reference(text: str, access: Access) -> Reference | None:
    """The likeliest reading of what a user pasted: a reference string, or the JSON of a value as it is stored."""
    if text[:1] in ("{", '"'):
        read = access.dialects.references(text.encode(), access.roots)
        return max(read, key=certainty, default=None)
    return access.dialects.reference_of(text, access.roots)


def _existing(reference: Reference | None, access: Access) -> Found | None:
    """The first of the reference's objects that exists. Raises StoreError if none does and one could not be asked for."""
    if reference is None:
        return None
    failure: StoreError | None = None
    for address in reference.addresses:
        try:
            info = access.store.stat(address)
        except StoreError as error:
            # Another reading may still be the right one: a first segment that is no bucket is not the end.
            failure = failure or error
            continue
        if info is not None:
            claim = access.dialects.claim(address.key)
            return Found(ref=address.uri, reference=reference, object=info, claim=claim, store=access.store)
    if failure is not None:
        raise failure
    return None


def _of_row(row: Row, access: Access) -> Found:
    """The row with the object that its value points to, or with its inline value."""
    read = access.dialects.references(row.raw, access.roots)
    whole = whole_references(row.raw, access.dialects, access.roots)
    notes: list[str] = []
    for reference in whole:
        try:
            found = _existing(reference, access)
        except StoreError:
            if reference.confidence != "ambiguous":
                raise
            notes.append(f"the value may be a reference to {_uris(reference)}, which could not be asked for")
            continue
        if found is not None:
            return Found(row.ref, row, reference, found.object, found.claim, store=found.store)
    for reference in whole:
        if reference.confidence != "ambiguous":
            raise _without_root(reference) if not reference.addresses else _dangling(row, reference)
    notes += [_ambiguity(reference) for reference in whole if not notes]
    held = tuple(reference for reference in read if reference not in whole)
    return Found(row.ref, row, held=held, notes=tuple(dict.fromkeys(notes)))


def _uris(reference: Reference) -> str:
    return " or ".join(address.uri for address in reference.addresses) or reference.text


def _ambiguity(reference: Reference) -> str:
    if not reference.addresses:
        return "the value may be a reference, but no --store says in which bucket; shown is the value itself"
    return f"the value may be a reference, but {_uris(reference)} does not exist; shown is the value itself"


def _without_root(reference: Reference) -> UsageError:
    return UsageError(
        f"{reference.text} does not say in which bucket its object is",
        hint="add --store s3://bucket/prefix",
    )


def _other_root(reference: Reference) -> str | None:
    return "if it is elsewhere: --store s3://bucket/prefix" if reference.confidence == "configured" else None


def _dangling(row: Row, reference: Reference) -> NotFoundError:
    return NotFoundError(
        f"{row.ref} is dangling: its object {_uris(reference)} does not exist",
        hint=_other_root(reference) or "xcomctl fsck lists all such rows",
    )
