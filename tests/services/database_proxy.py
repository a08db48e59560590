"""A proxy before a real PostgreSQL server: it sees every statement and every row, and cuts, alters or delays as told."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock, Thread

from sqlalchemy.engine import make_url

Fields = list[bytes | None]
"""The columns of a row as the server sends them: text (of a COPY, its binary format), None for NULL."""

_ENCRYPTION_REQUESTS = (80877103, 80877104)

# A message of a COPY in the binary format holds one record; the first begins with a header, the last is no record.
_COPY_HEADER = 19
_COPY_END = b"\xff\xff"


class CutError(Exception):
    """Raised by whoever looks at the traffic: the connection breaks here."""


@dataclass
class DatabaseProxy:
    """Where the proxy answers, the statements that came, and who looks at the traffic; all may be changed at any time."""

    url: str
    statements: list[str] = field(default_factory=list)
    before: Callable[[int, str], None] | None = None
    """Called with the number of a statement (from 1) and its text, before the server gets it."""
    after: Callable[[int, str], None] | None = None
    """The same, when the server has done it and before the client hears of it."""
    row: Callable[[str, Fields], Fields | None] | None = None
    """Called with the statement and each row that it gives: other columns, or None to lose the row."""


@contextmanager
def database_proxy(url: str) -> Iterator[DatabaseProxy]:
    """The PostgreSQL server of this URL through a proxy."""
    address = make_url(url)
    upstream = (address.host or "127.0.0.1", address.port or 5432)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        proxied = address.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        proxy = DatabaseProxy(proxied)
        sessions: list[_Session] = []

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                sessions.append(_Session(proxy, client, upstream))

        thread = Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            # Closing alone does not wake up who waits in accept.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for session in sessions:
                session.close()


class _Session:
    """One connection of a client, and ours to the server in its place."""

    def __init__(self, proxy: DatabaseProxy, client: socket.socket, upstream: tuple[str, int]) -> None:
        self._proxy = proxy
        self._client = client
        self._server = socket.create_connection(upstream)
        for end in (self._client, self._server):
            # Messages are small, and each would wait for the acknowledgement of the one before.
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._statement: tuple[int, str] | None = None
        self._lock = Lock()
        self._threads = [
            Thread(target=self._pump, args=(work,), daemon=True) for work in (self._requests, self._answers)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the connection, and wait until nobody works on it any more."""
        self._break()
        for thread in self._threads:
            thread.join()
        self._client.close()
        self._server.close()

    def _break(self) -> None:
        for end in (self._client, self._server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pump(self, work: Callable[[], None]) -> None:
        try:
            work()
        except (CutError, OSError):
            pass
        finally:
            self._break()

    def _requests(self) -> None:
        while True:
            size = _exactly(self._client, 4)
            body = _exactly(self._client, struct.unpack("!I", size)[0] - 4)
            if struct.unpack("!I", body[:4])[0] not in _ENCRYPTION_REQUESTS:
                self._server.sendall(size + body)
                break
            self._client.sendall(b"N")
        while True:
            kind, body = _message(self._client)
            statement = _statement(kind, body)
            if statement is not None:
                with self._lock:
                    self._proxy.statements.append(statement)
                    self._statement = (len(self._proxy.statements), statement)
                if self._proxy.before is not None:
                    self._proxy.before(*self._statement)
            self._server.sendall(_framed(kind, body))

    def _answers(self) -> None:
        while True:
            kind, body = _message(self._server)
            asked = self._statement
            if kind == b"D" and asked is not None and self._proxy.row is not None:
                fields = self._proxy.row(asked[1], _fields(body))
                if fields is None:
                    continue
                body = _row(fields)
            if kind == b"d" and asked is not None and self._proxy.row is not None:
                head, record = (
                    (body[:_COPY_HEADER], body[_COPY_HEADER:]) if body[:6] == b"PGCOPY" else (b"", body)
                )
                if record not in (b"", _COPY_END):
                    fields = self._proxy.row(asked[1], _fields(record))
                    record = b"" if fields is None else _row(fields)
                    if not head + record:
                        continue
                    body = head + record
            if kind == b"Z" and asked is not None and self._proxy.after is not None:
                self._proxy.after(*asked)
            self._client.sendall(_framed(kind, body))


def _message(end: socket.socket) -> tuple[bytes, bytes]:
    head = _exactly(end, 5)
    return head[:1], _exactly(end, struct.unpack("!I", head[1:])[0] - 4)


def _statement(kind: bytes, body: bytes) -> str | None:
    """The SQL of a query, or of what the extended protocol has parsed; None for any other message."""
    if kind == b"Q":
        return body.rstrip(b"\0").decode()
    return body.split(b"\0")[1].decode() if kind == b"P" else None


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _exactly(end: socket.socket, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        part = end.recv(size - len(got))
        if not part:
            raise CutError
        got += part
    return bytes(got)


def _fields(body: bytes) -> Fields:
    fields: Fields = []
    place = 2
    for _ in range(struct.unpack("!H", body[:2])[0]):
        (size,) = struct.unpack("!i", body[place : place + 4])
        place += 4
        fields.append(None if size < 0 else body[place : place + size])
        place += max(size, 0)
    return fields


def _row(fields: Fields) -> bytes:
    parts = [
        struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in fields
    ]
    return struct.pack("!H", len(fields)) + b"".join(parts)
