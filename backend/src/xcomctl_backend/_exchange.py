"""Values against what a row holds: the backend itself, without Airflow."""

from __future__ import annotations

import hashlib
import logging
import uuid
from typing import Any, Callable, Mapping

from xcomctl_backend import _codecs
from xcomctl_backend._reference import (
    Coordinates,
    Reference,
    is_marked,
    may_belong_to,
    object_key,
    object_metadata,
)
from xcomctl_backend._s3 import NoSuchObject, S3Objects
from xcomctl_backend._settings import Settings
from xcomctl_backend.errors import CorruptObjectError, EncodingError, MissingObjectError, ReferenceFormatError

_log = logging.getLogger(__name__)


class Exchange:
    """Pushes and pulls values. `dump_json` and `load_json` decide how values are written as JSON."""

    def __init__(
        self,
        settings: Settings,
        objects: S3Objects,
        *,
        dump_json: Callable[[object], bytes],
        load_json: Callable[[bytes], Any],
    ) -> None:
        self._settings = settings
        self._objects = objects
        self._dump_json = dump_json
        self._load_json = load_json

    def push(self, value: object, coordinates: Coordinates) -> bytes | Reference:
        """Give the JSON of a value that stays in the row, else store the value and give the reference to it.

        Raises EncodingError (nothing was stored then) and botocore's exceptions.
        """
        settings = self._settings
        try:
            encoded = _codecs.encode(value, frame_format=settings.frame_format, dump_json=self._dump_json)
        except EncodingError as error:
            raise EncodingError(f"XCom {coordinates}: {error}") from None
        if encoded.document is not None and (value is None or self._fits_row(value, encoded.document)):
            return encoded.document
        key = object_key(settings.prefix, coordinates, str(uuid.uuid4()), _codecs.SUFFIXES[encoded.codec])
        reference = Reference.to_payload(
            settings.bucket,
            key,
            encoded.codec,
            encoded.payload,
            type_name=encoded.type_name,
            index_columns=encoded.index_columns,
        )
        self._objects.put(
            settings.bucket,
            key,
            encoded.payload,
            content_type=_codecs.CONTENT_TYPES[encoded.codec],
            metadata=object_metadata(coordinates, encoded.codec, reference.sha256),
        )
        return reference

    def _fits_row(self, value: object, document: bytes) -> bool:
        # A task may return a dict that looks like a reference. In S3 it cannot be taken for one.
        return len(document) < self._settings.threshold and not is_marked(value)

    def pull(self, document: Mapping[str, Any]) -> Any:
        """The value behind the JSON object of a reference, checked against its size and checksum.

        Raises ReferenceFormatError, MissingObjectError, CorruptObjectError and botocore's exceptions.
        """
        reference = Reference.from_json(document)
        try:
            payload = self._objects.get(reference.bucket, reference.key)
        except NoSuchObject:
            raise MissingObjectError(
                f"XCom {reference.coordinates or '(of another layout)'}: its object {reference.uri} does not exist. "
                "It was deleted, for instance by a lifecycle rule of the bucket: clear the task that pushed it. "
                f"To look closer: xcomctl show '{reference.uri}', xcomctl fsck"
            ) from None
        if len(payload) != reference.size or hashlib.sha256(payload).hexdigest() != reference.sha256:
            raise CorruptObjectError(
                f"XCom {reference.coordinates or '(of another layout)'}: its object {reference.uri} is not what was "
                f"written: {len(payload)} bytes for {reference.size}, or another checksum. Clear the task that pushed it"
            )
        return _codecs.decode(
            reference.codec, payload, index_columns=reference.index_columns, load_json=self._load_json
        )

    def purge(self, document: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """Delete the object of a row that Airflow is about to delete.

        `row` has the row's coordinates as far as Airflow tells them. An object that is not under the configured path
        or contradicts them is left alone: anybody who may edit an XCom could name any object. A store that
        refuses does not fail the task; what stays is an orphan, which `xcomctl gc` collects.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            reference = Reference.from_json(document)
        except ReferenceFormatError as error:
            _log.warning("Left the object of an XCom alone: %s", error)
            return
        settings = self._settings
        if reference.bucket != settings.bucket or not may_belong_to(reference.key, settings.prefix, row):
            _log.warning("Left %s alone: it is not where this XCom's object would be", reference.uri)
            return
        try:
            self._objects.delete(reference.bucket, reference.key)
        except (BotoCoreError, ClientError) as error:
            _log.warning(
                "Could not delete %s (%s); xcomctl gc collects it", reference.uri, type(error).__name__
            )


def describe(document: Mapping[str, Any]) -> str:
    """One line for people about an offloaded value, without loading it: `pandas.DataFrame, 3.4 MB, in s3://...`."""
    kind = document.get("type") or document.get("codec") or "value"
    size = document.get("size")
    text = _decimal(size) if isinstance(size, int) else "unknown size"
    return f"{kind}, {text}, in {document.get('uri')}"


def _decimal(size: int) -> str:
    number = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{size} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
