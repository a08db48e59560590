"""The settings of an S3 bucket. What a server does not know counts as not set; what it denies is an answer, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timezone
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from botocore.exceptions import ClientError

from xcomctl.errors import StoreError
from xcomctl.s3.errors import Request, code_of, is_denied, knows_not, status_of, translate_s3_errors
from xcomctl.s3.interface import BucketSettings, LifecycleRule, StoreErrorInfo

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

T = TypeVar("T")

_NOT_AT_ONCE = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects have to be restored before they can be read."""

_UNSET_CODES = frozenset(
    {
        "NoSuchLifecycleConfiguration",
        "ObjectLockConfigurationNotFoundError",
        "ServerSideEncryptionConfigurationNotFoundError",
        "NoSuchEncryptionConfiguration",
    }
)


def bucket_settings(client: S3Client, request: Request) -> BucketSettings:
    """Ask for every setting. `request` is any one about the bucket. Raises StoreError where it cannot be reached."""
    bucket = request.bucket

    def asked(right: str, ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | StoreErrorInfo:
        return _asked(replace(request, right=right), ask)

    versioning = asked("s3:GetBucketVersioning", lambda: client.get_bucket_versioning(Bucket=bucket))
    lock = asked(
        "s3:GetBucketObjectLockConfiguration",
        lambda: client.get_object_lock_configuration(Bucket=bucket),
    )
    encryption = asked("s3:GetEncryptionConfiguration", lambda: client.get_bucket_encryption(Bucket=bucket))
    lifecycle = asked(
        "s3:GetLifecycleConfiguration",
        lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket),
    )
    algorithm = _told(encryption, _default_encryption)
    return BucketSettings(
        versioning=_told(versioning, _versioning),
        mfa_delete=_told(versioning, lambda answer: answer.get("MFADelete")) == "Enabled",
        object_lock=_told(
            lock,
            lambda answer: answer.get("ObjectLockConfiguration", {}).get("ObjectLockEnabled") == "Enabled",
        ),
        encryption=algorithm if isinstance(algorithm, StoreErrorInfo) else algorithm.get("SSEAlgorithm"),
        encryption_key=None if isinstance(algorithm, StoreErrorInfo) else algorithm.get("KMSMasterKeyID"),
        lifecycle=_told(lifecycle, lambda answer: tuple(_rules(answer))),
    )


def _asked(request: Request, ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | StoreErrorInfo:
    """The answer; nothing in it where nothing is set, or the server does not know the question."""
    try:
        with translate_s3_errors(request):
            try:
                return ask()
            except ClientError as error:
                if code_of(error) in _UNSET_CODES or knows_not(error):
                    return {}
                # Some servers fail on what they do not know. Without the bucket nothing below makes sense.
                if is_denied(error) or status_of(error) >= 500:
                    raise
                if code_of(error) == "NoSuchBucket":
                    raise
                return {}
    except StoreError as error:
        cause = error.__cause__
        if isinstance(cause, ClientError) and code_of(cause) != "NoSuchBucket":
            return StoreErrorInfo(str(error), error.hint)
        raise


def _told(
    answer: Mapping[str, Any] | StoreErrorInfo, read: Callable[[Mapping[str, Any]], T]
) -> T | StoreErrorInfo:
    return answer if isinstance(answer, StoreErrorInfo) else read(answer)


def _versioning(answer: Mapping[str, Any]) -> Literal["off", "enabled", "suspended"]:
    match str(answer.get("Status", "")).lower():
        case "enabled":
            return "enabled"
        case "suspended":
            return "suspended"
        case _:
            return "off"


def _default_encryption(answer: Mapping[str, Any]) -> Mapping[str, str]:
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    found: Mapping[str, str] = next(
        (rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules), {}
    )
    return found


def _rules(answer: Mapping[str, Any]) -> Iterator[LifecycleRule]:
    for number, rule in enumerate(answer.get("Rules", []), start=1):
        if rule.get("Status") != "Enabled":
            continue
        # A filter holds one condition, or several below `And`. Old rules have a prefix of their own instead.
        given = rule.get("Filter", {})
        conditions = {**given, **given.get("And", {})}
        expiration = rule.get("Expiration", {})
        at = expiration.get("Date")
        moved = [one for one in rule.get("Transitions", []) if one.get("StorageClass") in _NOT_AT_ONCE]
        # From the first one on they cannot be read.
        moved.sort(key=lambda one: one.get("Days", 0))
        yield LifecycleRule(
            name=rule.get("ID") or f"rule {number}",
            prefix=conditions.get("Prefix") or rule.get("Prefix") or "",
            tagged="Tag" in conditions or bool(conditions.get("Tags")),
            more_than=conditions.get("ObjectSizeGreaterThan"),
            less_than=conditions.get("ObjectSizeLessThan"),
            expire_days=expiration.get("Days"),
            expire_at=None if at is None else at.astimezone(timezone.utc),
            noncurrent_days=rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
            moved_days=moved[0].get("Days", 0) if moved else None,
            moved_to=moved[0]["StorageClass"] if moved else None,
        )
