"""Listing a root of an S3 store as columnar batches. A listing is whole, or it is an error."""

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

_BATCH_ROWS = 10_000


def list_batches(client: S3Client, root: Root, request: Request) -> Iterator[pa.RecordBatch]:
    """Every object below `root`, in batches of `object_schema()` of about 10,000 rows.

    Raises StoreError, also where the store's pages do not add up to a whole listing.
    """
    columns: dict[str, list[Any]] = {name: [] for name in ("key", "size", "etag", "last_modified")}
    for page in _pages(client, root, request):
        for item in page.get("Contents", []):
            columns["key"].append(item["Key"])
            columns["size"].append(item["Size"])
            columns["etag"].append(item["ETag"].strip('"'))
            columns["last_modified"].append(item["LastModified"])
        if len(columns["key"]) >= _BATCH_ROWS:
            yield _batch(root.bucket, columns)
            for column in columns.values():
                column.clear()
    if columns["key"]:
        yield _batch(root.bucket, columns)


def _batch(bucket: str, columns: dict[str, list[Any]]) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.record_batch({"bucket": [bucket] * len(columns["key"]), **columns}, schema=object_schema())


def _pages(client: S3Client, root: Root, request: Request) -> Iterator[ListObjectsV2OutputTypeDef]:
    """The pages of the listing, each checked.

    The order of keys says nothing about wholeness: some products list folder by folder, not by the bytes of the key.
    """
    token: str | None = None
    # Fingerprints of the tokens and first keys so far: one of each for a thousand objects.
    seen: set[int] = set()
    while True:
        with translating(request):
            if token is None:
                page = client.list_objects_v2(Bucket=root.bucket, Prefix=root.prefix)
            else:
                page = client.list_objects_v2(Bucket=root.bucket, Prefix=root.prefix, ContinuationToken=token)
        _check(page, root, seen)
        yield page
        if not page["IsTruncated"]:
            return
        token = page.get("NextContinuationToken")
        if not token:
            raise _incomplete(root, "a page says that there is more, and not where")
        if _repeated(("token", token), seen):
            raise _incomplete(root, "the store gave the same page marker twice")


def _check(page: ListObjectsV2OutputTypeDef, root: Root, seen: set[int]) -> None:
    # An answer from something else, a proxy's login page for one, has none of the fields.
    if "IsTruncated" not in page:
        raise StoreError(
            f"incomplete listing of {root.uri}: the answer is not a listing",
            hint="check --endpoint-url and the proxy",
        )
    contents = page.get("Contents", [])
    if page.get("KeyCount", len(contents)) != len(contents):
        raise _incomplete(root, f"a page announced {page['KeyCount']} objects and held {len(contents)}")
    if contents and _repeated(("key", contents[0]["Key"]), seen):
        raise _incomplete(root, "the store gave the same page twice")
    if any(not item["Key"].startswith(root.prefix) for item in contents):
        raise _incomplete(root, "the store gave objects from elsewhere")


def _repeated(marker: tuple[str, str], seen: set[int]) -> bool:
    fingerprint = hash(marker)
    repeated = fingerprint in seen
    seen.add(fingerprint)
    return repeated


def _incomplete(root: Root, why: str) -> StoreError:
    return StoreError(f"incomplete listing of {root.uri}: {why}", hint="try again; nothing was changed")
