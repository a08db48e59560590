"""Moto's server behind a proxy that breaks connections and denies access as told: the faults are real HTTP, too."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from threading import Lock
from urllib.parse import urlencode, urlsplit

from tests.services.object_stores import MotoServer
from tests.services.scripted_store import Answer, Asked, scripted_store

# What belongs to one connection or is written anew by whoever sends the message.
_NOT_FORWARDED = {"connection", "content-length", "date", "expect", "host", "server", "transfer-encoding"}


@contextmanager
def faulty_server(
    server: MotoServer, *, breaks_after: int | None = None, denied: Collection[str] = ()
) -> Iterator[MotoServer]:
    """`server` as it is through the proxy. Without a fault there is no difference.

    The bodies of all GETs together have `breaks_after` bytes; from then on every connection breaks in the middle of
    a body. Whatever is asked of the buckets `denied` is answered by a 403.
    """
    proxy = _Proxy(server, breaks_after, frozenset(denied))
    with scripted_store(proxy.answer) as scripted:
        port = urlsplit(scripted.endpoint_url).port
        assert port is not None
        yield MotoServer(port)


class _Proxy:
    """Hands requests on, and what comes back as far as the faults let it."""

    def __init__(self, server: MotoServer, breaks_after: int | None, denied: frozenset[str]) -> None:
        self._upstream = urlsplit(server.endpoint_url).netloc
        self._remaining = breaks_after
        self._denied = denied
        self._lock = Lock()

    def answer(self, asked: Asked) -> Answer:
        """The answer to one request."""
        if asked.path.split("/")[1] in self._denied:
            return Answer(b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>", 403)
        answer, length = self._forward(asked)
        sent = self._let_through(answer.body) if asked.method == "GET" else answer.body
        if len(sent) == length:
            return answer
        # The length that was announced stays, and no more requests come on this connection.
        announced = (("Content-Length", str(length)), ("Connection", "close"))
        return Answer(sent, answer.status, (*answer.headers, *announced))

    def _forward(self, asked: Asked) -> tuple[Answer, int]:
        """What the server answers, and how long it says that the body is (to a HEAD it sends none)."""
        target = asked.path + (f"?{urlencode(asked.query)}" if asked.query else "")
        headers = {name: value for name, value in asked.headers.items() if name not in _NOT_FORWARDED}
        with closing(HTTPConnection(self._upstream, timeout=60)) as connection:
            connection.request(asked.method, target, asked.body or None, headers)
            response = connection.getresponse()
            body = response.read()
        kept = tuple(item for item in response.getheaders() if item[0].lower() not in _NOT_FORWARDED)
        return Answer(body, response.status, kept), int(response.headers.get("Content-Length", len(body)))

    def _let_through(self, body: bytes) -> bytes:
        with self._lock:
            if self._remaining is None:
                return body
            sent = body[: self._remaining]
            self._remaining -= len(sent)
            return sent
