"""What the user may do below a root, told by requests that change nothing whether they are allowed or not."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from xcomctl.errors import StoreError, XcomctlError
from xcomctl.models import RESERVED_FOLDER, Root
from xcomctl.s3.errors import Request, UnreachableError, is_denied, status_of, translate_s3_errors
from xcomctl.s3.interface import StoreRight
from xcomctl.s3.versions import versioning_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NO_TELLING = "deletions leave a marker in a bucket that keeps versions, so that this is not tried"


def rights_below(client: S3Client, root: Root, request: Request) -> list[StoreRight]:
    """Whether objects can be listed, read, written and deleted. `request` is any one about the bucket.

    Read is asked of the first object that is listed. A write is asked for by completing an upload that never began; a
    deletion, where no versions are kept, by deleting a key that never was. Raises UnreachableError.
    """
    return list(_Asking(client, root, request).rights())


class _Asking:
    def __init__(self, client: S3Client, root: Root, request: Request) -> None:
        self._client = client
        self._root = root
        self._request = request
        self._nowhere = root.at(f"{RESERVED_FOLDER}probe/{uuid.uuid4().hex}").key

    def rights(self) -> list[StoreRight]:
        """Every right, in the order in which they are needed."""
        listed: list[str] = []
        found = [self._right("s3:ListBucket", lambda: listed.extend(self._first()))]
        if listed:
            found.append(self._right("s3:GetObject", lambda: self._read(listed[0])))
        else:
            cause = "there is no object that could be read" if found[0].granted == "yes" else found[0].cause
            found.append(StoreRight("s3:GetObject", "unknown", cause))
        found.append(self._right("s3:PutObject", self._complete_nothing))
        found.append(self._deletion())
        return found

    def _first(self) -> list[str]:
        answer = self._client.list_objects_v2(Bucket=self._root.bucket, Prefix=self._root.prefix, MaxKeys=1)
        return [item["Key"] for item in answer.get("Contents", [])]

    def _read(self, key: str) -> None:
        self._client.head_object(Bucket=self._root.bucket, Key=key)

    def _complete_nothing(self) -> None:
        """Complete an upload that nobody began: whoever may write is told that there is none."""
        self._client.complete_multipart_upload(
            Bucket=self._root.bucket,
            Key=self._nowhere,
            UploadId=uuid.uuid4().hex,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]},
        )

    def _deletion(self) -> StoreRight:
        request = replace(self._request, right="s3:GetBucketVersioning")
        said = versioning_of(self._client, request)
        if said != "off":
            return StoreRight("s3:DeleteObject", "unknown", _NO_TELLING)
        return self._right(
            "s3:DeleteObject",
            lambda: self._client.delete_object(Bucket=self._root.bucket, Key=self._nowhere),
        )

    def _right(self, name: str, ask: Callable[[], object]) -> StoreRight:
        request = replace(self._request, right=name)
        try:
            with translate_s3_errors(request):
                ask()
        except UnreachableError:
            raise
        except XcomctlError as error:
            cause = error.__cause__
            if isinstance(cause, ClientError) and is_denied(cause):
                return StoreRight(name, "no", str(error), error.hint)
            if name == "s3:PutObject" and isinstance(cause, ClientError) and status_of(cause) < 500:
                # Whatever else is said of an upload that does not exist, it is not that we may not write.
                return StoreRight(name, "yes")
            if isinstance(error, StoreError):
                return StoreRight(name, "unknown", str(error), error.hint)
            # What was listed is gone by now: it was looked for, and so could be read.
            return StoreRight(name, "yes")
        return StoreRight(name, "yes")
