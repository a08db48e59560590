"""A lock that somebody else holds is waited for, for as long as one was told to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest

from tests.services.deployment import Deploy
from xcomctl.errors import LockedError
from xcomctl.models import Root
from xcomctl.state.lock import Lock, LockWait

HOUR = timedelta(hours=1)


@pytest.fixture
def acquire(deploy: Deploy) -> Callable[..., Lock]:
    """Takes the lock of one root as somebody."""
    here = deploy()
    root = Root.parse(here.root)

    def take(who: str, **options: object) -> Lock:
        return Lock.acquire(here.store, root, holder=who, operation_id=f"of-{who}", **options)  # type: ignore[arg-type]

    return take


def test_who_is_patient_gets_the_lock_when_it_is_let_go_of(acquire: Callable[..., Lock]) -> None:
    """And is told once who has it."""
    told: list[str] = []
    waiting = Event()

    def tell(cause: str) -> None:
        told.append(cause)
        waiting.set()

    with ThreadPoolExecutor(1) as threads:
        with acquire("kim"):
            later = threads.submit(acquire, "lee", lock_wait=LockWait(HOUR, tell))
            assert waiting.wait(60)
        with later.result(60) as lock:
            lock.check()
    assert len(told) == 1
    assert "is locked by kim" in told[0]


def test_who_dies_while_others_wait_loses_the_lock(acquire: Callable[..., Lock]) -> None:
    """It runs out by the store's clock, and the one that waits takes it over."""
    acquire("kim", ttl=timedelta(0))
    with acquire("lee", lock_wait=LockWait(HOUR)) as lock:
        lock.check()


def test_patience_has_an_end(acquire: Callable[..., Lock]) -> None:
    """Then it is refused as it is without patience."""
    with acquire("kim"):
        for lock_wait in (LockWait(timedelta(0)), LockWait(timedelta(milliseconds=1))):
            with pytest.raises(LockedError, match="is locked by kim"):
                acquire("lee", lock_wait=lock_wait)
