"""How fast objects go: as fast as the user allows, and more slowly for a while when the store asks for it."""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_AT_ONCE = 1000
"""Objects in one batch: what one request to S3 can delete."""

_LEAST_RATE = 1.0
_RECOVERY = 1.25


class RateLimit:
    """Allots time to batches of objects. `max_rate` is in objects per second, None is without limit.

    When the store throttles the rate is halved, and it recovers with every batch that goes well.
    """

    def __init__(
        self,
        max_rate: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._limit = max_rate
        self._clock = clock
        self._sleep = sleep
        self.rate = max_rate
        """Objects per second at this time; None is without limit."""
        self._free_at = clock()
        self._begun_at = self._free_at
        self._units = 0

    @property
    def batch_size(self) -> int:
        """How many objects to take at once: a second's worth, at most what one request takes."""
        return MOST_AT_ONCE if self.rate is None else max(1, min(MOST_AT_ONCE, int(self.rate)))

    def take(self, units: int) -> None:
        """Wait until the next batch of so many objects may begin."""
        now = self._clock()
        if self._free_at > now:
            self._sleep(self._free_at - now)
        self._begun_at = max(now, self._free_at)
        self._units = units
        self._free_at = self._begun_at + (0.0 if self.rate is None else units / self.rate)

    def throttled(self) -> None:
        """The store asked to slow down in this batch."""
        seconds = max(self._clock() - self._begun_at, 0.001)
        current = self._units / seconds if self.rate is None else self.rate
        self.rate = max(current / 2, _LEAST_RATE)
        self._free_at = max(self._free_at, self._begun_at + self._units / self.rate)

    def went_well(self) -> None:
        """The store took this batch without a word."""
        if self.rate is None or self.rate == self._limit:
            return
        self.rate *= _RECOVERY
        if self._limit is not None:
            self.rate = min(self.rate, self._limit)
        elif self.rate > MOST_AT_ONCE:
            self.rate = None

    def now(self) -> float:
        """Seconds by the clock that the pace goes by."""
        return self._clock()
