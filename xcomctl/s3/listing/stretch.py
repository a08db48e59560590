"""A part of a listing that one thread reads, and the seam at which it meets the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xcomctl.s3.listing.cuts import common_folder
from xcomctl.s3.listing.pages import History

if TYPE_CHECKING:
    import pyarrow as pa

PAGES_BEFORE_THEFT = 2
"""A stretch that ends after so many pages is not worth a question."""


@dataclass(frozen=True, slots=True)
class Seam:
    """The first keys of a stretch."""

    start: str
    """The folder, or the beginning of a name, behind which it was asked for."""
    first: str
    keys: pa.Array


class Stretch:
    """A part of the listing that one thread reads, from where it is now to its seam with the next one."""

    def __init__(self, position: str, seam: Seam | None, within: str, history: History) -> None:
        self.position = position
        """The last key that was handed out; what is left lies behind it."""
        self.seam = seam
        """None for the last stretch."""
        self.within = within
        """All that is left lies in this folder."""
        self.history = history
        self.pages = 0
        self.latest: pa.Array | None = None
        """The keys of the latest page."""
        self.patience = PAGES_BEFORE_THEFT
        """Pages to be read before it is asked (again) what could be stolen."""


def promise(stretch: Stretch, root: str) -> tuple[bool, int]:
    """How much may lie ahead: nobody knows. A folder larger than a page comes first, then who has read most."""
    latest = stretch.latest
    if latest is None or not len(latest):
        return False, stretch.pages
    return common_folder(latest[0].as_py(), latest[-1].as_py()) != root, stretch.pages
