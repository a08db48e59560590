"""Port to unfinished multipart uploads: their parts are paid for, and no listing of objects shows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from xcomctl.models import ObjectAddress, Root


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that was begun, and neither completed nor aborted. `begun_at` is by the store's clock."""

    address: ObjectAddress
    upload_id: str
    begun_at: datetime
    size: int | None = None
    """Bytes of the parts that have arrived; None where nobody asked, or the store does not tell."""


@dataclass(frozen=True, slots=True)
class AbortOutcome:
    """What became of one upload that was to be aborted.

    gone: it was completed or aborted before. denied: the right is missing. not_done: nobody tried after all.
    """

    upload: Upload
    result: Literal["aborted", "gone", "denied", "failed", "not_done"]
    cause: str | None = None
    hint: str | None = None


class UploadStore(Protocol):
    """What a store does with unfinished uploads."""

    def uploads(self, root: Root) -> Iterator[list[Upload]]:
        """Every unfinished upload below `root`, page by page, without their bytes.

        Raises DeclinedError where the store does not let us ask, does not know the question or breaks off in its answer;
        StoreError where it is out of reach.
        """

    def weigh_uploads(self, uploads: Sequence[Upload]) -> list[Upload | None]:
        """The same with the bytes of their parts, asked for in parallel, in order.

        None only where the store says that there is no such upload; without bytes where it does not tell.
        """

    def abort_uploads(self, uploads: Sequence[Upload]) -> list[AbortOutcome]:
        """Abort uploads, in parallel; one outcome each, in order."""
