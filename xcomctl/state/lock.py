"""One writer per root: a lock object that a dead holder loses, and that tells a holder that it was lost.

It lies at `<root>/.xcomctl/lock.json` and is written on conditions alone, so that of two writers one wins. Expiry is by
the store's clock. Whoever takes an expired lock changes its etag, so that the old holder's next renewal is refused
(fencing). Where the store does not look at conditions, a lock of the database takes its place.
"""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

from xcomctl.airflow.interface import Source
from xcomctl.errors import ConflictError, LockedError, RefusedError, SourceError, XcomctlError
from xcomctl.models import RESERVED_FOLDER, ObjectAddress, Root
from xcomctl.s3.documents import encode, read_document, time_of
from xcomctl.s3.interface import ObjectInfo, Store, StoreErrorInfo
from xcomctl.units import format_time

_SCHEMA = "xcomctl.lock/1"
_ATTEMPTS = 5

_LONGEST = timedelta(hours=1)
"""Nobody holds a lock for longer without a renewal; who does for 5 minutes is slow."""

_ASKED_AGAIN_AFTER = (1.0, 3.0)
"""Seconds between two questions for a lock that somebody else holds."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock, and until when it does without a renewal. Times are the store's."""

    holder: str
    """User and machine: `kim@worker-7`."""
    pid: int
    operation_id: str
    acquired_at: datetime
    expires_at: datetime
    token: str
    """Made up for each acquisition: no two holders write the same bytes."""


def lock_address(root: Root) -> ObjectAddress:
    """Where the lock of a root lies."""
    return root.at(f"{RESERVED_FOLDER}lock.json")


def read_holder(store: Store, root: Root) -> tuple[Holder, ObjectInfo] | None:
    """Who holds the lock of a root, or held it last and died, with the object that says so; None if nobody.

    Raises RefusedError for a lock that cannot be read, StoreError.
    """
    return read_document(store, lock_address(root), _SCHEMA, _parsed)


def _parsed(document: dict[str, Any], info: ObjectInfo) -> tuple[Holder, ObjectInfo]:
    holder = Holder(
        holder=str(document["holder"]),
        pid=int(document["pid"]),
        operation_id=str(document["operation_id"]),
        acquired_at=time_of(document["acquired_at"]),
        # Every renewal writes it anew: what was not written for so long is held by nobody, whatever stands in it.
        expires_at=min(time_of(document["expires_at"]), info.last_modified + _LONGEST),
        token=str(document["token"]),
    )
    return holder, info


def _silent(cause: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class LockWait:
    """How long a lock that somebody else holds is waited for, and who is told, once, that it is."""

    wait: timedelta
    tell: Callable[[str], None] = _silent


NO_WAIT = LockWait(timedelta(0))


class Lock:
    """A lock that is held: a context manager that lets go of it at the end.

    `check` before every batch of work: from then on the lock is ours for another two thirds of its time.
    """

    def __init__(self, root: Root, *, check: Callable[[], None], release: Callable[[], None]) -> None:
        self.root = root
        self._check = check
        self._release = release

    @classmethod
    def acquire(
        cls,
        store: Store,
        root: Root,
        *,
        holder: str,
        operation_id: str,
        ttl: timedelta = timedelta(minutes=5),
        source: Source | None = None,
        around: Sequence[Root] = (),
        lock_wait: LockWait = NO_WAIT,
    ) -> Lock:
        """Take the lock of a root, also one whose time is over. `source` takes its place where the store has no locks.

        No root `around` it or inside of it may be locked: who works there works on the same objects.

        Raises LockedError where somebody else holds one for longer than `lock_wait` lasts, RefusedError where neither side
        can lock; SourceError, StoreError.
        """
        began, told = time.monotonic(), False
        while True:
            try:
                return cls._acquire_now(store, root, holder, operation_id, ttl, source, around)
            except LockedError as error:
                left = lock_wait.wait.total_seconds() - (time.monotonic() - began)
                if left <= 0:
                    raise
                if not told:
                    lock_wait.tell(str(error))
                    told = True
            # Several that wait for the same one do not ask in step.
            time.sleep(min(left, random.uniform(*_ASKED_AGAIN_AFTER)))  # noqa: S311 - no secret

    @classmethod
    def _acquire_now(
        cls,
        store: Store,
        root: Root,
        holder: str,
        operation_id: str,
        ttl: timedelta,
        source: Source | None,
        around: Sequence[Root],
    ) -> Lock:
        if store.capabilities(root).conditional_put:
            held = _StoreLock(store, root, holder, operation_id, ttl)
            held.acquire()
            try:
                # After our own: of two that begin at once, at least one sees the other.
                _require_free(store, around)
            except BaseException:
                held.release()
                raise
            return cls(root, check=held.check, release=held.release)
        if source is None:
            raise RefusedError(
                f"the store of {root.uri} does not look at conditions of a PUT, so that it cannot lock",
                hint="update the store, or use one with conditional writes",
            )
        kept = ExitStack()
        check = kept.enter_context(source.advisory_lock(root.uri))

        def release() -> None:
            # Where the connection is gone, so is its lock.
            with suppress(SourceError):
                kept.close()

        return cls(root, check=check, release=release)

    def check(self) -> None:
        """Make sure that the lock is still ours, and renew it in time. Raises RefusedError where it was lost, StoreError."""
        self._check()

    def release(self) -> None:
        """Let go of the lock if it is still ours. A lock that cannot be removed ends by itself."""
        self._release()

    def __enter__(self) -> Lock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class _StoreLock:
    """The lock object of one root, renewed in the background while this process runs: a batch may take its time.

    A process that is paused as a whole renews nothing, and finds out when it goes on.
    """

    def __init__(self, store: Store, root: Root, holder: str, operation_id: str, ttl: timedelta) -> None:
        self._store = store
        self._root = root
        self._holder = holder
        self._operation_id = operation_id
        self._ttl = ttl
        self._token = uuid.uuid4().hex
        self._acquired_at: datetime | None = None
        self._renewed = _Instant.now()
        self._mutex = threading.Lock()
        self._held: ObjectInfo | None = None
        """What we wrote last; None before, and once the lock was lost or released."""
        self._stopped = threading.Event()
        self._renewal: threading.Thread | None = None

    def acquire(self) -> None:
        for _ in range(_ATTEMPTS):
            found = read_holder(self._store, self._root)
            if found is not None and self._store.now(self._root.bucket) <= found[0].expires_at:
                raise _held_by(self._root, found[0])
            try:
                self._write(if_etag=None if found is None else found[1].etag)
            except ConflictError:
                # Somebody else was quicker: see who.
                continue
            if self._ttl > timedelta(0):
                self._renewal = threading.Thread(target=self._keep_renewing, name="xcomctl-lock", daemon=True)
                self._renewal.start()
            return
        raise LockedError(
            f"{self._root.uri} is being locked by several others at once", hint="try again in a while"
        )

    def check(self) -> None:
        with self._mutex:
            if self._held is not None and self._renewed.elapsed() >= self._ttl / 3:
                self._renew(self._held)
            if self._held is not None:
                return
        raise self._lost()

    def release(self) -> None:
        self._stopped.set()
        if self._renewal is not None:
            self._renewal.join()
        held, self._held = self._held, None
        if held is not None:
            # Only if it is still what we wrote. What comes of it does not matter: it expires.
            self._store.delete([held])

    def _keep_renewing(self) -> None:
        while not self._stopped.wait((self._ttl / 3).total_seconds()):
            with self._mutex:
                if self._held is None:
                    return
                # A store that fails now may answer the next time; `check` asks itself where it did not.
                with suppress(XcomctlError):
                    self._renew(self._held)

    def _renew(self, held: ObjectInfo) -> None:
        try:
            self._write(if_etag=held.etag)
        except ConflictError:
            self._held = None

    def _write(self, *, if_etag: str | None) -> None:
        # Before asking the store for its time: what passes from here on counts against us.
        started = _Instant.now()
        now = self._store.now(self._root.bucket)
        self._acquired_at = self._acquired_at or now
        body = encode(
            _SCHEMA,
            {
                "holder": self._holder,
                "pid": os.getpid(),
                "operation_id": self._operation_id,
                "acquired_at": self._acquired_at,
                "expires_at": now + self._ttl,
                "token": self._token,
            },
        )
        address = lock_address(self._root)
        self._held = self._store.put(address, body, if_absent=if_etag is None, if_etag=if_etag)
        self._renewed = started

    def _lost(self) -> RefusedError:
        found = read_holder(self._store, self._root)
        to = "somebody who removed it" if found is None else f"{found[0].holder} ({found[0].operation_id})"
        return RefusedError(
            f"the lock of {self._root.uri} was lost to {to}: this process was paused, or cut off, for longer than"
            f" {int(self._ttl.total_seconds())} s",
            hint="xcomctl log shows what was done; run the same command again to finish",
        )


@dataclass(frozen=True, slots=True)
class _Instant:
    """A moment on two clocks: one stands still while the machine sleeps, the other one can be set."""

    monotonic: float
    wall: float

    @classmethod
    def now(cls) -> _Instant:
        return cls(time.monotonic(), time.time())

    def elapsed(self) -> timedelta:
        """What has passed since, by the clock that says more."""
        now = _Instant.now()
        return timedelta(seconds=max(now.monotonic - self.monotonic, now.wall - self.wall))


def _require_free(store: Store, roots: Sequence[Root]) -> None:
    """Raises LockedError where somebody holds the lock of one of them. Where we may not look, nobody does."""
    answers = store.stat_many([lock_address(root) for root in roots])
    for root, answer in zip(roots, answers, strict=True):
        if answer is None or (isinstance(answer, StoreErrorInfo) and answer.denied):
            continue
        found = read_holder(store, root)
        if found is not None and store.now(root.bucket) <= found[0].expires_at:
            raise _held_by(root, found[0])


def _held_by(root: Root, holder: Holder) -> LockedError:
    return LockedError(
        f"{root.uri} is locked by {holder.holder} (process {holder.pid}) for operation {holder.operation_id},"
        f" since {format_time(holder.acquired_at)}, until {format_time(holder.expires_at)} at least",
        hint="wait until that is done; if its process is dead, the lock ends by itself at"
        f" {format_time(holder.expires_at)}",
    )
