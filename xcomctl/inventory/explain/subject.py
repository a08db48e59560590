"""What a user's REF or URI names: a row of the database, or the address of an object."""

from __future__ import annotations

import re
from collections.abc import Sequence

from xcomctl.airflow.interface import Source
from xcomctl.airflow.naming import row_named, short_id_in
from xcomctl.dialects.interface import Dialects, certainty
from xcomctl.errors import NotFoundError, UsageError
from xcomctl.models import ObjectAddress, Root, Row

_SCHEME = re.compile(r"[A-Za-z][\w+.-]*://")
_S3 = re.compile(r"s3[an]?://[^/]", re.IGNORECASE)


def subject_of(ref: str, source: Source, dialects: Dialects, roots: Sequence[Root]) -> Row | ObjectAddress:
    """The row or the address that `ref` names: `s3://bucket/key`, a stored reference, an id, or `dag/run/task[3]:key`.

    Raises NotFoundError with near matches, UsageError, SourceError. Whether the object exists is not asked.
    """
    if _S3.match(ref):
        return ObjectAddress.parse(ref)
    if (short_id := short_id_in(ref)) is not None:
        row = source.row_by_short_id(short_id)
        if row is None:
            raise NotFoundError(
                f"no XCom has the id {short_id}", hint="xcomctl ls lists XComs with their ids"
            )
        return row
    if "/" in ref and not _SCHEME.match(ref) and ref[:1] not in ("{", '"'):
        return row_named(ref, source)
    if ref[:1] in ("{", '"'):
        reference = max(dialects.references(ref.encode(), roots), key=certainty, default=None)
    else:
        reference = dialects.reference_of(ref, roots)
    if reference is None:
        raise UsageError(
            f"{ref!r} names no XCom and is no reference that a known backend writes",
            hint="write dag/run/task:key, an id that xcomctl ls prints, or s3://bucket/key",
        )
    if not reference.addresses:
        raise UsageError(
            f"{reference.text} does not say in which bucket its object is",
            hint="add --store s3://bucket/prefix",
        )
    return reference.addresses[0]
