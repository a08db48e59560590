"""Compressed payloads: recognised by content, opened as streams, so that only what a preview reads is unpacked."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO, Protocol

from xcomctl.errors import UnreadableError
from xcomctl.look.codecs.interface import Payload
from xcomctl.look.codecs.snappy import MAGIC as SNAPPY_MAGIC
from xcomctl.look.codecs.snappy import SnappyReader

MAX_NESTED = 3
"""Compressions around one payload that are opened."""
MAX_SPOOLED = 256 << 20
"""Unpacked bytes that are held where a codec must jump about in what is compressed."""

_MAGIC_BYTES = 16
_SKIPPED_AT_ONCE = 1 << 20
_SUFFIXES = (".gz", ".gzip", ".bz2", ".xz", ".lzma", ".zst", ".zstd", ".lz4", ".snappy", ".sz")
_BROKEN = (EOFError, OSError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


class Readable(Protocol):
    """Something that gives bytes in order, and none at its end."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes."""


class _Borrowed(io.RawIOBase):
    """A stream in the hands of a library that closes what it is given."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._source.read(size)


def _open_gzip(source: BinaryIO) -> Readable:
    return gzip.GzipFile(fileobj=source, mode="rb")


def _open_bz2(source: BinaryIO) -> Readable:
    return bz2.BZ2File(source)


def _open_xz(source: BinaryIO) -> Readable:
    return lzma.LZMAFile(source)


def _open_zstd(source: BinaryIO) -> Readable:
    return _open_with_arrow(source, "zstd")


def _open_lz4(source: BinaryIO) -> Readable:
    return _open_with_arrow(source, "lz4")


def _open_with_arrow(source: BinaryIO, codec: str) -> Readable:
    import pyarrow as pa

    stream: Readable = pa.CompressedInputStream(pa.PythonFile(_Borrowed(source), mode="r"), codec)
    return stream


_OPENERS: tuple[tuple[str, tuple[bytes, ...], Callable[[BinaryIO], Readable]], ...] = (
    ("gzip", (b"\x1f\x8b\x08",), _open_gzip),
    (
        "bz2",
        tuple(b"BZh%d" % level + block for level in range(1, 10) for block in (b"1AY&SY", b"\x17rE8P\x90")),
        _open_bz2,
    ),
    ("xz", (b"\xfd7zXZ\x00",), _open_xz),
    ("zstd", (b"\x28\xb5\x2f\xfd",), _open_zstd),
    ("lz4", (b"\x04\x22\x4d\x18",), _open_lz4),
    ("snappy", (SNAPPY_MAGIC,), SnappyReader),
)


class UnpackedStream(io.RawIOBase):
    """The content of a compressed stream. It can go back (by starting over) and forth, but does not know its end.

    Reading raises UnreadableError where the compressed stream is truncated or corrupt.
    """

    def __init__(self, source: BinaryIO, name: str, opener: Callable[[BinaryIO], Readable]) -> None:
        self._source = source
        self._name = name
        self._opener = opener
        self._reader: Readable | None = None
        self._place = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """From the start and from the present place, not from the end."""
        return True

    def tell(self) -> int:
        """Unpacked bytes before the present place."""
        return self._place

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; all of them are not offered, for they may be without end."""
        if size < 0:
            raise io.UnsupportedOperation("say how much to read")
        try:
            if self._reader is None:
                self._source.seek(0)
                self._reader = self._opener(self._source)
            part = self._reader.read(size)
        except _BROKEN as error:
            raise UnreadableError(
                f"the {self._name} stream is truncated or corrupt after {self._place} bytes of content: {error}",
                hint="--raw writes the bytes as they are stored",
            ) from error
        self._place += len(part)
        return part

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` as far as one read gives."""
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; going back starts the stream over."""
        if whence == os.SEEK_END:
            raise io.UnsupportedOperation("the length of a compressed stream is not known")
        target = offset + (self._place if whence == os.SEEK_CUR else 0)
        if target < self._place:
            self._reader = None
            self._place = 0
        while self._place < target and self.read(min(target - self._place, _SKIPPED_AT_ONCE)):
            pass
        return self._place


def unpack(payload: Payload) -> Payload:
    """The payload inside all its compressions (named in `compression`, outermost first); it itself if there is none.

    The size of what is unpacked is not known (None). Raises UnreadableError (corrupt, or nested too often).
    """
    for _ in range(MAX_NESTED + 1):
        inner = _unpack_once(payload)
        if inner is None:
            return payload
        payload = inner
    raise UnreadableError(
        f"compressed more than {MAX_NESTED} times", hint="--raw writes the bytes as they are stored"
    )


def _unpack_once(payload: Payload) -> Payload | None:
    start = payload.stream.read(_MAGIC_BYTES)
    payload.stream.seek(0)
    for name, magics, opener in _OPENERS:
        if start.startswith(magics):
            return _inside(
                payload, UnpackedStream(payload.stream, name, opener), name, _without_suffix(payload.name)
            )
    if is_zip(start):
        source = seekable(payload)
        if (member := only_member(source)) is not None:
            stream = UnpackedStream(source, "zip", lambda packed: open_member(packed, member))
            return _inside(payload, stream, "zip", member)
    return None


def _inside(payload: Payload, stream: UnpackedStream, compression: str, name: str) -> Payload:
    return replace(
        payload,
        stream=io.BufferedReader(stream),
        size=None,
        name=name,
        compression=(*payload.compression, compression),
    )


def _without_suffix(name: str) -> str:
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def seekable(payload: Payload) -> BinaryIO:
    """A stream that can jump anywhere, its end included: the payload's own, or its unpacked content in memory.

    Raises UnreadableError where the content is larger than MAX_SPOOLED.
    """
    if not payload.compression:
        return payload.stream
    payload.stream.seek(0)
    content = io.BytesIO()
    while part := payload.stream.read(_SKIPPED_AT_ONCE):
        content.write(part)
        if content.tell() > MAX_SPOOLED:
            raise UnreadableError(
                f"the content unpacks to more than {MAX_SPOOLED >> 20} MiB, and its codec has to read it from the end",
                hint="--raw --out FILE writes the bytes as they are stored; unpack that file",
            )
    payload.stream.seek(0)
    content.seek(0)
    return content


def is_zip(start: bytes) -> bool:
    """Whether the first bytes are those of a zip archive."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def only_member(source: BinaryIO) -> str | None:
    """Name of the member if the archive holds exactly one. Raises UnreadableError (truncated, corrupt)."""
    members = members_of(source)
    return members[0].filename if len(members) == 1 else None


def open_member(source: BinaryIO, name: str) -> BinaryIO:
    """The content of one member, to be read forward. Raises UnreadableError (encrypted, of an unknown method)."""
    try:
        return zipfile.ZipFile(source).open(name)  # type: ignore[return-value]
    except (RuntimeError, KeyError) as error:
        raise UnreadableError(f"the zip archive cannot be opened: {error}") from error


def members_of(source: BinaryIO) -> list[zipfile.ZipInfo]:
    """The members that are not folders, in order. Raises UnreadableError (truncated, corrupt)."""
    source.seek(0)
    try:
        members = zipfile.ZipFile(source).infolist()
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, OSError, ValueError, EOFError) as error:
        raise UnreadableError(
            f"the zip archive is truncated or corrupt: {error}",
            hint="--raw writes the bytes as they are stored",
        ) from error
    return [member for member in members if not member.filename.endswith("/")]
