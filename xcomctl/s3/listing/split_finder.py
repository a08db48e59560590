"""Where others could begin to read what a key range of a listing has still before it: at the folders there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from xcomctl.s3.listing.pages import Page
from xcomctl.s3.listing.split_points import folders_of, random_split_points, spread, worth

if TYPE_CHECKING:
    import pyarrow as pa

AskFolder = Callable[[str, str | None, str], Page | None]
"""Asks for a page of a folder, by its token or behind a key; None where that is of no use with this store."""


@dataclass(slots=True)
class SplitFinder:
    """Looks for beginnings behind the key `position` and before `end`."""

    position: str
    end: str | None
    """The name at which the next key range began; None where there is no next one."""
    root: str
    within: str
    """All that is left lies in this folder. As it goes on, it may find a deeper one."""
    latest: pa.Array
    """The keys of the page that was read last: they tell how much a folder holds."""

    def beginnings(self, ask: AskFolder, most: int) -> Iterator[list[str]]:
        """Names at which to begin, ascending in each list of at most `most`. Of the outermost folder that has any."""
        nothing_yet = True
        for folder in folders_of(self.position, self.within):
            if folder != self.within and not self.latest[0].as_py().startswith(folder):
                # It holds less than a page.
                return
            for ahead, is_all in self._ahead_in(folder, ask):
                if is_all and not ahead and nothing_yet:
                    # All that is left lies in the folder below.
                    below = self.position.find("/", len(folder)) + 1
                    self.within = self.position[:below] or self.within
                enough = worth(ahead, folder, self.latest)
                if not enough:
                    break
                nothing_yet = False
                yield from _ever_closer(ahead, min(most, enough), enough)
            if not nothing_yet:
                return

    def _ahead_in(self, folder: str, ask: AskFolder) -> Iterator[tuple[list[str], bool]]:
        """Where to begin in `folder`: at its folders, page by page, or at random names; whether that is surely all."""
        if names := random_split_points(folder, self.position, self.end):
            yield names, False
            return
        if folder != self.root and "/" not in self.position[len(folder) :]:
            # Beside objects there are no folders, as a rule.
            return
        token, after = None, self.position
        while (page := ask(folder, token, after)) is not None:
            ahead = [name for name in page.folders if name > after and (self.end is None or name < self.end)]
            reaches_the_end = self.end is not None and bool(page.folders) and page.folders[-1] >= self.end
            yield ahead, page.token is None or reaches_the_end
            if page.token is None or not ahead or ahead[-1] != page.folders[-1]:
                return
            token, after = page.token, ahead[-1]


def _ever_closer(ahead: list[str], count: int, enough: int) -> Iterator[list[str]]:
    """`count` of the names at equal distances, then those halfway between them, and so on, up to `enough`."""
    given: set[str] = set()
    while True:
        chosen = [name for name in spread(ahead, count) if name not in given]
        given.update(chosen)
        yield chosen
        if count == enough:
            return
        count = min(2 * count + 1, enough)
        if count == enough < len(ahead):
            # What is not halfway would lie close to one that was given.
            return
