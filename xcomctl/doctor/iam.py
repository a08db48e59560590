"""The AWS policies that are enough: who reads, and who collects; and the one that lets nobody else write our records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from xcomctl.models import RESERVED_FOLDER, Root, outermost
from xcomctl.state.ownership import roots_above

Purpose = Literal["read-only", "gc"]

_READ_BUCKET = (
    "s3:GetBucketVersioning",
    "s3:GetBucketObjectLockConfiguration",
    "s3:GetEncryptionConfiguration",
    "s3:GetLifecycleConfiguration",
    # It knows no condition on the prefix.
    "s3:ListBucketMultipartUploads",
)
_READ_OBJECTS = ("s3:GetObject", "s3:ListMultipartUploadParts")
_COLLECT = (
    "s3:PutObject",
    "s3:DeleteObject",
    # A copy takes the tags along, and a large one is made in parts; parts that nobody completed are aborted.
    "s3:GetObjectTagging",
    "s3:PutObjectTagging",
    "s3:AbortMultipartUpload",
)
_COLLECT_VERSIONS = ("s3:DeleteObjectVersion",)
_WRITE_RECORDS = (
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:DeleteObjectVersion",
    # A lifecycle rule may expire what has a tag.
    "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging",
)
_KEY = {"read-only": ("kms:Decrypt",), "gc": ("kms:Decrypt", "kms:GenerateDataKey")}


def policy_document(
    roots: Sequence[Root], purpose: Purpose, *, versioned: Sequence[str] = (), keys: Sequence[str] = ()
) -> dict[str, Any]:
    """The policy for these roots. `versioned` are the buckets that keep versions, `keys` the ARNs of keys of KMS.

    A collection also writes below the roots: what a row references again comes back from the trash.
    """
    return {
        "Version": "2012-10-17",
        "Statement": list(_statements(outermost(roots), purpose, versioned, keys)),
    }


def _statements(
    roots: Sequence[Root], purpose: Purpose, versioned: Sequence[str], keys: Sequence[str]
) -> Iterator[dict[str, Any]]:
    buckets = list(dict.fromkeys(root.bucket for root in roots))
    for number, bucket in enumerate(buckets, start=1):
        listing = ["s3:ListBucket", *(["s3:ListBucketVersions"] if bucket in versioned else [])]
        prefixes = [root.prefix for root in roots if root.bucket == bucket]
        statement: dict[str, Any] = {
            "Sid": f"List{number}",
            "Effect": "Allow",
            "Action": listing,
            "Resource": f"arn:aws:s3:::{bucket}",
        }
        if "" not in prefixes:
            # IfExists: the question whether the bucket, or an object, is there names no prefix.
            statement["Condition"] = {
                "StringLikeIfExists": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}
            }
        yield statement
        yield {
            "Sid": f"Settings{number}",
            "Effect": "Allow",
            "Action": list(_READ_BUCKET),
            "Resource": f"arn:aws:s3:::{bucket}",
        }
        objects = [*_READ_OBJECTS]
        if purpose == "gc":
            objects += [*_COLLECT, *(_COLLECT_VERSIONS if bucket in versioned else ())]
        yield {
            "Sid": f"Objects{number}",
            "Effect": "Allow",
            "Action": objects,
            "Resource": [f"arn:aws:s3:::{bucket}/{prefix}*" for prefix in prefixes],
        }
        above = sorted({one.prefix for root in roots if root.bucket == bucket for one in roots_above(root)})
        if above:
            # Whether another deployment owns what lies around a root, or is at work there.
            yield {
                "Sid": f"Above{number}",
                "Effect": "Allow",
                "Action": ["s3:GetObject"],
                "Resource": [
                    f"arn:aws:s3:::{bucket}/{prefix}{RESERVED_FOLDER}{record}"
                    for prefix in above
                    for record in ("owner.json", "lock.json")
                ],
            }
    if keys:
        yield {"Sid": "Keys", "Effect": "Allow", "Action": list(_KEY[purpose]), "Resource": list(keys)}


def records_policy(roots: Sequence[Root], collectors: Sequence[str]) -> dict[str, Any]:
    """The policy of the bucket of these roots by which only `collectors`, ARNs of roles or users, write below `.xcomctl/`.

    It allows nothing: it denies to all others, whatever their own policies say. Who assumes a role is known by its ARN.
    """
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "OnlyCollectorsWriteRecords",
                "Effect": "Deny",
                "Principal": "*",
                "Action": list(_WRITE_RECORDS),
                "Resource": [f"arn:aws:s3:::{root.bucket}/{root.prefix}{RESERVED_FOLDER}*" for root in roots],
                # Also true of a request that tells no principal.
                "Condition": {"ArnNotLike": {"aws:PrincipalArn": list(collectors)}},
            }
        ],
    }
