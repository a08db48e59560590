"""A bucket that can only be listed: its answers are real ones of S3, in any order of keys that a product may have."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any, cast
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape
from zlib import crc32

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from mypy_boto3_s3 import S3Client

from tests.services.scripted_store import Answer

_SESSION = boto3.session.Session("any", "any", region_name="us-east-1")

Order = Callable[[str], Any]
"""What a product sorts keys by."""


def by_bytes(key: str) -> bytes:
    """As S3 promises it."""
    return key.encode()


def by_folder(key: str) -> list[bytes]:
    """As products do that keep folders: `a/b` before `a-b/c`."""
    return [name.encode() for name in key.split("/")]


def by_no_order_at_all(key: str) -> tuple[int, str]:
    """As AWS's directory buckets: always the same, and nobody knows which."""
    return crc32(key.encode()), key


@dataclass
class ListedBucket:
    """Answers ListObjectsV2 for `keys`, which may be changed meanwhile by `before`, called with each request's number."""

    keys: Sequence[str]
    page_size: int = 10
    order: Order = by_bytes
    knows_start_after: bool = True
    before: Callable[[int], None] = lambda number: None
    asked: list[dict[str, str]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=lambda: count(1))
    _lock: Lock = field(default_factory=Lock)

    def page(self, query: dict[str, str]) -> Answer:
        """The answer to the query of a request."""
        with self._lock:
            self.asked.append(query)
            self.before(next(self._numbers))
            keys = sorted(self.keys, key=self.order)
        prefix, by_folders = query.get("prefix", ""), "delimiter" in query
        after = query.get("start-after", "") if self.knows_start_after else ""
        after = query.get("continuation-token", after)
        ranks = [self.order(key) for key in keys]
        position = bisect_right(ranks, self.order(after)) if after else 0
        items: list[tuple[bool, str]] = []
        last = ""
        for key in keys[position:]:
            if not key.startswith(prefix):
                continue
            folder, slash, _ = key[len(prefix) :].partition("/")
            item = (True, f"{prefix}{folder}/") if by_folders and slash else (False, key)
            if item in items:
                last = key
                continue
            if len(items) == self.page_size:
                return self._document(items, last)
            items.append(item)
            last = key
        return self._document(items, None)

    def _document(self, items: Sequence[tuple[bool, str]], token: str | None) -> Answer:
        contents = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>2026-11-01T06:00:00.123Z</LastModified>"
            f"<ETag>&quot;abc&quot;</ETag><Size>{len(key)}</Size><StorageClass>STANDARD</StorageClass></Contents>"
            for is_folder, key in items
            if not is_folder
        )
        folders = "".join(
            f"<CommonPrefixes><Prefix>{quote(key)}</Prefix></CommonPrefixes>"
            for is_folder, key in items
            if is_folder
        )
        marker = "" if token is None else f"<NextContinuationToken>{escape(token)}</NextContinuationToken>"
        document = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>bucket</Name><KeyCount>{len(items)}</KeyCount><EncodingType>url</EncodingType>"
            f"<IsTruncated>{str(token is not None).lower()}</IsTruncated>{marker}{contents}{folders}</ListBucketResult>"
        )
        return Answer(document.encode())


@contextmanager
def listing_client(answer_to: Callable[[dict[str, str]], Answer]) -> Iterator[S3Client]:
    """A boto3 client whose requests to list are answered by `answer_to`, without a connection. All else of it is real."""
    client = _SESSION.client("s3", endpoint_url="http://127.0.0.1:1")

    def answered(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        answer = answer_to(query)
        return AWSResponse(request.url, answer.status, HTTPHeaders(), _Body(answer.body))

    client.meta.events.register("before-send.s3.ListObjectsV2", cast(Any, answered))
    try:
        yield client
    finally:
        client.close()


class _Body:
    """The body of an answer, as far as boto3 looks at it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> Iterator[bytes]:
        """All of it."""
        yield self._body
