"""Values against what a row holds: the backend itself, without Airflow."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from typing import IO, Any, Callable, Mapping

from xcomctl_backend import _bundle, _codecs
from xcomctl_backend._codecs import Encoded, Inline, Serialisation
from xcomctl_backend._files import File
from xcomctl_backend._legacy import LegacyReference, decode_legacy, legacy_reference
from xcomctl_backend._reference import (
    Coordinates,
    Reference,
    fingerprint,
    may_belong_to,
    object_key,
    object_metadata,
)
from xcomctl_backend._s3 import NoSuchObject, S3Objects
from xcomctl_backend._settings import Settings
from xcomctl_backend.errors import CorruptObjectError, EncodingError, MissingObjectError, ReferenceFormatError

_log = logging.getLogger(__name__)


class Exchange:
    """Pushes and pulls values. `serialisation` is what only Airflow knows of them."""

    def __init__(
        self,
        settings: Settings,
        objects: S3Objects,
        *,
        serialisation: Serialisation = _codecs.WITHOUT_AIRFLOW,
    ) -> None:
        self._settings = settings
        self._objects = objects
        self._serialisation = serialisation

    def push(self, value: object, coordinates: Coordinates) -> Inline | Reference:
        """Give what the row holds of a value that stays there, else store the value and give the reference to it.

        Raises EncodingError (nothing was stored then) and botocore's exceptions.
        """
        settings = self._settings
        try:
            encoded = _codecs.encode(
                value,
                frame_format=settings.frame_format,
                compression=settings.compression,
                row_limit=settings.threshold,
                serialisation=self._serialisation,
            )
        except EncodingError as error:
            raise EncodingError(f"XCom {coordinates}: {error}") from None
        try:
            # A text that the legacy settings would resolve is safe in S3 only.
            if encoded.inline is not None and legacy_reference(value, settings) is None:
                return encoded.inline
            return self._store(encoded, coordinates)
        finally:
            encoded.close()

    def _store(self, encoded: Encoded, coordinates: Coordinates) -> Reference:
        settings = self._settings
        key = object_key(settings.prefix, coordinates, str(uuid.uuid4()), encoded.suffix)
        reference = Reference.to_payload(
            settings.bucket,
            key,
            encoded.codec,
            encoded.content,
            type_name=encoded.type_name,
            index_columns=encoded.index_columns,
            name=encoded.name,
        )
        self._objects.put(
            settings.bucket,
            key,
            encoded.content,
            content_type=_codecs.content_type(encoded.codec),
            metadata=object_metadata(coordinates, encoded.codec, reference.sha256),
        )
        return reference

    def pull(self, document: Mapping[str, Any]) -> Any:
        """The value behind the JSON object of a reference, checked against its size and checksum.

        The content of a File is fetched when it is asked for; here the store is only asked whether it is there.
        Raises ReferenceFormatError, MissingObjectError, CorruptObjectError and botocore's exceptions.
        """
        reference = Reference.from_json(document)
        if reference.codec == "file":
            self._look(reference)
            return File.fetched_by(reference.name or "file", lambda path: self._download(reference, path))
        if reference.codec == "bundle":
            with _bundle.room_for(reference.size) as room:
                self._fetch(reference, room)
                return _codecs.decode(reference.codec, room, serialisation=self._serialisation)
        payload = self._of(reference, self._objects.get)
        _verify(reference, payload)
        return _codecs.decode(
            reference.codec, payload, index_columns=reference.index_columns, serialisation=self._serialisation
        )

    def _download(self, reference: Reference, path: Path) -> None:
        with path.open("w+b") as target:
            self._fetch(reference, target)

    def _fetch(self, reference: Reference, target: IO[bytes]) -> None:
        self._of(reference, lambda bucket, key: self._objects.fetch(bucket, key, target))
        _verify(reference, target)

    def _look(self, reference: Reference) -> None:
        size = self._of(reference, self._objects.size)
        if size != reference.size:
            raise _corrupt(reference, size)

    def _of(self, reference: Reference, ask: Callable[[str, str], Any]) -> Any:
        try:
            return ask(reference.bucket, reference.key)
        except NoSuchObject:
            raise _missing(_of_xcom(reference), reference.uri) from None

    def inline(self, value: Any) -> Any:
        """The value for what a row without a reference holds, decoded: a tree, a legacy reference, or the value itself."""
        if _codecs.is_tree(value):
            return _codecs.decode_tree(value, self._serialisation)
        legacy = legacy_reference(value, self._settings)
        return value if legacy is None else self._pull_legacy(legacy)

    def _pull_legacy(self, reference: LegacyReference) -> Any:
        try:
            payload = self._objects.get(reference.bucket, reference.key)
        except NoSuchObject:
            raise _missing("XCom of an earlier backend", reference.uri) from None
        return decode_legacy(
            reference, payload, pickles=self._settings.legacy_pickles, serialisation=self._serialisation
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


def _of_xcom(reference: Reference) -> str:
    return f"XCom {reference.coordinates or '(of another layout)'}"


def _missing(xcom: str, uri: str) -> MissingObjectError:
    return MissingObjectError(
        f"{xcom}: its object {uri} does not exist. "
        "It was deleted, for instance by a lifecycle rule of the bucket: clear the task that pushed it. "
        f"To look closer: xcomctl explain '{uri}', xcomctl fsck"
    )


def _verify(reference: Reference, payload: bytes | IO[bytes]) -> None:
    size, sha256 = fingerprint(payload)
    if (size, sha256) != (reference.size, reference.sha256):
        raise _corrupt(reference, size)


def _corrupt(reference: Reference, size: int) -> CorruptObjectError:
    return CorruptObjectError(
        f"{_of_xcom(reference)}: its object {reference.uri} is not what was "
        f"written: {size} bytes for {reference.size}, or another checksum. Clear the task that pushed it"
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
