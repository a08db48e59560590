"""`python -m benchmarks.canned FOLDER [SECONDS]`: an S3 server that has its pages ready and waits before each answer.

A real server that runs beside its client takes most of the machine for itself; this one takes under a second of CPU for a
million listed objects, and waiting takes none. It tells its port on the first line of stdout and ends with stdin. It knows
neither users nor conditions; what is written or deleted is kept in memory. `files/<key>` in the folder are objects, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, unquote_to_bytes, urlsplit
from xml.sax.saxutils import escape

from benchmarks.bucket import NAME, Bucket, Described

_BUFFER = 4 << 20
_AFTER_ALL = b"\xff"
"""No key has it: keys are UTF-8."""

_DELETED = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&#13;": "\r"}


@dataclass(frozen=True, slots=True)
class _Span:
    """Bytes of a file that are sent as they are."""

    file: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    headers: dict[str, str]
    parts: tuple[bytes | _Span, ...] = ()


class _Objects:
    """The bucket with what was written and deleted since."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.lock = threading.Lock()
        self.written: dict[bytes, tuple[bytes, Described]] = {}
        self.deleted: set[bytes] = set()
        self._files = {form: os.open(bucket.folder / form, os.O_RDONLY) for form in ("quoted", "plain")}

    def find(self, key: bytes) -> Described | None:
        if key in self.deleted:
            return None
        if key in self.written:
            return self.written[key][1]
        file = self.file(key)
        if file is not None:
            status = file.stat()
            modified = datetime.fromtimestamp(int(status.st_mtime), timezone.utc)
            return Described(status.st_size, f"{status.st_size:032x}", modified)
        number = self.bucket.number(key)
        return None if number is None else self.bucket.describe(number)

    def file(self, key: bytes) -> Path | None:
        path = self.bucket.folder / "files" / os.fsdecode(key)
        return path if b".." not in key and path.is_file() else None

    def body(self, key: bytes, start: int, length: int) -> bytes | _Span:
        if key in self.written:
            return self.written[key][0][start : start + length]
        file = self.file(key)
        return b"x" * length if file is None else _Span(_opened(file), start, length)

    def put(self, key: bytes, body: bytes) -> Described:
        now = datetime.now(timezone.utc).replace(microsecond=0)
        described = Described(len(body), hashlib.md5(body, usedforsecurity=False).hexdigest(), now)
        with self.lock:
            self.deleted.discard(key)
            self.written[key] = (body, described)
        return described

    def delete(self, keys: list[bytes]) -> None:
        with self.lock:
            for key in keys:
                self.written.pop(key, None)
            self.deleted.update(keys)

    def page(self, query: dict[str, str]) -> _Answer:
        """One page of ListObjectsV2."""
        form = "quoted" if query.get("encoding-type") == "url" else "plain"
        prefix, delimiter = query.get("prefix", "").encode(), query.get("delimiter", "").encode()
        token = query.get("continuation-token")
        after = bytes.fromhex(token) if token else query.get("start-after", "").encode()
        most = min(int(query.get("max-keys", "1000")), 1000)
        first = self.bucket.position(max(prefix, after + b"\0" if after else b""))
        end = self.bucket.position(prefix + _AFTER_ALL)
        parts: tuple[bytes | _Span, ...]
        if delimiter or self.written or self.deleted:
            listed, last, count, truncated = self._mixed(prefix, delimiter, after, most, form)
            parts = (listed,)
        else:
            stop = min(first + most, max(first, end))
            count, truncated = stop - first, stop < end
            last = self.bucket.key(stop - 1) if count else b""
            parts = (_Span(self._files[form], *self.bucket.place(first, stop, form)),) if count else ()
        head = (
            '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{NAME}</Name><Prefix>{_text(prefix, form)}</Prefix>"
            + (f"<StartAfter>{_text(after, form)}</StartAfter>" if after and not token else "")
            + (f"<ContinuationToken>{token}</ContinuationToken>" if token else "")
            + (f"<NextContinuationToken>{last.hex()}</NextContinuationToken>" if truncated else "")
            + f"<KeyCount>{count}</KeyCount><MaxKeys>{most}</MaxKeys>"
            + (f"<Delimiter>{_text(delimiter, form)}</Delimiter>" if delimiter else "")
            + ("<EncodingType>url</EncodingType>" if form == "quoted" else "")
            + f"<IsTruncated>{str(truncated).lower()}</IsTruncated>"
        )
        return _xml(head.encode(), *parts, b"</ListBucketResult>")

    def _mixed(
        self, prefix: bytes, delimiter: bytes, after: bytes, most: int, form: str
    ) -> tuple[bytes, bytes, int, bool]:
        """A page that is put together: its XML, the marker behind which the next one begins, its length, if more follows."""
        with self.lock:
            written = sorted(key for key in self.written if key.startswith(prefix))
        found: list[bytes] = []
        folders: list[bytes] = []
        marker = after
        while True:
            least = max(prefix, marker + b"\0" if marker else b"")
            number = self.bucket.position(least)
            old = self.bucket.key(number) if number < self.bucket.count else _AFTER_ALL
            new = next((key for key in written if key >= least), _AFTER_ALL)
            key = min(old, new)
            if key == _AFTER_ALL or not key.startswith(prefix):
                break
            if key in self.deleted:
                marker = key
                continue
            if len(found) + len(folders) == most:
                return self._xml_of(found, folders, form), marker, most, True
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                folders.append(key[: cut + len(delimiter)])
                marker = folders[-1] + _AFTER_ALL
            else:
                found.append(self._item(key, form))
                marker = key
        return self._xml_of(found, folders, form), marker, len(found) + len(folders), False

    def _item(self, key: bytes, form: str) -> bytes:
        if key not in self.written:
            return self.bucket.item(self.bucket.position(key), form)
        described = self.written[key][1]
        return (
            f"<Contents><Key>{_text(key, form)}</Key><LastModified>{described.modified:%Y-%m-%dT%H:%M:%S}.000Z"
            f"</LastModified><ETag>&quot;{described.etag}&quot;</ETag><Size>{described.size}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        ).encode()

    @staticmethod
    def _xml_of(found: list[bytes], folders: list[bytes], form: str) -> bytes:
        names = (f"<CommonPrefixes><Prefix>{_text(name, form)}</Prefix></CommonPrefixes>" for name in folders)
        return b"".join(found) + "".join(names).encode()


@lru_cache
def _opened(path: Path) -> int:
    return os.open(path, os.O_RDONLY)


def _text(key: bytes, form: str) -> str:
    return quote(key) if form == "quoted" else escape(key.decode(errors="replace"))


def _xml(*parts: bytes | _Span) -> _Answer:
    return _Answer("200 OK", {"Content-Type": "application/xml"}, parts)


def _error(status: str, code: str) -> _Answer:
    body = (
        f"<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    )
    return _Answer(status, {"Content-Type": "application/xml"}, (body.encode(),))


class _Server:
    """Answers each connection from a thread of its own."""

    def __init__(self, folder: Path, latency: float) -> None:
        self._objects = _Objects(Bucket(folder))
        self._latency = latency
        self._count = threading.Lock()
        self._statistics = {"requests": 0, "sent": 0}

    def serve(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        try:
            with connection, connection.makefile("rb") as incoming:
                while line := incoming.readline():
                    method, target, _ = line.decode("latin-1").split(" ", 2)
                    headers: dict[str, str] = {}
                    while (header := incoming.readline().decode("latin-1").rstrip("\r\n")) != "":
                        name, _, value = header.partition(":")
                        headers[name.lower()] = value.strip()
                    if headers.get("expect") == "100-continue":
                        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    body = incoming.read(int(headers.get("content-length", "0")))
                    answer = self._answer(method, target, headers, body)
                    self._send(connection, answer, bodyless=method == "HEAD")
        except (ConnectionError, ValueError):
            # The client went away.
            return

    def _send(self, connection: socket.socket, answer: _Answer, *, bodyless: bool) -> None:
        length = sum(len(part) if isinstance(part, bytes) else part.length for part in answer.parts)
        headers = {
            "Content-Length": str(length),
            **answer.headers,
            "Date": format_datetime(datetime.now(timezone.utc), usegmt=True),
            "x-amz-request-id": "0",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.sendall(
            f"HTTP/1.1 {answer.status}\r\n{lines}\r\n".encode(),
            # With nothing to follow, the kernel would hold the headers back for a fifth of a second.
            0 if bodyless or not length else socket.MSG_MORE,
        )
        with self._count:
            self._statistics["requests"] += 1
            self._statistics["sent"] += 0 if bodyless else length
        if bodyless:
            return
        for part in answer.parts:
            if isinstance(part, bytes):
                connection.sendall(part)
                continue
            offset, left = part.offset, part.length
            while left:
                sent = os.sendfile(connection.fileno(), part.file, offset, left)
                offset, left = offset + sent, left - sent

    def _answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> _Answer:
        parts = urlsplit(target)
        if parts.path == "/~statistics":
            return _Answer("200 OK", {}, (json.dumps(self._statistics).encode(),))
        # A client that goes on with the next request at once would otherwise see less than it does on a network.
        time.sleep(self._latency)
        name, _, rest = parts.path.removeprefix("/").partition("/")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unquote(name) != NAME:
            return _error("404 Not Found", "NoSuchBucket")
        if not rest:
            return self._of_bucket(method, query, body)
        return self._of_object(method, unquote_to_bytes(rest), headers, body)

    def _of_bucket(self, method: str, query: dict[str, str], body: bytes) -> _Answer:
        if method == "HEAD":
            return _Answer("200 OK", {"x-amz-bucket-region": "us-east-1"})
        if "delete" in query:
            keys = [_unescaped(found) for found in _DELETED.findall(body)]
            self._objects.delete(keys)
            quiet = b"<Quiet>true</Quiet>" in body
            named = (
                b"" if quiet else b"".join(b"<Deleted><Key>%b</Key></Deleted>" % _escaped(k) for k in keys)
            )
            return _xml(b"<?xml version='1.0'?>\n<DeleteResult>", named, b"</DeleteResult>")
        if "versioning" in query:
            return _xml(b"<?xml version='1.0'?>\n<VersioningConfiguration/>")
        if "location" in query:
            return _xml(b"<?xml version='1.0'?>\n<LocationConstraint/>")
        if "uploads" in query:
            return _xml(
                b"<?xml version='1.0'?>\n<ListMultipartUploadsResult>"
                b"<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>"
            )
        if query.get("list-type") == "2":
            return self._objects.page(query)
        return _error("404 Not Found", "ObjectLockConfigurationNotFoundError")

    def _of_object(self, method: str, key: bytes, headers: dict[str, str], body: bytes) -> _Answer:
        if method == "PUT":
            return _Answer("200 OK", {"ETag": f'"{self._objects.put(key, body).etag}"'})
        if method == "DELETE":
            self._objects.delete([key])
            return _Answer("204 No Content", {})
        found = self._objects.find(key)
        if found is None:
            return _error("404 Not Found", "NoSuchKey")
        described = {
            "ETag": f'"{found.etag}"',
            "Last-Modified": format_datetime(found.modified, usegmt=True),
            "Accept-Ranges": "bytes",
        }
        if method == "HEAD":
            return _Answer("200 OK", {**described, "Content-Length": str(found.size)})
        start, end, status = 0, found.size, "200 OK"
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", "")):
            start, end = int(wanted[1]), min(int(wanted[2] or found.size) + 1, found.size)
            if start >= found.size:
                return _error("416 Requested Range Not Satisfiable", "InvalidRange")
            described["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
            status = "206 Partial Content"
        return _Answer(status, described, (self._objects.body(key, start, end - start),))


def _unescaped(text: bytes) -> bytes:
    decoded = text.decode()
    for entity, character in reversed(_ENTITIES.items()):
        decoded = decoded.replace(entity, character)
    return decoded.encode()


def _escaped(key: bytes) -> bytes:
    return escape(key.decode(errors="replace")).encode()


class CannedServer:
    """A canned server that runs in a process of its own."""

    region = "us-east-1"

    def __init__(self, port: int) -> None:
        self.endpoint_url = f"http://127.0.0.1:{port}"

    def environment(self) -> dict[str, str]:
        """The AWS variables with which a client talks to it."""
        return {
            "AWS_ACCESS_KEY_ID": "canned",
            "AWS_SECRET_ACCESS_KEY": "canned",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def statistics(self) -> dict[str, int]:
        """How many requests it answered, and how many bytes of content it sent."""
        with urllib.request.urlopen(f"{self.endpoint_url}/~statistics") as answer:  # noqa: S310 - our own server
            found: dict[str, int] = json.load(answer)
        return found


@contextmanager
def serving(folder: Path, latency: float = 0.0) -> Iterator[CannedServer]:
    """Serve the bucket of `folder`; `latency` is in seconds for each request."""
    command = [sys.executable, "-m", "benchmarks.canned", str(folder), str(latency)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdout is not None  # noqa: S101
        try:
            yield CannedServer(int(process.stdout.readline()))
        finally:
            process.kill()


def main(folder: str, latency: str = "0") -> None:
    """Serve until stdin ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=256)
    print(listener.getsockname()[1], flush=True)  # noqa: T201 - the parent reads it
    server = _Server(Path(folder), float(latency))
    threading.Thread(target=server.serve, args=(listener,), daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
