from __future__ import annotations

from xcomctl.gc.rate_limit import MOST_AT_ONCE, RateLimit


class Clock:
    """A clock that only sleeping and working move on."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.at += seconds


def started(max_rate: float | None) -> tuple[RateLimit, Clock]:
    """A pace, and the clock that it goes by."""
    clock = Clock()
    return RateLimit(max_rate, clock=clock, sleep=clock.sleep), clock


def test_without_a_limit_nothing_waits() -> None:
    """Batches are as large as one request takes."""
    pace, clock = started(None)
    for _ in range(10):
        pace.take(pace.batch_size)
        pace.went_well()
    assert (clock.at, pace.batch_size) == (0.0, MOST_AT_ONCE)


def test_a_limit_is_kept_over_all_batches() -> None:
    """A thousand objects at fifty a second take nineteen seconds and the last batch."""
    pace, clock = started(50)
    assert pace.batch_size == 50
    for _ in range(20):
        pace.take(50)
        pace.went_well()
    assert clock.at == 19.0


def test_time_that_work_takes_is_not_waited_for_again() -> None:
    """A slow store is not made slower."""
    pace, clock = started(50)
    for _ in range(10):
        pace.take(50)
        clock.sleep(3)
    assert clock.at == 30.0


def test_a_busy_store_halves_the_rate_and_gets_it_back_slowly() -> None:
    """From what was reached, not from what is allowed; up to the limit again."""
    pace, clock = started(None)
    pace.take(1000)
    clock.sleep(2)
    pace.throttled()
    assert pace.rate == 250
    pace.take(250)
    pace.throttled()
    assert pace.rate == 125
    for _ in range(20):
        pace.take(pace.batch_size)
        pace.went_well()
    assert pace.rate is None


def test_a_rate_recovers_up_to_its_limit_and_never_falls_to_nothing() -> None:
    """However often the store is busy, there is one object a second."""
    pace, _ = started(100)
    pace.take(100)
    pace.throttled()
    for _ in range(20):
        pace.went_well()
    assert pace.rate == 100
    for _ in range(20):
        pace.throttled()
    assert pace.rate == 1.0
