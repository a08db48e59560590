"""Questions that do not depend on each other, asked side by side: each one waits for a server, and not for the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")
Part = TypeVar("Part")


class Meanwhile(Generic[T]):
    """What `ask` gives, while something else is done.

    Its thread does not keep the process from ending: what hangs is left alone. An error is that of whoever wants the answer.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._answer: list[T] = []
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="xcomctl-meanwhile", daemon=True)
        self._thread.start()

    def result(self) -> T:
        """Wait for the answer. Raises what `ask` raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._answer[0]

    def over(self, parts: Iterable[Part]) -> Iterator[Part]:
        """`parts` as they come, up to the one by which `ask` has failed: then raises what it raised."""
        for part in parts:
            if self._error is not None:
                raise self._error
            yield part

    def _run(self) -> None:
        try:
            self._answer.append(self._ask())
        except BaseException as error:  # told by `result`
            self._error = error
