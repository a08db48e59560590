"""A port with somebody in between: tests step in right before or after a call, or break it off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xcomctl.errors import StoreError


class Died(BaseException):
    """The process ends here: no `except Exception` sees it."""


class Interposed:
    """Hands every call on to `port`. `before` and `after` are called with what the method was given, if they name it."""

    def __init__(
        self,
        port: Any,
        *,
        before: dict[str, Callable[..., None]] | None = None,
        after: dict[str, Callable[..., None]] | None = None,
    ) -> None:
        self._port = port
        self._before = before or {}
        self._after = after or {}

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._port, name)
        if name not in self._before and name not in self._after:
            return member

        def call(*arguments: Any, **named: Any) -> Any:
            if name in self._before:
                self._before[name](*arguments, **named)
            answer = member(*arguments, **named)
            if name in self._after:
                self._after[name](*arguments, **named)
            return answer

        return call


def dies(*_: Any, **__: Any) -> None:
    """The process is killed here."""
    raise Died


def fails(*_: Any, **__: Any) -> None:
    """The store is gone here."""
    raise StoreError("the store does not answer")


def nth(number: int, action: Callable[..., None]) -> Callable[..., None]:
    """`action`, at the call of that number (from 1 on) only."""
    calls = iter(range(1, 1_000_000))

    def call(*arguments: Any, **named: Any) -> None:
        if next(calls) == number:
            action(*arguments, **named)

    return call
