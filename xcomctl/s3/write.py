"""Writing small objects to an S3 store, on conditions that hold whatever the store knows of them."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from xcomctl.errors import ConflictError, XcomctlError
from xcomctl.models import ObjectAddress
from xcomctl.s3.errors import (
    ABSENT_CODES,
    Request,
    code_of,
    knows_not,
    status_of,
    translate_s3_errors,
    was_repeated,
)
from xcomctl.s3.interface import ObjectInfo, Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 4
_PAUSE_SECONDS = 0.2


class Writer:
    """Writes one object. `proven` says that the bucket was seen to refuse a PUT whose condition does not hold.

    Where it is not proven, the condition is looked at before, too: then two writers at the same moment can both win.
    """

    def __init__(self, client: S3Client, store: Store, request: Request, *, proven: bool) -> None:
        self._client = client
        self._store = store
        self._request = request
        self._proven = proven

    def put(self, address: ObjectAddress, body: bytes, *, if_absent: bool, if_etag: str | None) -> ObjectInfo:
        """Write and describe the object; see `s3.interface.Store.put`."""
        condition: dict[str, Any] = {}
        if if_absent:
            condition = {"IfNoneMatch": "*"}
        elif if_etag is not None:
            condition = {"IfMatch": f'"{if_etag}"'}
        if condition and not self._proven:
            found = self._store.stat(address)
            if (found.etag if found else None) != (None if if_absent else if_etag):
                raise _conflict(address, if_absent)
        try:
            etag = self._send(address, body, condition)
        except XcomctlError as error:
            written = self._read_back(address, body) if _may_have_arrived(error) else None
            if written is not None:
                return written
            if _is_refusal(error, condition):
                raise _conflict(address, if_absent) from error
            raise
        made = self._store.stat(address)
        if made is None or (etag and made.etag != etag):
            raise ConflictError(
                f"{address.uri} was replaced or removed by somebody else right after it was written",
                hint="look for another program that writes there, and try again",
            )
        return made

    def _send(self, address: ObjectAddress, body: bytes, condition: dict[str, Any]) -> str:
        """The etag of what was written."""
        digest = hashlib.md5(body, usedforsecurity=False).digest()
        request: dict[str, Any] = {
            "Bucket": address.bucket,
            "Key": address.key,
            "Body": body,
            # Buckets with a default retention demand it.
            "ContentMD5": base64.b64encode(digest).decode(),
        }
        attempts = 0
        with translate_s3_errors(self._request):
            while True:
                attempts += 1
                try:
                    return self._client.put_object(**request, **condition).get("ETag", "").strip('"')
                except ClientError as error:
                    if condition and not self._proven and knows_not(error):
                        condition = {}
                    # Somebody else was writing at the same moment; the store has not looked at the condition.
                    elif code_of(error) == "ConditionalRequestConflict" and attempts < _ATTEMPTS:
                        time.sleep(_PAUSE_SECONDS * attempts)
                    else:
                        raise

    def _read_back(self, address: ObjectAddress, body: bytes) -> ObjectInfo | None:
        """What is there if it is exactly what was to be written, None if it is not, or cannot be asked for."""
        try:
            found = self._store.stat(address)
            if found is None or found.size != len(body) or self._store.read(address) != body:
                return None
            return found if self._store.stat(address) == found else None
        except XcomctlError:
            return None


def _is_refusal(error: XcomctlError, condition: dict[str, Any]) -> bool:
    cause = error.__cause__
    if not condition or not isinstance(cause, ClientError):
        return False
    # Where there is nothing, nothing has the etag that was asked for.
    absent = "IfMatch" in condition and code_of(cause) in ABSENT_CODES
    return absent or code_of(cause) in ("PreconditionFailed", "ConditionalRequestConflict", "412")


def _may_have_arrived(error: XcomctlError) -> bool:
    """Whether the object may have been written although an error came back."""
    cause = error.__cause__
    if isinstance(cause, ClientError):
        return was_repeated(cause) or status_of(cause) >= 500
    return isinstance(cause, (BotoCoreError, ResponseParserError))


def _conflict(address: ObjectAddress, if_absent: bool) -> ConflictError:
    return ConflictError(
        f"{address.uri} exists already" if if_absent else f"{address.uri} was changed by somebody else",
        hint="look for another program that writes there, and try again",
    )
