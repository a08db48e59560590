"""Questions that are asked side by side."""

from __future__ import annotations

from collections import deque
from threading import Barrier, Event
from time import sleep

import pytest

from xcomctl.errors import SourceError, XcomctlError
from xcomctl.meanwhile import Meanwhile
from xcomctl.s3.parallel import FAR_THREADS, THREADS, in_parallel


def test_questions_wait_for_the_server_and_not_for_each_other() -> None:
    """Each of three is answered only once all three have been asked."""
    together = Barrier(3)
    asked = [Meanwhile(lambda: together.wait(60)) for _ in range(3)]
    assert sorted(one.result() for one in asked) == [0, 1, 2]


def fails() -> None:
    """A question that has no answer."""
    raise SourceError("out of reach")


def test_an_error_is_that_of_who_wants_the_answer() -> None:
    """Each time; who does not want it hears nothing."""
    asked = Meanwhile(fails)
    for _ in range(2):
        with pytest.raises(SourceError, match="out of reach"):
            asked.result()


def test_parts_come_until_the_question_has_failed() -> None:
    """So that nobody reads millions of them for nothing."""
    go = Event()

    def ask() -> None:
        go.wait(60)
        fails()

    asked = Meanwhile(ask)
    parts = asked.over(range(1_000_000))
    assert next(parts) == 0
    go.set()
    # Between two parts others come to work.
    with pytest.raises(SourceError):
        deque(map(sleep, (0.001 for _ in parts)), maxlen=0)
    assert list(Meanwhile(lambda: 1).over([1, 2])) == [1, 2]


def unanswered(number: int, error: XcomctlError) -> int:
    """What stands for an answer that did not come."""
    return -1


def test_of_a_store_that_is_far_away_more_is_asked_side_by_side() -> None:
    """All that are left wait together where the first answers took their time; the answers are in order."""
    together = Barrier(FAR_THREADS)

    def ask(number: int) -> int:
        if number >= THREADS:
            together.wait(60)
        else:
            sleep(0.05)
        return number

    items = range(THREADS + FAR_THREADS)
    assert in_parallel(ask, items, unanswered, more_if_far=True) == list(items)
