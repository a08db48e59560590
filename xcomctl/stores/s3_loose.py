"""Objects that lie directly below a root, in no folder: what a listing of the root by its folders leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from xcomctl.errors import StoreError
from xcomctl.models import Root
from xcomctl.stores.interface import object_schema
from xcomctl.stores.s3_errors import Request, translating

if TYPE_CHECKING:
    import pyarrow as pa
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef


def loose_batches(client: S3Client, root: Root, request: Request) -> Iterator[pa.RecordBatch]:
    """Every object directly below `root`, in batches of `object_schema()`. Raises StoreError, also for a part of them."""
    import pyarrow as pa

    for page in _pages(client, root, request):
        items = page.get("Contents", [])
        if any(not item["Key"].startswith(root.prefix) for item in items):
            raise _incomplete(root, "the store gave objects from elsewhere")
        # A store that does not know delimiters gives all that is below: those in folders are listed with their folder.
        loose = [item for item in items if "/" not in item["Key"][len(root.prefix) :]]
        if loose:
            yield pa.record_batch(
                {
                    "bucket": [root.bucket] * len(loose),
                    "key": [item["Key"] for item in loose],
                    "size": [item["Size"] for item in loose],
                    "etag": [item["ETag"].strip('"') for item in loose],
                    "last_modified": [item["LastModified"] for item in loose],
                },
                schema=object_schema(),
            )


def _pages(client: S3Client, root: Root, request: Request) -> Iterator[ListObjectsV2OutputTypeDef]:
    tokens: set[str] = set()
    more: dict[str, Any] = {}
    while True:
        with translating(request):
            page = client.list_objects_v2(Bucket=root.bucket, Prefix=root.prefix, Delimiter="/", **more)
        if "IsTruncated" not in page:
            raise _incomplete(root, "the answer is not a listing")
        yield page
        if not page["IsTruncated"]:
            return
        token = page.get("NextContinuationToken")
        if not token or token in tokens:
            raise _incomplete(root, "a page says that there is more, and not where")
        tokens.add(token)
        more = {"ContinuationToken": token}


def _incomplete(root: Root, why: str) -> StoreError:
    return StoreError(f"incomplete listing of {root.uri}: {why}", hint="try again; nothing was changed")
