"""A proxy before a real S3 server that injects faults. Without one it makes no difference, as the suite of stores says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

import boto3
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from mypy_boto3_s3 import S3Client

from tests.services.object_stores import ObjectServer
from tests.services.scripted_store import Answer, Asked, scripted_store

Forward = Callable[[Asked], Answer]
"""Hands a request on to the next fault, or at last to the server, and gives the answer."""

Fault = Callable[[Asked, Forward], Answer]
"""Does something to a request, to its answer, or instead of it."""

# What belongs to one connection or is written anew by whoever sends the message.
_NOT_FORWARDED = {"connection", "content-length", "expect", "transfer-encoding"}
_NOT_RETURNED = _NOT_FORWARDED | {"server"}
_SIGNATURE = {"authorization", "x-amz-date", "x-amz-content-sha256"}


@dataclass(frozen=True)
class FaultProxy:
    """Where the proxy answers, what it was asked, and the faults, the first of them outermost; they may be changed."""

    endpoint_url: str
    asked: list[Asked]
    faults: list[Fault]
    server: ObjectServer

    def environment(self) -> dict[str, str]:
        """The AWS variables with which boto3 talks to the server through the proxy."""
        return {**self.server.environment(), "AWS_ENDPOINT_URL": self.endpoint_url}

    def client(self) -> S3Client:
        """A boto3 client that talks through the proxy. The caller closes it."""
        environment = self.environment()
        return boto3.session.Session(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            region_name=environment["AWS_DEFAULT_REGION"],
        ).client(
            "s3",
            endpoint_url=self.endpoint_url,
            config=Config(connect_timeout=2, read_timeout=30, s3={"addressing_style": "path"}),
        )

    def create_bucket(self, name: str) -> None:
        """Create a bucket, past the faults."""
        self.server.create_bucket(name)

    @contextmanager
    def with_faults(self, *faults: Fault) -> Iterator[None]:
        """These faults, too, before those that are there, inside the block."""
        before = list(self.faults)
        self.faults[:0] = faults
        try:
            yield
        finally:
            self.faults[:] = before


@contextmanager
def fault_proxy(server: ObjectServer, *faults: Fault) -> Iterator[FaultProxy]:
    """`server` through a proxy with these faults."""
    active = list(faults)
    upstream = _Upstream(server)

    def answer(asked: Asked) -> Answer:
        return _chain(list(active), upstream)(asked)

    with scripted_store(answer) as scripted:
        yield FaultProxy(scripted.endpoint_url, scripted.asked, active, server)


def _chain(faults: Sequence[Fault], upstream: Forward) -> Forward:
    forward = upstream
    for fault in reversed(faults):
        forward = _before(fault, forward)
    return forward


def _before(fault: Fault, forward: Forward) -> Forward:
    return lambda asked: fault(asked, forward)


class _Upstream:
    """The server itself. A request that a fault has changed is signed anew, as its administrator."""

    def __init__(self, server: ObjectServer) -> None:
        self._netloc = urlsplit(server.endpoint_url).netloc
        self._environment = server.environment()

    def __call__(self, asked: Asked) -> Answer:
        headers = {name: value for name, value in asked.headers.items() if name not in _NOT_FORWARDED}
        if _CHANGED in headers:
            headers = self._signed(asked, headers)
        with closing(HTTPConnection(self._netloc, timeout=60)) as connection:
            # The host of the signature is the one that the client named.
            connection.putrequest(asked.method, asked.target, skip_host=True, skip_accept_encoding=True)
            if asked.body or asked.method in ("PUT", "POST"):
                headers["content-length"] = str(len(asked.body))
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(asked.body or None)
            response = connection.getresponse()
            body = response.read()
            kept = tuple(item for item in response.getheaders() if item[0].lower() not in _NOT_RETURNED)
            if asked.method == "HEAD":
                kept += (("Content-Length", response.headers.get("Content-Length", "0")),)
            return Answer(body, response.status, kept)

    def _signed(self, asked: Asked, headers: dict[str, str]) -> dict[str, str]:
        plain = {
            name: value for name, value in headers.items() if name not in _SIGNATURE and name != _CHANGED
        }
        request = AWSRequest(
            method=asked.method,
            url=f"http://{plain['host']}{asked.target}",
            headers=plain,
            data=asked.body or None,
        )
        credentials = Credentials(
            self._environment["AWS_ACCESS_KEY_ID"], self._environment["AWS_SECRET_ACCESS_KEY"]
        )
        S3SigV4Auth(credentials, "s3", self._environment["AWS_DEFAULT_REGION"]).add_auth(request)
        return dict(request.headers.items())


_CHANGED = "x-test-changed"


def changed(
    asked: Asked, *, without: Sequence[str] = (), body: bytes | None = None, target: str | None = None
) -> Asked:
    """A request without some headers, or with another body or target: it will be signed anew."""
    left = {name: value for name, value in asked.headers.items() if name not in without}
    if body is not None:
        left = {
            name: value
            for name, value in left.items()
            if name != "content-md5" and not name.startswith("x-amz-checksum-")
        }
        left.pop("x-amz-sdk-checksum-algorithm", None)
    return replace(
        asked,
        headers={**left, _CHANGED: "1"},
        body=asked.body if body is None else body,
        target=asked.target if target is None else target,
    )
