"""How a command that changes something asks, begins, and is interrupted."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime, timedelta, timezone
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import typer

from xcomctl.errors import UsageError
from xcomctl.progress import Progress

if TYPE_CHECKING:
    from xcomctl.config.session import Session
    from xcomctl.models import Root
    from xcomctl.state.lock import LockWait
    from xcomctl.state.operation import Extent, Operation


def begin_operation(
    session: Session,
    roots: Sequence[Root],
    command: str,
    *,
    plan_id: str | None = None,
    trash_keep: timedelta | None = None,
    lock_wait: LockWait | None = None,
    extent: Extent | None = None,
) -> AbstractContextManager[Operation]:
    """The operation of this command on the sides of the session; entering it settles what earlier ones left open.

    Without roots there is no journal. Raises LockedError where another one holds a lock for longer than `lock_wait`
    lasts (None: at once), StoreError, SourceError.
    """
    from xcomctl.state.journal import Invocation
    from xcomctl.state.lock import NO_WAIT
    from xcomctl.state.operation import Extent, Operation
    from xcomctl.state.trash.entries import DEFAULT_TRASH_KEEP

    return Operation.begin(
        session.source,
        session.store if roots else None,
        roots,
        Invocation(command, session.configuration.actor(), datetime.now(timezone.utc), plan_id),
        trash_keep=DEFAULT_TRASH_KEEP if trash_keep is None else trash_keep,
        lock_wait=NO_WAIT if lock_wait is None else lock_wait,
        extent=Extent() if extent is None else extent,
    )


def can_be_asked() -> bool:
    """Whether there is somebody at a terminal."""
    # A closed stdin is None.
    return sys.stdin is not None and sys.stdin.isatty()


def consent(
    question: str,
    *,
    yes: bool,
    otherwise: str,
    hint: str = "add --yes",
    show: Callable[[], None] | None = None,
) -> bool:
    """Whether the user says yes to `question`, before which `show` shows what it is about.

    `otherwise` says what did not happen where nobody can be asked, `hint` what to type then.

    Raises UsageError where there is no terminal and no `--yes`.
    """
    if yes:
        return True
    if not can_be_asked():
        raise UsageError(f"{otherwise}, and there is no terminal to ask at", hint=hint)
    if show is not None:
        show()
    return typer.confirm(question, err=True)


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A context manager inside which both signals raise KeyboardInterrupt: at once, or where progress is told.

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
