"""Copying objects inside an S3 store: only what is still as described, and only confirmed by the store afterwards."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from botocore.exceptions import BotoCoreError, ClientError

from xcomctl.errors import StoreError, XcomctlError
from xcomctl.models import ObjectAddress
from xcomctl.s3.delete import as_judged
from xcomctl.s3.errors import (
    ABSENT_CODES,
    Request,
    code_of,
    knows_not,
    parameters_of,
    translate_s3_errors,
    was_repeated,
)
from xcomctl.s3.interface import MOST_PARTS, Copy, CopyOutcome, ObjectInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, HeadObjectOutputTypeDef

_LARGEST_SINGLE = 5 << 30
"""S3 copies no more in one request."""

_PART = 512 << 20

_DESCRIPTIVE = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "ContentType",
    "Expires",
    "Metadata",
    "WebsiteRedirectLocation",
)
"""What describes a payload and goes along by itself in a single copy, but not in one that is made of parts."""

_REFUSED_CODES = ("PreconditionFailed", "412")

Head = Callable[[ObjectAddress], "HeadObjectOutputTypeDef | None"]
"""Asks the store for the headers of an object; None only if there is none. Raises StoreError."""


def info_of(address: ObjectAddress, head: HeadObjectOutputTypeDef) -> ObjectInfo:
    """The object as its headers describe it. Raises StoreError where they do not."""
    if "ETag" not in head:
        raise StoreError(
            f"the store tells no ETag of {address.uri}", hint="check --endpoint-url, and the proxy before it"
        )
    return ObjectInfo(address, head["ContentLength"], head["ETag"].strip('"'), head["LastModified"])


class Copier:
    """Makes one copy after the other; may be used from several threads."""

    def __init__(self, client: S3Client, head: Head, endpoint: str) -> None:
        self._client = client
        self._head = head
        self._endpoint = endpoint
        # Releases of botocore and products that do not know this condition copy without; then the HEAD before must do.
        self._conditional = "IfNoneMatch" in parameters_of(client, "CopyObject")

    def copy(self, wanted: Copy) -> CopyOutcome:
        """Make one copy, and have it confirmed. Raises StoreError where the store cannot be asked."""
        head = self._head(wanted.source.address)
        reason = as_judged(wanted.source, head and info_of(wanted.source.address, head))
        if reason is not None or head is None:
            return CopyOutcome(wanted, "gone" if head is None else "changed")
        if wanted.if_absent and (there := self._info(wanted.target)) is not None:
            return CopyOutcome(wanted, "exists", there)
        with translate_s3_errors(
            Request("s3:PutObject", self._endpoint, wanted.target.bucket, wanted.target.key)
        ):
            try:
                if wanted.source.size > _LARGEST_SINGLE:
                    self._in_parts(wanted, head)
                else:
                    self._at_once(wanted, head)
            except ClientError as error:
                if code_of(error) not in (*_REFUSED_CODES, *ABSENT_CODES):
                    raise
                refused = self._refused(wanted, error)
                if refused is not None:
                    return refused
        return self._confirmed(wanted)

    def _at_once(self, wanted: Copy, head: HeadObjectOutputTypeDef) -> None:
        request: dict[str, Any] = {**_from(wanted), **_to(wanted), **_kept(head)}
        if wanted.if_absent and self._conditional:
            try:
                self._client.copy_object(**request, IfNoneMatch="*")
                return
            except ClientError as error:
                if not knows_not(error):
                    raise
                self._conditional = False
        self._client.copy_object(**request)

    def _in_parts(self, wanted: Copy, head: HeadObjectOutputTypeDef) -> None:
        size = wanted.source.size
        step = max(_PART, -(-size // MOST_PARTS))
        described: dict[str, Any] = {name: value for name, value in head.items() if name in _DESCRIPTIVE}
        started = self._client.create_multipart_upload(
            **_to(wanted), **_kept(head), **described, **self._tagging(wanted.source.address)
        )
        named: dict[str, Any] = {**_to(wanted), "UploadId": started["UploadId"]}
        try:
            parts: list[CompletedPartTypeDef] = []
            for number, start in enumerate(range(0, size, step), start=1):
                span = f"bytes={start}-{min(start + step, size) - 1}"
                made = self._client.upload_part_copy(
                    **named, **_from(wanted), PartNumber=number, CopySourceRange=span
                )
                parts.append({"PartNumber": number, "ETag": made["CopyPartResult"]["ETag"]})
            conditional = wanted.if_absent and "IfNoneMatch" in parameters_of(
                self._client, "CompleteMultipartUpload"
            )
            condition: dict[str, Any] = {"IfNoneMatch": "*"} if conditional else {}
            self._client.complete_multipart_upload(**named, **condition, MultipartUpload={"Parts": parts})
        except BaseException:
            # Parts that nobody completes are paid for, and shown by no listing.
            with suppress(BotoCoreError, ClientError):
                self._client.abort_multipart_upload(**named)
            raise

    def _tagging(self, address: ObjectAddress) -> dict[str, Any]:
        try:
            tags = self._client.get_object_tagging(Bucket=address.bucket, Key=address.key)["TagSet"]
        except ClientError as error:
            if knows_not(error):
                return {}
            raise
        return {"Tagging": urlencode([(tag["Key"], tag["Value"]) for tag in tags])} if tags else {}

    def _refused(self, wanted: Copy, error: ClientError) -> CopyOutcome | None:
        """What a refusal means; None if it is that our own copy is there, of which the first answer was lost."""
        found = self._info(wanted.source.address)
        reason = as_judged(wanted.source, found)
        there = self._info(wanted.target) if wanted.if_absent else None
        if there is not None and was_repeated(error) and _same_content(wanted.source, there):
            return None
        if reason is not None:
            return CopyOutcome(wanted, "gone" if found is None else "changed")
        if there is not None:
            return CopyOutcome(wanted, "exists", there)
        return CopyOutcome(wanted, "failed", cause=f"the store refused to copy ({code_of(error)})")

    def _confirmed(self, wanted: Copy) -> CopyOutcome:
        made = self._info(wanted.target)
        if made is None:
            return CopyOutcome(wanted, "failed", cause="the store does not have the copy that it confirmed")
        if made.size != wanted.source.size:
            return CopyOutcome(
                wanted, "failed", cause=f"the copy has {made.size} bytes instead of {wanted.source.size}"
            )
        # Equal etags are equal content. Where keys or parts make them differ, the source must be what it was: not every
        # product looks at the condition.
        if made.etag != wanted.source.etag:
            found = self._info(wanted.source.address)
            if as_judged(wanted.source, found) is not None:
                return CopyOutcome(wanted, "gone" if found is None else "changed")
        return CopyOutcome(wanted, "copied", made)

    def _info(self, address: ObjectAddress) -> ObjectInfo | None:
        head = self._head(address)
        return None if head is None else info_of(address, head)


def failed(wanted: Copy, error: XcomctlError) -> CopyOutcome:
    """The outcome of a copy that the store could not be asked for, or denied."""
    return CopyOutcome(wanted, "failed", cause=str(error))


def _same_content(source: ObjectInfo, there: ObjectInfo) -> bool:
    return (source.size, source.etag) == (there.size, there.etag)


def _from(wanted: Copy) -> dict[str, Any]:
    source = wanted.source
    return {
        "CopySource": {"Bucket": source.address.bucket, "Key": source.address.key},
        "CopySourceIfMatch": f'"{source.etag}"',
    }


def _to(wanted: Copy) -> dict[str, Any]:
    return {"Bucket": wanted.target.bucket, "Key": wanted.target.key}


def _kept(head: HeadObjectOutputTypeDef) -> dict[str, Any]:
    """What S3 would set anew for a copy: the storage class, and a key of the owner's own for encryption."""
    kept: dict[str, Any] = {}
    if head.get("StorageClass"):
        kept["StorageClass"] = head["StorageClass"]
    if str(head.get("ServerSideEncryption", "")).startswith("aws:kms"):
        kept["ServerSideEncryption"] = head["ServerSideEncryption"]
        kept |= {name: value for name, value in head.items() if name in ("SSEKMSKeyId", "BucketKeyEnabled")}
    return kept
