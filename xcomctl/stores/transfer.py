"""Port for whole payloads that come from a store and go into it: of any size, with what describes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol

from xcomctl.models import ObjectAddress
from xcomctl.stores.interface import ObjectInfo, Store


@dataclass(frozen=True, slots=True)
class Description:
    """What a store keeps of a payload beside its bytes. None where it was not said."""

    content_type: str | None = None
    content_encoding: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Download:
    """One object on its way here: all from one answer, so that content, etag and description belong together."""

    info: ObjectInfo
    description: Description
    chunks: Iterator[bytes]
    """Raises StoreError where the payload does not come whole."""


class TransferStore(Store, Protocol):
    """A store that hands out and takes whole payloads."""

    def download(self, address: ObjectAddress) -> AbstractContextManager[Download]:
        """Open an object. Raises NotFoundError, StoreError."""

    def upload(
        self,
        address: ObjectAddress,
        body: BinaryIO,
        size: int,
        description: Description,
        *,
        if_absent: bool = False,
    ) -> ObjectInfo:
        """Write `size` bytes of a file from its position on, in one piece or none, and describe the object.

        Raises ConflictError where `if_absent` and there is an object (it may be this one, if an answer was lost: compare
        it), StoreError.
        """
