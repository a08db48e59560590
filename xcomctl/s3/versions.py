"""Versions and delete markers of one key of an S3 store that keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from xcomctl.errors import StoreError
from xcomctl.models import ObjectAddress
from xcomctl.s3.errors import Request, is_denied, knows_not, translate_s3_errors
from xcomctl.s3.interface import ObjectVersion

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def versioning_of(client: S3Client, request: Request) -> str | None:
    """What the bucket says of itself: `off`, `enabled`, `suspended`; None if it does not let us ask. Raises StoreError."""
    return versioning_and_mfa(client, request)[0]


def versioning_and_mfa(client: S3Client, request: Request) -> tuple[str | None, bool]:
    """`versioning_of`, and whether removing a version needs a second factor. Raises StoreError."""
    with translate_s3_errors(request):
        try:
            answer = client.get_bucket_versioning(Bucket=request.bucket)
        except ClientError as error:
            if knows_not(error):
                return "off", False
            if is_denied(error):
                return None, False
            raise
    return answer.get("Status", "off").lower(), answer.get("MFADelete") == "Enabled"


def versions_of(client: S3Client, address: ObjectAddress, request: Request) -> list[ObjectVersion]:
    """All versions and delete markers of one key, newest first. Raises StoreError, also for half a list."""
    found: list[ObjectVersion] = []
    after: dict[str, Any] = {}
    while True:
        with translate_s3_errors(request):
            page = client.list_object_versions(Bucket=address.bucket, Prefix=address.key, **after)
        ours = [_version(address, item, False) for item in page.get("Versions", []) if _is_of(item, address)]
        ours += [
            _version(address, item, True) for item in page.get("DeleteMarkers", []) if _is_of(item, address)
        ]
        found += ours
        # A key comes before all longer ones that begin with it: where those begin, there is no more of ours.
        others = len(page.get("Versions", [])) + len(page.get("DeleteMarkers", [])) > len(ours)
        if others or not page.get("IsTruncated"):
            # A marker and the version that it hides may be of one second.
            return sorted(found, key=lambda v: (v.is_latest, v.last_modified, v.is_marker), reverse=True)
        following = {
            "KeyMarker": page.get("NextKeyMarker"),
            "VersionIdMarker": page.get("NextVersionIdMarker"),
        }
        following = {name: value for name, value in following.items() if value}
        if not following or following == after:
            raise StoreError(
                f"incomplete list of the versions of {address.uri}", hint="try again; nothing was changed"
            )
        after = following


def _is_of(item: Any, address: ObjectAddress) -> bool:
    return bool(item["Key"] == address.key)


def _version(address: ObjectAddress, item: Any, is_marker: bool) -> ObjectVersion:
    return ObjectVersion(
        address=address,
        version_id=item["VersionId"],
        is_latest=item["IsLatest"],
        is_marker=is_marker,
        size=0 if is_marker else item["Size"],
        etag="" if is_marker else item["ETag"].strip('"'),
        last_modified=item["LastModified"],
    )
