"""A stored object as a seekable file, of which only the bytes that somebody reads are fetched, and a little ahead."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from xcomctl.errors import StoreError
from xcomctl.models import ObjectAddress
from xcomctl.s3.interface import Store

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_FIRST_BLOCK = 64 << 10
_LARGEST_BLOCK = 4 << 20


class ObjectReader(io.RawIOBase):
    """Read-only file over one object of `size` bytes; `read(n)` gives n bytes unless the object ends before.

    One block is kept: 64 KiB after a seek, doubled up to 4 MiB as long as reading goes straight on. A read of more
    than a block is one request for exactly that much. Reading raises NotFoundError and StoreError.
    """

    def __init__(self, store: Store, address: ObjectAddress, size: int) -> None:
        super().__init__()
        self._store = store
        self._address = address
        self._size = size
        self._position = 0
        self._block = b""
        self._block_start = 0
        self._block_size = _FIRST_BLOCK
        self.bytes_fetched = 0
        """How many bytes came from the store so far."""

    @property
    def name(self) -> str:
        """The object's address as `s3://bucket/key`."""
        return self._address.uri

    def readable(self) -> bool:
        """Always True."""
        return True

    def seekable(self) -> bool:
        """Always True: seeking costs nothing until something is read."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move to `offset` from the start, the position or the end; the new position. Raises ValueError if negative."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise ValueError("negative seek position")
        self._position = origin + offset
        return self._position

    def tell(self) -> int:
        """The position, in bytes from the start."""
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill `buffer` from the position on; how many bytes it got, less than its length only at the end."""
        if self.closed:
            raise ValueError("read of closed file")
        target = memoryview(buffer).cast("B")
        wanted = max(0, min(len(target), self._size - self._position))
        filled = 0
        while filled < wanted:
            offset = self._position - self._block_start
            if not 0 <= offset < len(self._block):
                self._fetch(wanted - filled)
                offset = 0
            piece = self._block[offset : offset + wanted - filled]
            target[filled : filled + len(piece)] = piece
            filled += len(piece)
            self._position += len(piece)
        return filled

    def _fetch(self, wanted: int) -> None:
        """Make the block begin at the position and hold at least `wanted` bytes."""
        straight_on = bool(self._block) and self._position == self._block_start + len(self._block)
        self._block_size = min(self._block_size * 2, _LARGEST_BLOCK) if straight_on else _FIRST_BLOCK
        length = min(max(wanted, self._block_size), self._size - self._position)
        block = self._store.read(self._address, self._position, length)
        self.bytes_fetched += len(block)
        if len(block) != length:
            raise StoreError(f"{self._address.uri} changed while it was read", hint="try again")
        self._block, self._block_start = block, self._position
