"""The framing format of Snappy, which the bare block codec of pyarrow does not read by itself."""

from __future__ import annotations

from typing import BinaryIO

from xcomctl.errors import UnreadableError

MAGIC = b"\xff\x06\x00\x00sNaPpY"

_MAX_BLOCK = 65536
"""Uncompressed bytes that one chunk may hold, by the format."""
_COMPRESSED, _PLAIN, _FIRST_SKIPPABLE = 0x00, 0x01, 0x80
_CHECKSUM = 4


class SnappyReader:
    """Reads a framed Snappy stream forward, chunk by chunk."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._block = b""

    def read(self, size: int) -> bytes:
        """At most `size` bytes, none at the end. Raises UnreadableError."""
        while not self._block:
            head = self._source.read(4)
            if not head:
                return b""
            kind, length = head[0], int.from_bytes(head[1:], "little")
            body = self._source.read(length)
            if len(head) < 4 or len(body) < length:
                raise UnreadableError("the snappy stream ends in the middle of a chunk")
            self._block = self._content(kind, body)
        part, self._block = self._block[:size], self._block[size:]
        return part

    @staticmethod
    def _content(kind: int, body: bytes) -> bytes:
        if kind == _PLAIN:
            return body[_CHECKSUM:]
        if kind == _COMPRESSED:
            import pyarrow as pa

            block = body[_CHECKSUM:]
            content: bytes = pa.decompress(
                block, decompressed_size=_length(block), codec="snappy", asbytes=True
            )
            return content
        if kind >= _FIRST_SKIPPABLE:
            return b""
        raise UnreadableError(f"the snappy stream holds a chunk of unknown kind {kind:#04x}")


def _length(block: bytes) -> int:
    """Uncompressed length that a block announces, as a variable-length integer at its start."""
    length = 0
    for place, byte in enumerate(block[:5]):
        length |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            break
    if length > _MAX_BLOCK:
        raise UnreadableError("the snappy stream announces a block that is larger than the format allows")
    return length
