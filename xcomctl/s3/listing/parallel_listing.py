"""Reading a long listing in several key ranges at once, of which nothing is known before: idle threads steal from busy ones.

The listing is cut where the store itself says that a folder begins. Each thread reads a key range of it, page after page;
one that has nothing to do asks for the folders that lie ahead of another one, and begins to read at one of them. There
are more threads the longer the store takes to answer.

That nothing is read twice and nothing left out is not a matter of where the cuts are meant to be, but of what was
read: a key range ends where it meets a key with which the next one began, its seam. This holds for any order in which a
store lists, as long as it is the same each time. Where keys come in the order of their bytes, as S3 promises, a key
behind the seam shows too that it has been reached, though whoever deletes objects meanwhile has taken the seam away. Once
a store has shown another order, nothing is cut any more, and only a seam that was met counts; else the listing is an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from functools import partial
from itertools import pairwise
from threading import Condition, RLock, Thread
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from xcomctl.arrow_arrays import first, text
from xcomctl.errors import StoreError
from xcomctl.s3.errors import knows_not
from xcomctl.s3.listing.key_range import PAGES_BEFORE_SPLIT, KeyRange, Seam, promise
from xcomctl.s3.listing.pages import History, Page, Pages
from xcomctl.s3.listing.split_finder import SplitFinder
from xcomctl.s3.listing.split_points import ascending, common_folder
from xcomctl.s3.parallel import THREADS

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_WAITING = 2 * THREADS
"""Pages that wait for whoever reads the listing: a thousand objects each."""

_SEAM_KEYS = 100

_SECONDS_TO_LEAVE = 5.0
"""How long an interrupted listing waits for answers that are on their way."""


class ParallelListing:
    """The rest of a listing. To be used once."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        # Guards all that follows.
        self._lock = RLock()
        self._to_do, self._to_read = Condition(self._lock), Condition(self._lock)
        self._room = Condition(self._lock)
        self._threads: list[Thread] = []
        self._tasks: deque[Callable[[], None]] = deque()
        self._ranges: list[KeyRange] = []
        self._starts: deque[str] = deque()
        self._begun: set[str] = set()
        """Starts to which an answer is on its way."""
        self._split: tuple[KeyRange, Iterator[list[str]]] | None = None
        self._seams: list[Seam] = []
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
        key_range = KeyRange(page.keys[-1].as_py(), None, self._pages.root.prefix, history)
        key_range.pages, key_range.latest = PAGES_BEFORE_SPLIT, page.keys
        self._ranges.append(key_range)
        self._tasks.append(partial(self._read, key_range, page.token))
        try:
            with self._lock:
                self._add_threads()
            while (objects := self._next()) is not None:
                yield objects
        finally:
            self._end()
            for thread in self._threads:
                thread.join(_SECONDS_TO_LEAVE)

    def _add_threads(self) -> None:
        while len(self._threads) < self._pages.concurrency.threads() and not self._ended:
            # What hangs must not keep the process from ending.
            thread = Thread(target=self._work, name=f"listing-{len(self._threads)}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def _next(self) -> pa.RecordBatch | None:
        with self._lock:
            while True:
                if self._error is not None:
                    raise self._error
                if self._ready:
                    self._room.notify()
                    return self._ready.popleft()
                if self._ended:
                    return None
                self._to_read.wait()

    def _end(self, error: BaseException | None = None) -> None:
        with self._lock:
            self._error = self._error or error
            self._ended = True
            for condition in (self._to_do, self._to_read, self._room):
                condition.notify_all()

    def _work(self) -> None:
        try:
            while (task := self._task()) is not None:
                task()
                with self._lock:
                    self._busy -= 1
        except BaseException as error:  # whatever it is, the listing is not whole
            self._end(error)

    def _task(self) -> Callable[[], None] | None:
        """What an idle thread is to do next; waits for it. None at the end."""
        with self._lock:
            while not self._ended:
                task = self._found()
                if task is not None:
                    self._busy += 1
                    return task
                if not self._busy:
                    self._end()
                    break
                self._to_do.wait()
            return None

    def _found(self) -> Callable[[], None] | None:
        if self._tasks:
            return self._tasks.popleft()
        if not self._in_order or self._busy >= self._pages.concurrency.threads():
            return None
        while self._starts:
            start = self._starts.popleft()
            if start not in self._begun and self._holder(start) is not None:
                self._begun.add(start)
                return partial(self._begin, start)
        # One question at a time: its answer is for all who are idle by then.
        if self._asking:
            return None
        if self._split is None:
            rich = [
                one for one in self._ranges if one.pages >= one.pages_before_split and one.latest is not None
            ]
            if not rich:
                return None
            self._split = self._split_of(max(rich, key=lambda one: promise(one, self._pages.root.prefix)))
        self._asking = True
        return partial(self._ask_what_lies_ahead, *self._split)

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read(self, key_range: KeyRange, token: str | None, page: Page | None = None) -> None:
        """Read a key range to its end: `page` if it is there already, then the page of `token`, and so on."""
        while True:
            if page is None:
                page = self._pages.ask(token=token)
            key_range.history.add(page)
            objects, at_end = self._advance(key_range, page)
            self._hand_out(objects)
            if at_end or self._ended:
                return
            token, page = page.token, None

    def _advance(self, key_range: KeyRange, page: Page) -> tuple[pa.RecordBatch, bool]:
        """The objects of a page that belong to the key range, and whether these are its last ones."""
        in_order = ascending(page.keys, key_range.position)
        with self._lock:
            if not in_order:
                self._give_up_cutting()
            objects, at_end = page.objects, page.token is None
            if key_range.seam is not None:
                end = self._end_at(key_range.seam, page.keys)
                if end is None and at_end:
                    self._pages.incomplete("it ended before a key that had been listed")
                if end is not None:
                    objects, at_end = objects.slice(0, end), True
            if objects.num_rows:
                key_range.position = objects.column("key")[-1].as_py()
            key_range.pages += 1
            key_range.latest = page.keys
            if at_end:
                self._ranges.remove(key_range)
            self._add_threads()
            self._to_do.notify()
        return objects, at_end

    def _end_at(self, seam: Seam, keys: pa.Array) -> int | None:
        """Number of keys before the seam, None where all are."""
        import pyarrow.compute as pc

        if self._in_order:
            end = first(pc.less(keys, text(seam.first)), wanted=False)
            if end < 0:
                return None
            self._passed_a_seam |= not pc.is_in(keys.slice(end, 1), seam.keys)[0].as_py()
            return end
        end = first(pc.is_in(keys, seam.keys), wanted=True)
        if end >= 0:
            return end
        if any(pc.any(pc.is_in(keys, other.keys), min_count=0).as_py() for other in self._seams):
            self._pages.incomplete("the store lists in an order of its own, which changed meanwhile")
        return None

    def _hand_out(self, objects: pa.RecordBatch) -> None:
        if not objects.num_rows:
            return
        with self._lock:
            while len(self._ready) >= _MOST_WAITING and not self._ended:
                self._room.wait()
            self._ready.append(objects)
            self._to_read.notify()

    # --- splitting ----------------------------------------------------------------------------------------------------

    def _split_of(self, victim: KeyRange) -> tuple[KeyRange, Iterator[list[str]]]:
        """The one that finds where others could begin to read what a key range has still before it."""
        seam, within = victim.seam, victim.within
        if seam is not None:
            within = max(within, common_folder(victim.position, seam.first), key=len)
        assert victim.latest is not None  # noqa: S101 - it is rich
        end = None if seam is None else seam.start
        finder = SplitFinder(victim.position, end, self._pages.root.prefix, within, victim.latest)
        return victim, self._beginnings(victim, finder)

    def _beginnings(self, victim: KeyRange, finder: SplitFinder) -> Iterator[list[str]]:
        found = False
        for starts in finder.beginnings(self._ask_folder, self._pages.concurrency.threads()):
            found = True
            yield starts
        with self._lock:
            victim.within = finder.within
            if not found:
                victim.pages_before_split = 2 * max(victim.pages, 2 * PAGES_BEFORE_SPLIT)

    def _ask_what_lies_ahead(self, _: KeyRange, beginnings: Iterator[list[str]]) -> None:
        """Have the finder go on until there is enough for all who are idle."""
        for starts in beginnings:
            with self._lock:
                self._starts.extend(starts if self._in_order else ())
                self._to_do.notify(len(starts))
                if not self._in_order or len(self._starts) > self._pages.concurrency.threads() - self._busy:
                    self._asking = False
                    return
        with self._lock:
            self._split = None
            self._asking = False

    def _ask_folder(self, folder: str, token: str | None, after: str) -> Page | None:
        page = self._unless_refused(partial(self._pages.ask_folder, folder, token=token, after=after))
        if page is not None and any(after <= before for before, after in pairwise(page.folders)):
            with self._lock:
                self._give_up_cutting()
        return page if self._in_order else None

    def _begin(self, start: str) -> None:
        """Read from the folder `start` on, if what the store gives from there on lies ahead of another key range."""
        page = self._unless_refused(partial(self._pages.ask, after=start))
        with self._lock:
            self._begun.discard(start)
            key_range = None if page is None else self._new_range(start, page)
        if key_range is not None:
            self._read(key_range, None, page)

    def _unless_refused(self, ask: Callable[[], Page]) -> Page | None:
        """The answer to a question that not all products know; None from one that does not. Raises StoreError."""
        try:
            return ask()
        except StoreError as error:
            if not (isinstance(error.__cause__, ClientError) and knows_not(error.__cause__)):
                raise
            with self._lock:
                self._give_up_cutting()
            return None

    def _new_range(self, start: str, page: Page) -> KeyRange | None:
        if not page.objects.num_rows:
            return None
        if not ascending(page.keys, start):
            self._give_up_cutting()
        first = page.keys[0].as_py()
        holder = self._holder(first)
        if not self._in_order or holder is None or not first.startswith(start):
            return None
        key_range = KeyRange(start, holder.seam, holder.within, History(self._pages))
        holder.seam = Seam(start, first, page.keys.slice(0, _SEAM_KEYS))
        self._seams.append(holder.seam)
        self._ranges.append(key_range)
        return key_range

    def _holder(self, key: str) -> KeyRange | None:
        """The key range that has `key` still before it."""
        for one in self._ranges:
            if one.position < key and (one.seam is None or key < one.seam.first):
                return one
        return None

    def _give_up_cutting(self) -> None:
        self._in_order = False
        self._starts.clear()
        if self._passed_a_seam:
            self._pages.incomplete("the store lists in an order of its own")
