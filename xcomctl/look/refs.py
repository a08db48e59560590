"""What a user's REF names: `dag/run/task[3]:key`, an id that `ls` prints, a stored reference, or `s3://bucket/key`."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Protocol

from xcomctl.airflow.interface import Source
from xcomctl.airflow.naming import row_named
from xcomctl.dialects.interface import Dialects, Reference, certainty
from xcomctl.errors import NotFoundError, StoreError, UsageError
from xcomctl.models import S3_SCHEMES, ObjectAddress, Root, Row, short_id_in
from xcomctl.s3.interface import ObjectInfo, Store

_SCHEME = re.compile(r"[A-Za-z][\w+.-]*://")
_DOCUMENT = ("{", '"')
"""How a value begins that was pasted as it is stored."""


class Access(Protocol):
    """The parts that a REF may need. Each is asked for only when it is needed, and opens then."""

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


def named(ref: str, access: Access) -> Row | Reference | ObjectAddress:
    """What `ref` names: a row, a reference as a backend writes it, or an object. Of an object it need not exist.

    Raises NotFoundError with near matches, UsageError for what has none of the forms, SourceError.
    """
    if ref.lower().startswith(S3_SCHEMES):
        try:
            return ObjectAddress.parse(ref)
        except UsageError:
            # A scheme without a bucket: some backends write that.
            reference = _read(ref, access)
            if reference is None:
                raise
            return reference
    if (short_id := short_id_in(ref)) is not None:
        row = access.source.row_by_short_id(short_id)
        if row is None:
            raise NotFoundError(
                f"no XCom has the id {short_id}", hint="xcomctl ls lists XComs with their ids"
            )
        return row
    if "/" in ref and not _SCHEME.match(ref) and not ref.startswith(_DOCUMENT):
        try:
            return row_named(ref, access.source)
        except (NotFoundError, UsageError):
            # Some backends store a bare key, which reads like the name of an XCom, or nearly so.
            reference = _read(ref, access)
            with contextlib.suppress(StoreError):
                if reference is not None and existing(reference, access) is not None:
                    return reference
            raise
    reference = _read(ref, access)
    if reference is None:
        raise UsageError(
            f"{ref!r} names no XCom and is no reference that a known backend writes",
            hint="write dag/run/task:key, an id that xcomctl ls prints, or s3://bucket/key",
        )
    return reference


def row_or_address(ref: str, access: Access) -> Row | ObjectAddress:
    """The row that `ref` names, or the address of its object: of several, the first that exists, else the first.

    Raises NotFoundError, UsageError (also for a reference that no root completes), SourceError.
    """
    subject = named(ref, access)
    if not isinstance(subject, Reference):
        return subject
    require_root(subject)
    if len(subject.addresses) > 1:
        with contextlib.suppress(StoreError):
            if (found := existing(subject, access)) is not None:
                return found.address
    return subject.addresses[0]


def existing(reference: Reference, access: Access) -> ObjectInfo | None:
    """The first of the reference's objects that exists. Raises StoreError if none does and one could not be asked for."""
    failure: StoreError | None = None
    for address in reference.addresses:
        try:
            info = access.store.stat(address)
        except StoreError as error:
            # Another reading may still be the right one: a first segment that is no bucket is not the end.
            failure = failure or error
            continue
        if info is not None:
            return info
    if failure is not None:
        raise failure
    return None


def require_root(reference: Reference) -> None:
    """Raise UsageError for a reference of which nothing says in which bucket its object is."""
    if not reference.addresses:
        raise UsageError(
            f"{reference.text} does not say in which bucket its object is",
            hint="add --store s3://bucket/prefix",
        )


def _read(text: str, access: Access) -> Reference | None:
    """The likeliest reading of what a user pasted: a reference string, or the JSON of a value as it is stored."""
    if text.startswith(_DOCUMENT):
        read = access.dialects.references(text.encode(), access.roots)
        return max(read, key=certainty, default=None)
    return access.dialects.reference_of(text, access.roots)
