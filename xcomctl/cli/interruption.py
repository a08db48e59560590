"""Ctrl-C and SIGTERM while a verb works: it ends in order, and never in the middle of a deletion that it cannot count."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Any

import typer

from xcomctl.progress import Progress

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context manager inside which both signals raise KeyboardInterrupt: at once, or where a Report is made.

    It leaves the block as typer.Abort.

    A signal that the caller of the process had ignored (`nohup`, a shell's `&`) stays ignored.
    """

    def __init__(self) -> None:
        self._deferred = False
        self._wanted = False
        self._restore = ExitStack()

    def __enter__(self) -> Interruption:
        for number in _SIGNALS:
            before: Any = signal.getsignal(number)
            if before is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
                self._restore.callback(signal.signal, number, before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore.close()
        if isinstance(error, KeyboardInterrupt):
            # typer would end the program at a bare one without a word.
            raise typer.Abort from error

    def between_batches(self, report: Progress) -> Progress:
        """`report`, and from now on the place where the first signal is heeded; a second one is heeded at once."""
        self._deferred = True

        def reported(stage: str, count: int) -> None:
            report(stage, count)
            if self._wanted:
                raise KeyboardInterrupt

        return reported

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._deferred and not self._wanted:
            self._wanted = True
            return
        raise KeyboardInterrupt
