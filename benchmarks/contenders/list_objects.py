# ruff: noqa: T201
"""Count the objects below a prefix and their bytes: `METHOD BUCKET PREFIX [THREADS]`.

The sum of the bytes stands for the keys, on which each size depends.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

Counted = tuple[int, int]


def ours(bucket: str, prefix: str, _threads: int) -> Counted:
    """The tool's store."""
    from contextlib import closing

    import pyarrow.compute as pc

    from xcomctl.models import Root
    from xcomctl.s3.store import S3Settings, S3Store

    count = size = 0
    with closing(S3Store(S3Settings())) as store:
        for batch in store.batches(Root.parse(f"s3://{bucket}/{prefix}")):
            count += batch.num_rows
            size += pc.sum(batch.column("size")).as_py()
    return count, size


def boto3(bucket: str, prefix: str, threads: int) -> Counted:
    """Boto3's paginator; with more than one thread, one for each folder below the prefix."""
    import boto3

    client = boto3.client("s3")
    if threads == 1:
        return _paginated(client, bucket, prefix)
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
    folders = [found["Prefix"] for page in pages for found in page.get("CommonPrefixes", [])]
    with ThreadPoolExecutor(threads) as pool:
        counted = list(pool.map(partial(_paginated, client, bucket), folders))
    return sum(count for count, _ in counted), sum(size for _, size in counted)


def _paginated(client: object, bucket: str, prefix: str) -> Counted:
    count = size = 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):  # type: ignore[attr-defined]
        for item in page.get("Contents", []):
            count += 1
            size += item["Size"]
    return count, size


def obstore(bucket: str, prefix: str, _threads: int) -> Counted:
    """Obstore (Rust), one stream of Arrow batches."""
    import os

    import obstore  # type: ignore[import-not-found]
    from obstore.store import S3Store  # type: ignore[import-not-found]

    store = S3Store(
        bucket,
        endpoint=os.environ["AWS_ENDPOINT_URL"],
        region=os.environ["AWS_REGION"],
        access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
        secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        client_options={"allow_http": True},
        virtual_hosted_style_request=False,
    )
    count = size = 0
    for batch in obstore.list(store, prefix=prefix, chunk_size=10_000, return_arrow=True):
        count += batch.num_rows
        size += sum(batch["size"].to_pylist())
    return count, size


METHODS: dict[str, Callable[[str, str, int], Counted]] = {"ours": ours, "boto3": boto3, "obstore": obstore}


def main(method: str, bucket: str, prefix: str, threads: str = "1") -> None:
    """List, and print what was found."""
    count, size = METHODS[method](bucket, prefix, int(threads))
    print(json.dumps({"objects": count, "bytes": size}))


if __name__ == "__main__":
    main(*sys.argv[1:])
