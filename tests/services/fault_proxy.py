"""A proxy before a real S3 server that injects faults. Without one it makes no difference, as the suite of stores says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from itertools import count
from threading import Lock
from urllib.parse import quote, urlsplit

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


# --- what a fault applies to ---------------------------------------------------------------------------------------


def is_listing(asked: Asked) -> bool:
    """A page of a listing."""
    return asked.query.get("list-type") == "2"


def is_batch_deletion(asked: Asked) -> bool:
    """A DeleteObjects."""
    return asked.method == "POST" and "delete" in asked.query


def is_deletion(asked: Asked) -> bool:
    """A deletion of one object or of a batch."""
    return asked.method == "DELETE" or is_batch_deletion(asked)


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


def only(when: Callable[[Asked], bool], fault: Fault, *, first: int = 1, times: int | None = None) -> Fault:
    """`fault` for the requests that `when` means, from the `first` of them on, so many `times` (None: all)."""
    lock, numbers = Lock(), count(1)

    def acting(asked: Asked, forward: Forward) -> Answer:
        if not when(asked):
            return forward(asked)
        with lock:
            number = next(numbers)
        wanted = first <= number and (times is None or number < first + times)
        return fault(asked, forward) if wanted else forward(asked)

    return acting


# --- faults ----------------------------------------------------------------------------------------------------------


def error(status: int, code: str) -> Fault:
    """The store answers with an error, and does nothing."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        return Answer(
            f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode(),
            status,
            (("Content-Type", "application/xml"),),
        )

    return acting


def hang_up(asked: Asked, forward: Forward) -> Answer:
    """The connection breaks before the store gets the request."""
    return Answer(hang_up=True)


def lost_answer(asked: Asked, forward: Forward) -> Answer:
    """The store does what it is asked, but the connection breaks before its answer."""
    forward(asked)
    return Answer(hang_up=True)


def truncated(asked: Asked, forward: Forward) -> Answer:
    """Half of the answer comes, and then the connection breaks."""
    answer = forward(asked)
    headers = (("Content-Length", str(len(answer.body))), ("Connection", "close"))
    return replace(answer, body=answer.body[: len(answer.body) // 2], headers=answer.headers + headers)


def half_a_document(asked: Asked, forward: Forward) -> Answer:
    """Half of the XML comes as if it were all of it."""
    answer = forward(asked)
    return replace(answer, body=answer.body[: len(answer.body) // 2])


def breaks_after(size: int) -> Fault:
    """The bodies of all GETs together have `size` bytes; from then on connections break in the middle of a body."""
    lock, remaining = Lock(), [size]

    def acting(asked: Asked, forward: Forward) -> Answer:
        answer = forward(asked)
        if asked.method != "GET":
            return answer
        with lock:
            sent = answer.body[: remaining[0]]
            remaining[0] -= len(sent)
        if len(sent) == len(answer.body):
            return answer
        announced = (("Content-Length", str(len(answer.body))), ("Connection", "close"))
        return replace(answer, body=sent, headers=answer.headers + announced)

    return acting


def denied(*buckets: str) -> Fault:
    """Whatever is asked of these buckets is answered by a 403."""
    refuse = error(403, "AccessDenied")
    return only(lambda asked: asked.path.split("/")[1] in buckets, refuse)


def small_pages(size: int) -> Fault:
    """The store gives `size` objects a page."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        if is_listing(asked) and "max-keys" not in asked.query:
            return forward(changed(asked, target=f"{asked.target}&max-keys={size}"))
        return forward(asked)

    return acting


_NEXT = re.compile(rb"<NextContinuationToken>(.*?)</NextContinuationToken>", re.DOTALL)
_ENTRY = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)


def page_lost(asked: Asked, forward: Forward) -> Answer:
    """The store forgets a page, and gives the next one in its place."""
    following = _NEXT.search(forward(asked).body)
    if following is None:
        return Answer(b"<Error><Code>InternalError</Code></Error>", 500)
    target = re.sub("&?continuation-token=[^&]*", "", asked.target)
    return forward(
        changed(asked, target=f"{target}&continuation-token={quote(following[1].decode(), safe='')}")
    )


def page_repeated() -> Fault:
    """Every page is the first one."""
    pages: list[Answer] = []

    def acting(asked: Asked, forward: Forward) -> Answer:
        pages.append(forward(asked))
        return pages[0]

    return acting


def page_without_token(asked: Asked, forward: Forward) -> Answer:
    """A page says that there is more, and not where."""
    answer = forward(asked)
    return replace(answer, body=_NEXT.sub(b"", answer.body))


def page_out_of_order(asked: Asked, forward: Forward) -> Answer:
    """The objects of a page come in another order."""
    answer = forward(asked)
    entries = _ENTRY.findall(answer.body)
    backwards = iter(reversed(entries))
    return replace(answer, body=_ENTRY.sub(lambda _: next(backwards), answer.body))


def page_short(asked: Asked, forward: Forward) -> Answer:
    """A page announces more objects than it holds."""
    answer = forward(asked)
    return replace(answer, body=_ENTRY.sub(b"", answer.body, count=1))


def error_inside_success(code: str) -> Fault:
    """The status is 200, and the body an error."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        body = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        return Answer(body, 200, (("Content-Type", "application/xml"),))

    return acting


def clock_shifted(seconds: float) -> Fault:
    """The store's clock is `seconds` ahead."""
    from datetime import timedelta
    from email.utils import format_datetime, parsedate_to_datetime

    def acting(asked: Asked, forward: Forward) -> Answer:
        answer = forward(asked)
        headers = tuple(
            (name, format_datetime(parsedate_to_datetime(value) + timedelta(seconds=seconds), usegmt=True))
            if name.lower() == "date"
            else (name, value)
            for name, value in answer.headers
        )
        return replace(answer, headers=headers)

    return acting


def ignores_conditions(asked: Asked, forward: Forward) -> Answer:
    """The store does not know conditions on writes and deletions, and does what it is asked without them."""
    conditions = ("if-match", "if-none-match", "x-amz-copy-source-if-match")
    if is_batch_deletion(asked):
        return ignores_batch_conditions(asked, forward)
    if is_writing(asked) and any(name in asked.headers for name in conditions):
        return forward(changed(asked, without=conditions))
    return forward(asked)


def ignores_batch_conditions(asked: Asked, forward: Forward) -> Answer:
    """The store does not know conditions on the keys of a batch."""
    if is_batch_deletion(asked):
        return forward(changed(asked, body=re.sub(rb"<ETag>[^<]*</ETag>", b"", asked.body)))
    return forward(asked)


def hides_absence(asked: Asked, forward: Forward) -> Answer:
    """Without the right to list, an object that is not there is answered by a 403."""
    answer = forward(asked)
    if answer.status == 404 and asked.method in ("GET", "HEAD"):
        body = b"" if asked.method == "HEAD" else b"<Error><Code>AccessDenied</Code></Error>"
        return Answer(body, 403, (("Content-Type", "application/xml"),))
    return answer


def failing_keys(code: str, keys: Callable[[str], bool], *, silent: bool = False) -> Fault:
    """A batch deletion of these keys fails inside of a 200; `silent`: the answer does not mention them at all."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        if not is_batch_deletion(asked):
            return forward(asked)
        entries = re.findall(rb"<Object>.*?</Object>", asked.body, re.DOTALL)
        failing = [entry for entry in entries if keys(_key_of(entry))]
        if not failing:
            return forward(asked)
        body = asked.body
        for entry in failing:
            body = body.replace(entry, b"")
        if len(failing) == len(entries):
            answer = Answer(b"<DeleteResult></DeleteResult>", 200, (("Content-Type", "application/xml"),))
        else:
            answer = forward(changed(asked, body=body))
        errors = b"".join(
            b"<Error><Key>%s</Key><Code>%s</Code></Error>"
            % (re.sub(rb"(?s).*<Key>(.*)</Key>.*", rb"\1", one), code.encode())
            for one in failing
        )
        if silent:
            return answer
        return replace(answer, body=answer.body.replace(b"</DeleteResult>", errors + b"</DeleteResult>"))

    return acting


def _key_of(entry: bytes) -> str:
    found = re.search(rb"<Key>(.*)</Key>", entry, re.DOTALL)
    return found[1].decode() if found else ""


def at(act: Callable[[], None], *, after: bool = False) -> Fault:
    """Something else happens right before a request reaches the store, or right after."""

    def acting(asked: Asked, forward: Forward) -> Answer:
        if after:
            answer = forward(asked)
            act()
            return answer
        act()
        return forward(asked)

    return acting
