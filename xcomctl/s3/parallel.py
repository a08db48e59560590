"""Asking a store for many things at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from xcomctl.errors import XcomctlError
from xcomctl.s3.errors import UnreachableError

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")

THREADS = 16


def in_parallel(
    ask: Callable[[Asked], Answered],
    items: Sequence[Asked],
    failure: Callable[[Asked, XcomctlError], Answered],
) -> list[Answered]:
    """What `ask` says of each item, in order; `failure` turns an error into an answer."""
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
    with ThreadPoolExecutor(min(THREADS, len(items))) as threads:
        return list(threads.map(answer, items))
