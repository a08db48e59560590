"""Which request to an S3 store it is, told from the request as it came."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from tests.services.scripted_store import Asked
from xcomctl.models import RESERVED_FOLDER


def is_listing(asked: Asked) -> bool:
    """A page of a listing."""
    return asked.query.get("list-type") == "2"


def is_listing_of_objects(asked: Asked) -> bool:
    """A page of a listing of objects, and not of what the tool keeps for itself, which is asked for at the same time."""
    return is_listing(asked) and RESERVED_FOLDER not in asked.query.get("prefix", "")


def is_batch_deletion(asked: Asked) -> bool:
    """A DeleteObjects."""
    return asked.method == "POST" and "delete" in asked.query


def is_deletion(asked: Asked) -> bool:
    """A deletion of one object or of a batch."""
    return (asked.method == "DELETE" and not aborts_upload(asked)) or is_batch_deletion(asked)


def lists_uploads(asked: Asked) -> bool:
    """A page of unfinished uploads."""
    return asked.method == "GET" and "uploads" in asked.query


def lists_parts(asked: Asked) -> bool:
    """The parts of one unfinished upload."""
    return asked.method == "GET" and "uploadId" in asked.query


def aborts_upload(asked: Asked) -> bool:
    """An unfinished upload that is given up."""
    return asked.method == "DELETE" and "uploadId" in asked.query


def is_copy(asked: Asked) -> bool:
    """A copy inside the store."""
    return asked.method == "PUT" and "x-amz-copy-source" in asked.headers


def is_writing(asked: Asked) -> bool:
    """Anything that changes the bucket."""
    return asked.method in ("PUT", "POST", "DELETE")


def names(key: str) -> Callable[[Asked], bool]:
    """Requests that name a key: in their path, as the source of a copy, or among those of a batch."""
    quoted = quote(key)

    def named(asked: Asked) -> bool:
        source = asked.headers.get("x-amz-copy-source", "")
        return (
            asked.path.endswith((f"/{key}", f"/{quoted}"))
            or source.endswith((key, quoted))
            or (is_batch_deletion(asked) and f"<Key>{key}</Key>".encode() in asked.body)
        )

    return named


def deletes(key: str) -> Callable[[Asked], bool]:
    """Deletions of a key, alone or in a batch."""
    named = names(key)
    return lambda asked: is_deletion(asked) and named(asked)


def is_of_settings(asked: Asked) -> bool:
    """A question about a setting of a bucket."""
    return asked.method == "GET" and bool(
        {"versioning", "lifecycle", "encryption", "object-lock"} & set(asked.query)
    )


_ACTIONS_OF_QUERIES = {
    "versioning": "GetBucketVersioning",
    "object-lock": "GetBucketObjectLockConfiguration",
    "encryption": "GetEncryptionConfiguration",
    "lifecycle": "GetLifecycleConfiguration",
    "versions": "ListBucketVersions",
    "uploads": "ListBucketMultipartUploads",
    "uploadId": "ListMultipartUploadParts",
    "list-type": "ListBucket",
    "tagging": "GetObjectTagging",
}


def actions_of(asked: Asked) -> set[str]:
    """The permissions of AWS that a request needs, as its reference of actions says: `s3:GetObject`."""
    of_a_key = asked.path.strip("/").count("/") > 0
    for name, action in _ACTIONS_OF_QUERIES.items():
        if name in asked.query and asked.method == "GET":
            return {f"s3:{action}"}
    match asked.method:
        case "GET" | "HEAD":
            return {"s3:GetObject" if of_a_key else "s3:ListBucket"}
        case "PUT":
            return {"s3:PutObject", *({"s3:GetObject"} if is_copy(asked) else ())}
        case "DELETE" if "uploadId" in asked.query:
            return {"s3:AbortMultipartUpload"}
        case "DELETE":
            return {"s3:DeleteObjectVersion" if "versionId" in asked.query else "s3:DeleteObject"}
        case "POST" if is_batch_deletion(asked):
            return {"s3:DeleteObjectVersion" if b"<VersionId>" in asked.body else "s3:DeleteObject"}
        case _:
            return {"s3:PutObject"}
