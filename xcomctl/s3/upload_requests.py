"""Unfinished multipart uploads of an S3 store: listed, weighed and aborted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from xcomctl.errors import DeclinedError, XcomctlError
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.errors import (
    Request,
    UnreachableError,
    code_of,
    is_denied,
    status_of,
    translate_s3_errors,
    was_repeated,
)
from xcomctl.s3.interface import MOST_PARTS
from xcomctl.s3.parallel import in_parallel
from xcomctl.s3.uploads import AbortOutcome, Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NO_SUCH_UPLOAD = "NoSuchUpload"

_PARTS_A_PAGE = 1000


class UploadRequests:
    """Asks the store about uploads; may be used from several threads."""

    def __init__(self, client: S3Client, endpoint: str) -> None:
        self._client = client
        self._endpoint = endpoint

    def pages(self, root: Root) -> Iterator[list[Upload]]:
        """Every unfinished upload below a root; see `s3.uploads.UploadStore.uploads`."""
        request = Request("s3:ListBucketMultipartUploads", self._endpoint, root.bucket)
        after: dict[str, str] = {}
        encoding: dict[str, str] = {}
        while True:
            with _declining(request):
                try:
                    page = self._page(root, {**encoding, **after})
                except ClientError as error:
                    # XML cannot hold every character of a key; botocore takes what it cannot read for an error of the
                    # server. Keys are not asked for encoded at once: SeaweedFS says that they are where they are not, so
                    # that a plus or a percent of their own would be lost.
                    if encoding or status_of(error) < 500:
                        raise
                    encoding = {"EncodingType": "url"}
                    page = self._page(root, {**encoding, **after})
            decode = unquote_plus if encoding and page.get("EncodingType") == "url" else str
            found = [
                Upload(
                    ObjectAddress(root.bucket, decode(item["Key"])),
                    item["UploadId"],
                    item["Initiated"].astimezone(timezone.utc),
                )
                for item in page.get("Uploads", ())
            ]
            # Not every product looks at the prefix.
            yield [upload for upload in found if upload.address.key.startswith(root.prefix)]
            if not page.get("IsTruncated"):
                return
            following = {
                "KeyMarker": decode(page.get("NextKeyMarker") or ""),
                "UploadIdMarker": page.get("NextUploadIdMarker") or "",
            }
            following = {name: value for name, value in following.items() if value}
            if not following or following == after:
                raise DeclinedError(
                    f"incomplete list of the unfinished uploads below {root.uri}", hint="try again"
                )
            after = following

    def _page(self, root: Root, more: dict[str, Any]) -> Any:
        return self._client.list_multipart_uploads(Bucket=root.bucket, Prefix=root.prefix, **more)

    def weigh(self, uploads: Sequence[Upload]) -> list[Upload | None]:
        """With the bytes of their parts; see `s3.uploads.UploadStore.weigh_uploads`."""
        return in_parallel(self._weighed, uploads, lambda upload, _: upload)

    def _weighed(self, upload: Upload) -> Upload | None:
        size = 0
        after: dict[str, Any] = {}
        for _ in range(MOST_PARTS // _PARTS_A_PAGE):
            with translate_s3_errors(self._request("s3:ListMultipartUploadParts", upload)):
                try:
                    page: Any = self._client.list_parts(**_named(upload), **after)
                except ClientError as error:
                    if code_of(error) == _NO_SUCH_UPLOAD:
                        return None
                    raise
            size += sum(part["Size"] for part in page.get("Parts", ()))
            if not page.get("IsTruncated"):
                return replace(upload, size=size)
            after = {"PartNumberMarker": page["NextPartNumberMarker"]}
        return upload

    def abort(self, uploads: Sequence[Upload]) -> list[AbortOutcome]:
        """Abort them; see `s3.uploads.UploadStore.abort_uploads`."""
        return in_parallel(self._aborted, uploads, _failed)

    def _aborted(self, upload: Upload) -> AbortOutcome:
        with translate_s3_errors(self._request("s3:AbortMultipartUpload", upload)):
            try:
                self._client.abort_multipart_upload(**_named(upload))
            except ClientError as error:
                if code_of(error) != _NO_SUCH_UPLOAD:
                    raise
                # The answer to an earlier attempt may have been lost.
                return AbortOutcome(upload, "aborted" if was_repeated(error) else "gone")
        return AbortOutcome(upload, "aborted")

    def _request(self, right: str, upload: Upload) -> Request:
        return Request(right, self._endpoint, upload.address.bucket, upload.address.key)


def _named(upload: Upload) -> dict[str, Any]:
    return {"Bucket": upload.address.bucket, "Key": upload.address.key, "UploadId": upload.upload_id}


def _failed(upload: Upload, error: XcomctlError) -> AbortOutcome:
    cause = error.__cause__
    denied = isinstance(cause, ClientError) and is_denied(cause)
    return AbortOutcome(upload, "denied" if denied else "failed", str(error), error.hint)


@contextmanager
def _declining(request: Request) -> Iterator[None]:
    """Whatever the store answers to such a question, it is not out of reach."""
    try:
        with translate_s3_errors(request):
            yield
    except UnreachableError:
        raise
    except XcomctlError as error:
        raise DeclinedError(str(error), hint=error.hint) from error
