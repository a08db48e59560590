"""Whole payloads from an S3 store and into it: one answer a download, one request or several parts an upload."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from xcomctl.errors import ConflictError, StoreError
from xcomctl.models import ObjectAddress
from xcomctl.s3.errors import Request, code_of, knows_not, parameters_of, translate_s3_errors
from xcomctl.s3.interface import MOST_PARTS, Description, Download, ObjectInfo, Store

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, GetObjectOutputTypeDef

_CHUNK = 1 << 20
_PART = 8 << 20
"""What one upload holds in memory; S3 takes parts from 5 MiB on."""


@contextmanager
def opened(client: S3Client, address: ObjectAddress, endpoint: str) -> Iterator[Download]:
    """An object of which the content comes as it is asked for. Raises NotFoundError, StoreError."""
    request = Request("s3:GetObject", endpoint, address.bucket, address.key)
    with translate_s3_errors(request):
        answer = client.get_object(Bucket=address.bucket, Key=address.key)
    info = ObjectInfo(address, answer["ContentLength"], answer["ETag"].strip('"'), answer["LastModified"])
    described = Description(
        answer.get("ContentType"), answer.get("ContentEncoding") or None, dict(answer.get("Metadata", {}))
    )
    with closing(answer["Body"]):
        yield Download(info, described, _chunks(answer, info, request))


def _chunks(answer: GetObjectOutputTypeDef, info: ObjectInfo, request: Request) -> Iterator[bytes]:
    received = 0
    with translate_s3_errors(request):
        for chunk in answer["Body"].iter_chunks(_CHUNK):
            received += len(chunk)
            yield chunk
    if received != info.size:
        raise StoreError(
            f"{info.address.uri} came with {received} bytes instead of {info.size}", hint="try again"
        )


class Uploader:
    """Writes one payload. `proven` says that the bucket was seen to refuse a PUT whose condition does not hold."""

    def __init__(self, client: S3Client, store: Store, endpoint: str, *, proven: bool) -> None:
        self._client = client
        self._store = store
        self._endpoint = endpoint
        self._proven = proven

    def upload(
        self, address: ObjectAddress, body: BinaryIO, size: int, description: Description, *, if_absent: bool
    ) -> ObjectInfo:
        """Write and describe the object; see `s3.interface.TransferStore.upload`."""
        if if_absent and not self._proven and self._store.stat(address) is not None:
            raise _conflict(address)
        named: dict[str, Any] = {"Bucket": address.bucket, "Key": address.key}
        described = _described(description)
        with translate_s3_errors(Request("s3:PutObject", self._endpoint, address.bucket, address.key)):
            try:
                if size <= _PART:
                    content = _exactly(body, size, address)
                    self._at_once(named, described, content, if_absent=if_absent)
                else:
                    self._in_parts(named, described, body, size, if_absent=if_absent)
            except ClientError as error:
                if if_absent and code_of(error) in (
                    "PreconditionFailed",
                    "ConditionalRequestConflict",
                    "412",
                ):
                    raise _conflict(address) from error
                raise
        made = self._store.stat(address)
        if made is None or made.size != size:
            there = "nothing" if made is None else f"{made.size} bytes"
            raise StoreError(
                f"{address.uri}: the store has {there} of the {size} bytes that it confirmed",
                hint="try again",
            )
        return made

    def _at_once(
        self, named: dict[str, Any], described: dict[str, Any], content: bytes, *, if_absent: bool
    ) -> None:
        request = {**named, **described, "Body": content, "ContentMD5": _md5(content)}
        condition = self._condition("PutObject", if_absent)
        try:
            self._client.put_object(**request, **condition)
        except ClientError as error:
            if not condition or self._proven or not knows_not(error):
                raise
            # It was looked at before.
            self._client.put_object(**request)

    def _in_parts(
        self, named: dict[str, Any], described: dict[str, Any], body: BinaryIO, size: int, *, if_absent: bool
    ) -> None:
        step = max(_PART, -(-size // MOST_PARTS))
        started = self._client.create_multipart_upload(**named, **described)
        part_of: dict[str, Any] = {**named, "UploadId": started["UploadId"]}
        address = ObjectAddress(named["Bucket"], named["Key"])
        try:
            parts: list[CompletedPartTypeDef] = []
            for number, start in enumerate(range(0, size, step), start=1):
                content = _exactly(body, min(step, size - start), address)
                made = self._client.upload_part(
                    **part_of, PartNumber=number, Body=content, ContentMD5=_md5(content)
                )
                parts.append({"PartNumber": number, "ETag": made["ETag"]})
            condition = self._condition("CompleteMultipartUpload", if_absent)
            self._client.complete_multipart_upload(**part_of, **condition, MultipartUpload={"Parts": parts})
        except BaseException:
            # Parts that nobody completes are paid for, and shown by no listing.
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**part_of)
            raise

    def _condition(self, operation: str, if_absent: bool) -> dict[str, Any]:
        wanted = if_absent and "IfNoneMatch" in parameters_of(self._client, operation)
        return {"IfNoneMatch": "*"} if wanted else {}


def _exactly(body: BinaryIO, size: int, address: ObjectAddress) -> bytes:
    content = body.read(size)
    if len(content) != size:
        raise StoreError(f"the payload for {address.uri} came with {len(content)} bytes instead of {size}")
    return content


def _described(description: Description) -> dict[str, Any]:
    described: dict[str, Any] = {}
    if description.content_type:
        described["ContentType"] = description.content_type
    if description.content_encoding:
        described["ContentEncoding"] = description.content_encoding
    if description.metadata:
        described["Metadata"] = dict(description.metadata)
    return described


def _md5(content: bytes) -> str:
    # Buckets with a default retention demand it, and the store checks it.
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _conflict(address: ObjectAddress) -> ConflictError:
    return ConflictError(
        f"{address.uri} exists already", hint="look for another program that writes there, and try again"
    )
