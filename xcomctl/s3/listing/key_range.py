"""A part of a listing that one thread reads, and the seam at which it meets the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xcomctl.s3.listing.pages import History
from xcomctl.s3.listing.split_points import common_folder

if TYPE_CHECKING:
    import pyarrow as pa

PAGES_BEFORE_SPLIT = 2
"""A key range that ends after so many pages is not worth a question."""


@dataclass(frozen=True, slots=True)
class Seam:
    """The first keys of a key range."""

    start: str
    """The folder, or the beginning of a name, behind which it was asked for."""
    first: str
    keys: pa.Array


class KeyRange:
    """A part of the listing that one thread reads, from where it is now to its seam with the next one."""

    def __init__(self, position: str, seam: Seam | None, within: str, history: History) -> None:
        self.position = position
        """The last key that was handed out; what is left lies behind it."""
        self.seam = seam
        """None for the last key range."""
        self.within = within
        """All that is left lies in this folder."""
        self.history = history
        self.pages = 0
        self.latest: pa.Array | None = None
        """The keys of the latest page."""
        self.pages_before_split = PAGES_BEFORE_SPLIT
        """Pages to be read before it is asked (again) what could be stolen."""


def promise(key_range: KeyRange, root: str) -> tuple[bool, int]:
    """How much may lie ahead: nobody knows. A folder larger than a page comes first, then who has read most."""
    latest = key_range.latest
    if latest is None or not len(latest):
        return False, key_range.pages
    return common_folder(latest[0].as_py(), latest[-1].as_py()) != root, key_range.pages
