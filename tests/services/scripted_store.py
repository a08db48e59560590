"""A store that misbehaves as told: answers to S3 requests are scripted, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    target: str = ""
    """Path and query exactly as they came."""


@dataclass(frozen=True)
class Answer:
    """What to send back."""

    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    hang_up: bool = False
    """Send nothing at all, and close the connection."""


@dataclass
class ScriptedStore:
    """Where it answers, and what it was asked so far."""

    endpoint_url: str
    asked: list[Asked]


@contextmanager
def scripted_store(script: Callable[[Asked], Answer]) -> Iterator[ScriptedStore]:
    """Serve `script` on loopback, from threads of this process."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Headers and body are two writes: the second one would wait until the first is acknowledged.
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Asked(
                self.command,
                url.path,
                query,
                {k.lower(): v for k, v in self.headers.items()},
                body,
                self.path,
            )
            asked.append(request)
            answer = script(request)
            if answer.hang_up:
                self.close_connection = True
                return
            names = {name.lower() for name, _ in answer.headers}
            if "date" in names:
                self.send_response_only(answer.status)
            else:
                self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            if "content-length" not in names:
                self.send_header("Content-Length", str(len(answer.body)))
            try:
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)
            except ConnectionError:
                # Whoever asked is gone, as tests that kill it want it.
                self.close_connection = True
            if "content-length" in names:
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_DELETE = do_PUT = _serve  # noqa: N815 - the names that http.server calls

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield ScriptedStore(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
