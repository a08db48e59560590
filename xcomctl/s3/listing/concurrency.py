"""How many threads are worth their while in a listing: as many as it takes to fill the time that one of them waits.

Where the answers come at once, Python is what a listing waits for, and only one thread runs Python at a time: each
further one takes CPU for handing it over. Where the store is far away, all of them wait, and more are faster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock
from time import perf_counter, thread_time

from xcomctl.s3.parallel import THREADS

_FEWEST = 2
"""One can always be stuck."""

_FILLED = 0.9
"""Threads that wait for each other look as if they waited for the store: not all of the time is to be filled."""

_REMEMBERED = 32
"""Requests."""


class ConcurrencyTuner:
    """Watches requests, and what part of their time was spent waiting. May be used from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_first = True
        self._ratios: deque[float] = deque(maxlen=_REMEMBERED)

    @contextmanager
    def watched(self) -> Generator[None, None, None]:
        """Around a request of this thread and what is made of its answer."""
        began, worked = perf_counter(), thread_time()
        yield
        seconds, worked = perf_counter() - began, thread_time() - worked
        with self._lock:
            # The first one makes the connection and loads what reads the answer: it is like no other.
            if self._is_first:
                self._is_first = False
            else:
                self._ratios.append(seconds / worked if worked > 0 else THREADS / _FILLED)

    def threads(self) -> int:
        """How many threads are worth their while, by what has been seen lately."""
        with self._lock:
            ratios = sorted(self._ratios)
        if not ratios:
            return _FEWEST
        # Where other programs keep the machine busy, most requests look as if they waited longer than they do.
        return min(THREADS, max(_FEWEST, round(_FILLED * ratios[len(ratios) // 4])))
