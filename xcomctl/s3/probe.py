"""What a bucket can do, found out by doing it to scratch objects. No vendor's name and no promise is believed."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from xcomctl.errors import StoreError, XcomctlError
from xcomctl.models import RESERVED_FOLDER, Root
from xcomctl.s3.errors import ABSENT_CODES, Request, code_of, is_denied, knows_not, translate_s3_errors
from xcomctl.s3.interface import Capabilities
from xcomctl.s3.versions import versioning_and_mfa, versions_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Versioning = Literal["off", "enabled", "suspended"]

_OTHER_ETAG = '"00000000000000000000000000000000"'


def probe(client: S3Client, root: Root, request: Request) -> Capabilities:
    """Try everything out below `<root>/.xcomctl/probe/`. `request` is any one about this bucket. Raises StoreError.

    What the store cannot do, it does not know (501, 405, or 400), or does although the condition does not hold. A right
    that is missing is an error: who may not write here cannot collect here either. Only the questions about the
    bucket itself may be denied; then versioning is what a scratch object shows, and an Object Lock is assumed where
    versions are kept.
    """
    scratch = _Scratch(client, root, request)
    versioning: Versioning | None = None
    try:
        said, mfa_delete = versioning_and_mfa(client, replace(request, right="s3:GetBucketVersioning"))
        puts = scratch.refuses_puts()
        deletes = scratch.refuses_deletes()
        batches = scratch.refuses_batches()
        versioning = scratch.versioning(said)
        return Capabilities(
            versioning=versioning,
            object_lock=versioning != "off" and _has_object_lock(client, request),
            mfa_delete=mfa_delete,
            conditional_put=puts,
            conditional_delete=deletes,
            conditional_batch=batches,
        )
    finally:
        scratch.remove(versions=versioning != "off")


def _has_object_lock(client: S3Client, request: Request) -> bool:
    with translate_s3_errors(replace(request, right="s3:GetBucketObjectLockConfiguration")):
        try:
            answer = client.get_object_lock_configuration(Bucket=request.bucket)
        except ClientError as error:
            if is_denied(error):
                return True
            if knows_not(error) or code_of(error) in ("ObjectLockConfigurationNotFoundError", *ABSENT_CODES):
                return False
            raise
    return answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled"


class _Scratch:
    """Objects of our own to try things out on."""

    def __init__(self, client: S3Client, root: Root, request: Request) -> None:
        self._client = client
        self._request = request
        self._root = root
        self._folder = f"{RESERVED_FOLDER}probe/{uuid.uuid4().hex}"
        self._written: list[str] = []

    def refuses_puts(self) -> bool:
        """Whether conditions of a PUT are looked at: both kinds, held and not held."""
        key, new = self._key("put"), self._key("new")
        etag = self._put(key)
        return (
            self._is_refused(lambda: self._put(key, IfNoneMatch="*"))
            and self._is_refused(lambda: self._put(key, IfMatch=_OTHER_ETAG))
            and not self._is_refused(lambda: self._put(key, IfMatch=etag))
            and not self._is_refused(lambda: self._put(new, IfNoneMatch="*"))
        )

    def refuses_deletes(self) -> bool:
        """Whether a single deletion looks at `If-Match`."""
        key = self._key("delete")
        etag = self._put(key)
        return (
            self._is_refused(lambda: self._delete(key, IfMatch=_OTHER_ETAG))
            and self._exists(key)
            and not self._is_refused(lambda: self._delete(key, IfMatch=etag))
            and not self._exists(key)
        )

    def refuses_batches(self) -> bool:
        """Whether a batch deletion looks at the ETag of each key."""
        key = self._key("batch")
        etag = self._put(key)
        return (
            self._is_refused(lambda: self._delete_batch(key, _OTHER_ETAG))
            and self._exists(key)
            and not self._is_refused(lambda: self._delete_batch(key, etag))
            and not self._exists(key)
        )

    def versioning(self, said: str | None) -> Versioning:
        """What a deletion leaves behind. Raises StoreError where that is not what the bucket says of itself."""
        key = self._key("versions")
        self._put(key)
        answer = self._delete(key)
        if answer.get("DeleteMarker"):
            return "suspended" if answer.get("VersionId", "null") == "null" else "enabled"
        if said == "enabled":
            raise StoreError(
                f"the bucket {self._request.bucket!r} says that it keeps versions, but kept none of an object that was"
                " deleted just now",
                hint="if versioning was enabled just now, wait 15 minutes",
            )
        return "suspended" if said == "suspended" else "off"

    def remove(self, *, versions: bool) -> None:
        """Remove every trace, as far as the store lets us; whatever is left is tiny, and nobody's candidate."""
        for key in self._written:
            address = self._root.at(key)
            with suppress(BotoCoreError, ClientError):
                self._client.delete_object(Bucket=address.bucket, Key=address.key)
            if not versions:
                continue
            with suppress(XcomctlError, BotoCoreError, ClientError):
                for version in versions_of(self._client, address, self._request):
                    self._client.delete_object(
                        Bucket=address.bucket, Key=address.key, VersionId=version.version_id
                    )

    def _key(self, purpose: str) -> str:
        key = f"{self._folder}-{purpose}"
        self._written.append(key)
        return key

    def _named(self, key: str) -> dict[str, Any]:
        address = self._root.at(key)
        return {"Bucket": address.bucket, "Key": address.key}

    def _asking(self, right: str, key: str) -> Request:
        return replace(self._request, right=right, key=self._root.at(key).key)

    def _put(self, key: str, **condition: Any) -> str:
        """The etag of what was written, as a condition names it."""
        with translate_s3_errors(self._asking("s3:PutObject", key)):
            answer = self._client.put_object(
                **self._named(key),
                Body=b"",
                # Buckets with a default retention demand it.
                ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==",
                **condition,
            )
        return answer["ETag"]

    def _delete(self, key: str, **condition: Any) -> dict[str, Any]:
        with translate_s3_errors(self._asking("s3:DeleteObject", key)):
            return dict(self._client.delete_object(**self._named(key), **condition))

    def _delete_batch(self, key: str, etag: str) -> None:
        with translate_s3_errors(self._asking("s3:DeleteObject", key)):
            answer = self._client.delete_objects(
                Bucket=self._root.bucket, Delete={"Objects": [{"Key": self._root.at(key).key, "ETag": etag}]}
            )
            for error in answer.get("Errors", []):
                raise ClientError({"Error": {"Code": error.get("Code", "")}}, "DeleteObjects")

    def _exists(self, key: str) -> bool:
        with translate_s3_errors(self._asking("s3:GetObject", key)):
            try:
                self._client.head_object(**self._named(key))
            except ClientError as error:
                if code_of(error) not in ABSENT_CODES:
                    raise
                return False
        return True

    def _is_refused(self, ask: Callable[[], object]) -> bool:
        """Whether the store refuses what `ask` asks for because of its condition. Raises StoreError for other failures.

        What the store does not know counts as not refused where it should be, and as refused where it should not.
        """
        try:
            ask()
        except XcomctlError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError):
                if code_of(cause) in ("PreconditionFailed", "412"):
                    return True
                if knows_not(cause):
                    return False
            raise
        return False
