"""How a verb that changes something begins its operation."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xcomctl.config.session import Session
    from xcomctl.models import Root
    from xcomctl.state.lock import LockWait
    from xcomctl.state.operation import Operation


def begin_operation(
    session: Session,
    roots: Sequence[Root],
    command: str,
    *,
    plan_id: str | None = None,
    trash_keep: timedelta | None = None,
    lock_wait: LockWait | None = None,
) -> AbstractContextManager[Operation]:
    """The operation of this command on the sides of the session; entering it settles what earlier ones left open.

    Without roots there is no journal. Raises LockedError where another one holds a lock for longer than `lock_wait`
    lasts (None: at once), StoreError, SourceError.
    """
    from xcomctl.state.journal import Invocation
    from xcomctl.state.lock import NO_WAIT
    from xcomctl.state.operation import Operation
    from xcomctl.state.trash.entries import DEFAULT_TRASH_KEEP

    return Operation.begin(
        session.source,
        session.store if roots else None,
        roots,
        Invocation(command, session.configuration.actor(), datetime.now(timezone.utc), plan_id),
        trash_keep=DEFAULT_TRASH_KEEP if trash_keep is None else trash_keep,
        lock_wait=NO_WAIT if lock_wait is None else lock_wait,
    )
