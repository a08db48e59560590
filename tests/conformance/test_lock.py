"""One writer per root: the lock object on every store, and the database's lock where the store cannot."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.conformance.bench import Bench, FaultyBench
from tests.services.s3_requests import is_writing
from tests.services.store_faults import clock_shifted, ignores_conditions, lost_answer, only
from xcomctl.airflow.database import DatabaseSource
from xcomctl.errors import RefusedError, StoreError
from xcomctl.models import RESERVED_FOLDER, Root
from xcomctl.s3.interface import Store
from xcomctl.state.lock import Lock, lock_address, read_holder

OVER = timedelta(seconds=-1)
"""A time that is over when it begins: that of a holder who was paused or died."""


def take(store: Store, root: Root, who: str, *, ttl: timedelta = timedelta(minutes=5)) -> Lock:
    """The lock of `root` for `who`."""
    return Lock.acquire(store, root, holder=f"{who}@host", operation_id=f"operation-of-{who}", ttl=ttl)


def holder_of(store: Store, root: Root) -> str | None:
    """Who holds the lock of `root`."""
    found = read_holder(store, root)
    return None if found is None else found[0].holder


def test_a_lock_is_held_until_it_is_released(bench: Bench) -> None:
    """Somebody else is refused with name, since when and until when; afterwards the lock is free, and leaves nothing."""
    root = Root(bench.bucket, "xcom/")
    with take(bench.store, root, "kim") as lock:
        lock.check()
        found = read_holder(bench.store, root)
        with pytest.raises(RefusedError) as caught:
            take(bench.store, root, "lee")
    assert found is not None
    assert found[0].expires_at - found[0].acquired_at == timedelta(minutes=5)
    assert f"s3://{bench.bucket}/xcom is locked by kim@host (process {found[0].pid})" in str(caught.value)
    assert "operation-of-kim, since 20" in str(caught.value)
    assert "the lock ends by itself at 20" in str(caught.value.hint)
    assert bench.listed() == []
    take(bench.store, root, "lee").release()


def test_a_lock_can_be_taken_again_where_versions_are_kept(bench: Bench) -> None:
    """The delete marker of the last lock does not count as a lock, and a lost one is lost there, too."""
    bench.keep_versions()
    root = Root(bench.bucket)
    take(bench.store, root, "kim").release()
    paused = take(bench.store, root, "paused", ttl=OVER)
    with take(bench.store, root, "lee"):
        with pytest.raises(RefusedError):
            paused.check()
        with pytest.raises(RefusedError):
            take(bench.store, root, "kim")


def test_roots_have_locks_of_their_own(bench: Bench) -> None:
    """A lock of one root does not keep anybody from another."""
    with (
        take(bench.store, Root(bench.bucket, "a/"), "kim"),
        take(bench.store, Root(bench.bucket, "b/"), "lee"),
    ):
        held = [holder_of(bench.store, Root(bench.bucket, prefix)) for prefix in ("a/", "b/")]
    assert held == ["kim@host", "lee@host"]


def test_of_many_at_once_one_wins(bench: Bench) -> None:
    """Whoever asks at the same moment, one gets the lock."""
    root = Root(bench.bucket)
    bench.store.capabilities(root)

    def attempt(number: int) -> Lock | None:
        try:
            return take(bench.store, root, f"user-{number}")
        except RefusedError:
            return None

    with ThreadPoolExecutor(6) as threads:
        locks = [lock for lock in threads.map(attempt, range(6)) if lock is not None]
    assert len(locks) == 1
    locks[0].release()
    assert bench.listed() == []


def test_a_dead_holder_loses_the_lock_and_is_told(bench: Bench) -> None:
    """An expired lock is taken over; the old holder cannot go on, and does not remove the new one's lock."""
    root = Root(bench.bucket)
    paused = take(bench.store, root, "paused", ttl=OVER)
    with take(bench.store, root, "next") as lock:
        with pytest.raises(
            RefusedError, match=r"was lost to next@host \(operation-of-next\): this process was paused"
        ):
            paused.check()
        with pytest.raises(RefusedError):
            paused.check()
        paused.release()
        lock.check()
        assert holder_of(bench.store, root) == "next@host"


def test_a_lock_whose_time_is_over_but_that_nobody_took_is_renewed(bench: Bench) -> None:
    """Who comes back and finds the lock as it was goes on with it."""
    root = Root(bench.bucket)
    lock = take(bench.store, root, "kim", ttl=OVER)
    before = read_holder(bench.store, root)
    lock.check()
    after = read_holder(bench.store, root)
    assert before is not None
    assert after is not None
    assert (after[0].token, after[0].acquired_at) == (before[0].token, before[0].acquired_at)
    lock.release()
    assert holder_of(bench.store, root) is None


def test_a_lock_is_renewed_while_its_holder_is_busy(seaweed_bench: Bench) -> None:
    """A batch that takes longer than the time of the lock does not lose it."""
    bench, root = seaweed_bench, Root(seaweed_bench.bucket)
    with take(bench.store, root, "kim", ttl=timedelta(seconds=0.5)) as lock:
        first = bench.described(lock_address(root).key)
        deadline = time.monotonic() + 60
        while bench.described(lock_address(root).key) == first and time.monotonic() < deadline:
            time.sleep(0.05)
        assert bench.described(lock_address(root).key) != first
        lock.check()
    assert bench.listed() == []


def test_expiry_is_by_the_stores_clock(faulty_bench: FaultyBench) -> None:
    """An hour later by the store's clock the lock is free, whatever ours says."""
    bench, root = faulty_bench, Root(faulty_bench.bucket)
    take(bench.store, root, "kim")
    with pytest.raises(RefusedError):
        take(bench.store, root, "lee")
    with bench.proxy.with_faults(clock_shifted(3600)):
        take(bench.store, root, "lee")
    assert holder_of(bench.store, root) == "lee@host"


def test_a_lock_that_somebody_removed_is_lost(bench: Bench) -> None:
    """Who deletes the lock object by hand takes the lock away."""
    root = Root(bench.bucket)
    lock = take(bench.store, root, "kim", ttl=OVER)
    bench.store.delete([bench.described(lock_address(root).key)])
    with pytest.raises(RefusedError, match="was lost to somebody who removed it"):
        lock.check()


def test_a_lock_whose_answer_is_lost_is_ours(faulty_bench: FaultyBench) -> None:
    """The connection breaks after the store took our lock: the repeated request meets it, and knows it."""
    bench, root = faulty_bench, Root(faulty_bench.bucket)
    bench.store.capabilities(root)
    bench.proxy.faults.append(only(is_writing, lost_answer, times=1))
    with take(bench.store, root, "kim") as lock:
        lock.check()
        assert holder_of(bench.store, root) == "kim@host"


def test_a_lock_that_is_none_is_not_taken(bench: Bench) -> None:
    """Something else at its place is an error that names it."""
    bench.put(f"{RESERVED_FOLDER}lock.json", b'{"schema": "xcomctl.lock/9"}')
    with pytest.raises(RefusedError, match=r"lock\.json was written by another release of xcomctl"):
        take(bench.store, Root(bench.bucket), "kim")
    bench.put(f"{RESERVED_FOLDER}lock.json", b"\x00")
    with pytest.raises(RefusedError, match=r"lock\.json is damaged"):
        take(bench.store, Root(bench.bucket), "kim")


def test_a_store_without_conditions_needs_the_database(
    faulty_bench: FaultyBench, postgres_database: str
) -> None:
    """Where the store does not look at conditions, PostgreSQL keeps writers apart; a lost connection loses the lock."""
    bench, root = faulty_bench, Root(faulty_bench.bucket, "xcom/")
    bench.proxy.faults.append(ignores_conditions)
    with pytest.raises(RefusedError, match="does not look at conditions of a PUT, so that it cannot lock"):
        take(bench.store, root, "kim")
    with (
        closing(DatabaseSource(postgres_database)) as ours,
        closing(DatabaseSource(postgres_database)) as theirs,
    ):

        def through(source: DatabaseSource) -> Lock:
            return Lock.acquire(bench.store, root, holder="kim@host", operation_id="one", source=source)

        with through(ours) as lock:
            lock.check()
            with pytest.raises(
                RefusedError, match=r"/xcom is locked by another xcomctl, in the database post"
            ):
                through(theirs)
        with through(theirs) as lock:
            engine = sa.create_engine(postgres_database)
            with engine.connect() as connection:
                connection.execute(
                    sa.text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE application_name = 'xcomctl' AND datname = current_database()"
                    )
                )
            engine.dispose()
            with pytest.raises(RefusedError, match="was lost with its connection to the database"):
                lock.check()


def test_sqlite_cannot_stand_in(faulty_bench: FaultyBench) -> None:
    """With neither side able to lock nothing is written."""
    bench = faulty_bench
    bench.proxy.faults.append(ignores_conditions)
    with (
        closing(DatabaseSource("sqlite:////nowhere/airflow.db")) as source,
        pytest.raises(RefusedError, match="SQLite has no locks that outlive a transaction"),
    ):
        Lock.acquire(bench.store, Root(bench.bucket), holder="k", operation_id="o", source=source)


@pytest.mark.mariadb
def test_mysql_keeps_writers_apart(mariadb_database: str) -> None:
    """The named lock of MySQL and MariaDB is held by one session, until it lets go."""
    with (
        closing(DatabaseSource(mariadb_database)) as ours,
        closing(DatabaseSource(mariadb_database)) as theirs,
    ):
        with ours.advisory_lock("s3://bucket/xcom") as check:
            check()
            with (
                pytest.raises(RefusedError, match="is locked by another xcomctl"),
                theirs.advisory_lock("s3://bucket/xcom"),
            ):
                pass
        with theirs.advisory_lock("s3://bucket/xcom") as check:
            check()


def test_who_may_not_write_cannot_lock(seaweed_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing right is said, and nothing is locked."""
    bench = seaweed_bench
    for name, value in bench.server.environment("reader").items():  # type: ignore[call-arg]
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match="is denied"):
        take(bench.store, Root(bench.bucket), "kim")
