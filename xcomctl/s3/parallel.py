"""Asking a store for many things at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from xcomctl.errors import XcomctlError
from xcomctl.s3.errors import UnreachableError

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

THREADS = 16


FAR_THREADS = 64
"""Of a store whose answers are a long time on their way; fewer where more would only wait for Python."""

_FAR_SECONDS = 0.03


def in_parallel(
    ask: Callable[[Asked], Answered],
    items: Sequence[Asked],
    failure: Callable[[Asked, XcomctlError], Answered],
    *,
    more_if_far: bool = False,
) -> list[Answered]:
    """What `ask` says of each item, in order; `failure` turns an error into an answer.

    With `more_if_far`, for small questions, more are asked side by side where the first answers take their time.
    """
    unreachable: list[UnreachableError] = []

    def answer(item: Asked) -> Answered:
        if unreachable:
            # Nobody is there: do not wait for it once per object.
            return failure(item, unreachable[0])
        try:
            return ask(item)
        except XcomctlError as error:
            if isinstance(error, UnreachableError):
                unreachable.append(error)
            return failure(item, error)

    if len(items) <= 1:
        return [answer(item) for item in items]
    answers: list[Answered] = []
    most = THREADS
    if more_if_far and len(items) > THREADS:
        began = time.monotonic()
        with ThreadPoolExecutor(THREADS) as threads:
            answers += threads.map(answer, items[:THREADS])
        most = FAR_THREADS if time.monotonic() - began > _FAR_SECONDS else THREADS
    left = items[len(answers) :]
    with ThreadPoolExecutor(min(most, len(left))) as threads:
        answers += threads.map(answer, left)
    return answers
