"""Reading a long listing in several stretches at once, of which nothing is known before: idle threads steal from busy ones.

The listing is cut where the store itself says that a folder begins. Each thread reads a stretch of it, page after page;
one that has nothing to do asks for the folders that lie ahead of another one, and begins to read at one of them.

That nothing is read twice and nothing left out is not a matter of where the cuts are meant to be, but of what was
read: a stretch ends where it meets a key with which the next one began, its seam. This holds for any order in which a
store lists, as long as it is the same each time. Where keys come in the order of their bytes, as S3 promises, a key
behind the seam shows too that it has been reached, though whoever deletes objects meanwhile has taken the seam away. Once
a store has shown another order, nothing is cut any more, and only a seam that was met counts; else the listing is an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from threading import Condition, Thread
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from xcomctl.errors import StoreError
from xcomctl.stores.s3_cuts import ascending, common_folder, folders_of, random_names, spread, worth
from xcomctl.stores.s3_errors import knows_not
from xcomctl.stores.s3_pages import History, Page, Pages
from xcomctl.stores.s3_parallel import THREADS

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_WAITING = 2 * THREADS
"""Pages that wait for whoever reads the listing: a thousand objects each."""

_SEAM_KEYS = 100

_PAGES_BEFORE_THEFT = 2
"""A stretch that ends after so many pages is not worth a question."""

_SECONDS_TO_LEAVE = 5.0
"""How long an interrupted listing waits for answers that are on their way."""


@dataclass(frozen=True, slots=True)
class _Seam:
    """The first keys of a stretch."""

    first: str
    keys: pa.Array


class _Stretch:
    """A part of the listing that one thread reads, from where it is now to its seam with the next one."""

    def __init__(self, position: str, seam: _Seam | None, within: str, history: History) -> None:
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
        self.patience = _PAGES_BEFORE_THEFT
        """Pages to be read before it is asked (again) what could be stolen."""


class Stealing:
    """The rest of a listing. To be used once."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        # Guards all that follows.
        self._changed = Condition()
        self._tasks: deque[Callable[[], None]] = deque()
        self._stretches: list[_Stretch] = []
        self._starts: deque[str] = deque()
        self._seams: list[_Seam] = []
        self._ready: deque[pa.RecordBatch] = deque()
        self._busy = 0
        self._asking = False
        self._in_order = True
        self._passed_a_seam = False
        self._ended = False
        self._error: BaseException | None = None

    def objects_behind(self, page: Page, history: History) -> Generator[pa.RecordBatch, None, None]:
        """All objects behind those of `page`, which is in order and not the last one, page by page in no order.

        Raises StoreError. To close the iterator early ends all threads.
        """
        stretch = _Stretch(page.keys[-1].as_py(), None, self._pages.root.prefix, history)
        stretch.pages, stretch.latest = _PAGES_BEFORE_THEFT, page.keys
        self._stretches.append(stretch)
        self._tasks.append(partial(self._read, stretch, page.token))
        # What hangs must not keep the process from ending.
        threads = [
            Thread(target=self._work, name=f"listing-{number}", daemon=True) for number in range(THREADS)
        ]
        try:
            for thread in threads:
                thread.start()
            while (objects := self._next()) is not None:
                yield objects
        finally:
            self._end()
            for thread in threads:
                if thread.ident is not None:
                    thread.join(_SECONDS_TO_LEAVE)

    def _next(self) -> pa.RecordBatch | None:
        with self._changed:
            while True:
                if self._error is not None:
                    raise self._error
                if self._ready:
                    self._changed.notify_all()
                    return self._ready.popleft()
                if self._ended:
                    return None
                self._changed.wait()

    def _end(self, error: BaseException | None = None) -> None:
        with self._changed:
            self._error = self._error or error
            self._ended = True
            self._changed.notify_all()

    def _work(self) -> None:
        try:
            while (task := self._task()) is not None:
                task()
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()
        except BaseException as error:  # whatever it is, the listing is not whole
            self._end(error)

    def _task(self) -> Callable[[], None] | None:
        """What an idle thread is to do next; waits for it. None at the end."""
        with self._changed:
            while not self._ended:
                task = self._found()
                if task is not None:
                    self._busy += 1
                    return task
                if not self._busy:
                    self._ended = True
                    self._changed.notify_all()
                    break
                self._changed.wait()
            return None

    def _found(self) -> Callable[[], None] | None:
        if self._tasks:
            return self._tasks.popleft()
        if not self._in_order:
            return None
        while self._starts:
            start = self._starts.popleft()
            if self._holder(start) is not None:
                return partial(self._begin, start)
        # One question at a time: its answer is for all who are idle by then.
        rich = [one for one in self._stretches if one.pages >= one.patience and one.latest is not None]
        if self._asking or not rich:
            return None
        self._asking = True
        return partial(self._ask_what_lies_ahead, max(rich, key=_promise))

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read(self, stretch: _Stretch, token: str | None, page: Page | None = None) -> None:
        """Read a stretch to its end: `page` if it is there already, then the page of `token`, and so on."""
        while True:
            if page is None:
                page = self._pages.ask(token=token)
            stretch.history.add(page)
            objects, at_end = self._advance(stretch, page)
            self._hand_out(objects)
            if at_end or self._ended:
                return
            token, page = page.token, None

    def _advance(self, stretch: _Stretch, page: Page) -> tuple[pa.RecordBatch, bool]:
        """The objects of a page that belong to the stretch, and whether these are its last ones."""
        in_order = ascending(page.keys, stretch.position)
        with self._changed:
            if not in_order:
                self._give_up_cutting()
            objects, at_end = page.objects, page.token is None
            if stretch.seam is not None:
                end = self._end_at(stretch.seam, page.keys)
                if end is None and at_end:
                    self._pages.incomplete("it ended before a key that had been listed")
                if end is not None:
                    objects, at_end = objects.slice(0, end), True
            if objects.num_rows:
                stretch.position = objects.column("key")[-1].as_py()
            stretch.pages += 1
            stretch.latest = page.keys
            if at_end:
                self._stretches.remove(stretch)
            self._changed.notify_all()
        return objects, at_end

    def _end_at(self, seam: _Seam, keys: pa.Array) -> int | None:
        """Number of keys before the seam, None where all are."""
        import pyarrow.compute as pc

        if self._in_order:
            before = pc.less(keys, seam.first)
            end = pc.index(before, False).as_py()
            if end < 0:
                return None
            self._passed_a_seam |= not pc.is_in(keys.slice(end, 1), seam.keys)[0].as_py()
            return int(end)
        end = pc.index(pc.is_in(keys, seam.keys), True).as_py()
        if end >= 0:
            return int(end)
        if any(pc.any(pc.is_in(keys, other.keys), min_count=0).as_py() for other in self._seams):
            self._pages.incomplete("the store lists in an order of its own, which changed meanwhile")
        return None

    def _hand_out(self, objects: pa.RecordBatch) -> None:
        if not objects.num_rows:
            return
        with self._changed:
            while len(self._ready) >= _MOST_WAITING and not self._ended:
                self._changed.wait()
            self._ready.append(objects)
            self._changed.notify_all()

    # --- stealing -----------------------------------------------------------------------------------------------------

    def _ask_what_lies_ahead(self, victim: _Stretch) -> None:
        """Find where others could begin to read what a stretch has still before it."""
        with self._changed:
            position, seam, latest = victim.position, victim.seam, victim.latest
            wanted = THREADS - self._busy + 1
            within = victim.within
        starts: list[str] = []
        for folder in folders_of(position, within if seam is None else common_folder(position, seam.first)):
            ahead, barren = self._ahead_in(folder, position, seam)
            if barren and not starts:
                # All that is left lies in the folder below.
                below = position.find("/", len(folder)) + 1
                within = position[:below] or within
            starts += spread(ahead, worth(ahead, folder, latest, wanted - len(starts)))
            if len(starts) >= wanted:
                break
        with self._changed:
            self._asking = False
            victim.within = within
            if not starts:
                victim.patience = 2 * max(victim.pages, 2 * _PAGES_BEFORE_THEFT)
            if self._in_order:
                self._starts.extend(starts)
            self._changed.notify_all()

    def _ahead_in(self, folder: str, position: str, seam: _Seam | None) -> tuple[list[str], bool]:
        """Where to begin in `folder` behind `position` and before the seam: at its folders, or at random names.

        And whether it is certain that there is no folder.
        """
        if names := random_names(folder, position, None if seam is None else seam.first):
            return names, False
        if folder != self._pages.root.prefix and "/" not in position[len(folder) :]:
            # Beside objects there are no folders, as a rule.
            return [], False
        page = self._unless_refused(partial(self._pages.ask_folder, folder, after=position))
        listed = page.folders if page is not None else ()
        if any(after <= before for before, after in pairwise(listed)):
            with self._changed:
                self._give_up_cutting()
        if page is None or not self._in_order:
            return [], False
        ahead = [name for name in listed if name > position and (seam is None or name < seam.first)]
        return ahead, not ahead and page.token is None

    def _begin(self, start: str) -> None:
        """Read from the folder `start` on, if what the store gives from there on lies ahead of another stretch."""
        page = self._unless_refused(partial(self._pages.ask, after=start))
        if page is None:
            return
        with self._changed:
            stretch = self._new_stretch(start, page)
        if stretch is not None:
            self._read(stretch, None, page)

    def _unless_refused(self, ask: Callable[[], Page]) -> Page | None:
        """The answer to a question that not all products know; None from one that does not. Raises StoreError."""
        try:
            return ask()
        except StoreError as error:
            if not (isinstance(error.__cause__, ClientError) and knows_not(error.__cause__)):
                raise
            with self._changed:
                self._give_up_cutting()
            return None

    def _new_stretch(self, start: str, page: Page) -> _Stretch | None:
        if not page.objects.num_rows:
            return None
        if not ascending(page.keys, start):
            self._give_up_cutting()
        first = page.keys[0].as_py()
        holder = self._holder(first)
        if not self._in_order or holder is None or not first.startswith(start):
            return None
        within = holder.within if holder.seam is None else common_folder(first, holder.seam.first)
        stretch = _Stretch(start, holder.seam, within, History(self._pages))
        holder.seam = _Seam(first, page.keys.slice(0, _SEAM_KEYS))
        self._seams.append(holder.seam)
        self._stretches.append(stretch)
        return stretch

    def _holder(self, key: str) -> _Stretch | None:
        """The stretch that has `key` still before it."""
        for one in self._stretches:
            if one.position < key and (one.seam is None or key < one.seam.first):
                return one
        return None

    def _give_up_cutting(self) -> None:
        self._in_order = False
        self._starts.clear()
        if self._passed_a_seam:
            self._pages.incomplete("the store lists in an order of its own")


def _promise(stretch: _Stretch) -> tuple[bool, int]:
    """How much may lie ahead: nobody knows. A folder larger than a page comes first, then who has read most."""
    latest = stretch.latest
    if latest is None or not len(latest):
        return False, stretch.pages
    return common_folder(latest[0].as_py(), latest[-1].as_py()) != stretch.within, stretch.pages
