"""How many threads a listing has depends on what part of its time it waits."""

from __future__ import annotations

import pytest

from xcomctl.s3.listing import concurrency
from xcomctl.s3.listing.concurrency import ConcurrencyTuner


def threads_after(monkeypatch: pytest.MonkeyPatch, *requests: tuple[float, float]) -> int:
    """Threads after requests that took so many seconds, of which so many were work; the first one is no example."""
    clock = {"seconds": 0.0, "worked": 0.0}
    monkeypatch.setattr(concurrency, "perf_counter", lambda: clock["seconds"])
    monkeypatch.setattr(concurrency, "thread_time", lambda: clock["worked"])
    watch = ConcurrencyTuner()
    for seconds, worked in [(9.0, 0.0), *requests]:
        with watch.watched():
            clock["seconds"] += seconds
            clock["worked"] += worked
    return watch.threads()


@pytest.mark.parametrize(
    ("requests", "threads"),
    [
        ([], 2),
        ([(0.004, 0.003)], 2),
        ([(0.030, 0.003)], 9),
        ([(0.060, 0.003)], 16),
        ([(5.0, 0.003)], 16),
        ([(0.060, 0.0)], 16),
        ([(0.004, 0.003), (0.5, 0.003), (0.4, 0.003), (0.5, 0.003), (0.004, 0.003)], 2),
        ([(0.060, 0.003)] + [(0.004, 0.003)] * 40, 2),
        ([(0.004, 0.003)] + [(0.060, 0.003)] * 40, 16),
    ],
    ids=[
        "nothing seen",
        "near",
        "a little far",
        "far",
        "very far",
        "no clock so fine",
        "near, on a busy machine",
        "near by now",
        "far by now",
    ],
)
def test_threads_fill_the_time_that_one_waits(
    monkeypatch: pytest.MonkeyPatch, requests: list[tuple[float, float]], threads: int
) -> None:
    """Two where Python is the limit, up to sixteen where the store is far; the latest requests count."""
    assert threads_after(monkeypatch, *requests) == threads
