# ruff: noqa: T201
"""Delete the first objects below a prefix, `METHOD BUCKET PREFIX COUNT`, and say how many the store confirmed.

Listing them is not what is measured: the answer has the seconds of the deletion.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any


def _listed(client: Any, bucket: str, prefix: str, count: int) -> list[Any]:
    found: list[Any] = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        found += page.get("Contents", [])
        if len(found) >= count:
            break
    return found[:count]


def one_by_one(client: Any, bucket: str, items: Sequence[Any]) -> int:
    """`delete_object` for each."""
    return sum(
        client.delete_object(Bucket=bucket, Key=item["Key"])["ResponseMetadata"]["HTTPStatusCode"] == 204
        for item in items
    )


def batches(client: Any, bucket: str, items: Sequence[Any]) -> int:
    """`delete_objects` in a loop, a thousand keys at once."""
    deleted = 0
    for first in range(0, len(items), 1000):
        keys = [{"Key": item["Key"]} for item in items[first : first + 1000]]
        deleted += len(client.delete_objects(Bucket=bucket, Delete={"Objects": keys}).get("Deleted", []))
    return deleted


def _described(bucket: str, items: Sequence[Any]) -> list[Any]:
    from xcomctl.models import ObjectAddress
    from xcomctl.s3.interface import ObjectInfo

    return [
        ObjectInfo(
            ObjectAddress(bucket, item["Key"]), item["Size"], item["ETag"].strip('"'), item["LastModified"]
        )
        for item in items
    ]


def ours(client: Any, bucket: str, items: Sequence[Any]) -> int:
    """The tool's deletion in batches, without asking for each object again before."""
    from xcomctl.s3.delete import Deleter
    from xcomctl.s3.errors import Request

    deleter = Deleter(client, Request("s3:DeleteObject", client.meta.endpoint_url, bucket))
    outcomes = deleter.delete(_described(bucket, items))
    return sum(outcome.result == "deleted" for outcome in outcomes.values())


def ours_asking(_client: Any, bucket: str, items: Sequence[Any]) -> int:
    """The tool's store, as it deletes: every object is asked for again before."""
    from xcomctl.s3.store import S3Settings, S3Store

    described = _described(bucket, items)
    with closing(S3Store(S3Settings())) as store:
        return sum(
            outcome.result == "deleted"
            for first in range(0, len(described), 1000)
            for outcome in store.delete(described[first : first + 1000])
        )


METHODS: dict[str, Callable[[Any, str, Sequence[Any]], int]] = {
    "one-by-one": one_by_one,
    "batches": batches,
    "ours": ours,
    "ours-asking": ours_asking,
}


def main(method: str, bucket: str, prefix: str, count: str) -> None:
    """List, delete, and print what was deleted."""
    import boto3

    with closing(boto3.client("s3")) as client:
        items = _listed(client, bucket, prefix, int(count))
        started, cpu = time.perf_counter(), time.process_time()
        deleted = METHODS[method](client, bucket, items)
        answer = {
            "deleted": deleted,
            "wall": time.perf_counter() - started,
            "cpu": time.process_time() - cpu,
        }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
