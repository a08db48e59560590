"""The owner marker of a root."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from tests.conformance.bench import Bench
from xcomctl.errors import RefusedError
from xcomctl.models import Root
from xcomctl.state.owner import Owner, owner_address, read_owner, write_owner

AT = datetime(2026, 11, 22, 14, 28, 31, tzinfo=timezone.utc)
OWNER = Owner("a1b2c3", "postgresql://airflow@db/airflow", 12, 7, AT - timedelta(hours=1), AT, "0.1.0")


@pytest.fixture
def bench(seaweed_bench: Bench) -> Bench:
    """One store is enough: what they differ in is between the port and its adapter."""
    return seaweed_bench


def test_what_was_written_is_read(bench: Bench) -> None:
    """A marker is read as it was written, also with what is not known; without one there is none."""
    root = Root(bench.bucket, "xcom/")
    assert read_owner(bench.store, root) is None
    write_owner(bench.store, root, OWNER, None)
    first = read_owner(bench.store, root)
    empty = replace(OWNER, rows=0, newest_run=None, newest_row_at=None)
    write_owner(bench.store, root, empty, first)
    assert (first, read_owner(bench.store, root)) == (OWNER, empty)


def test_a_marker_counts_for_nothing_that_was_written_after_it(bench: Bench) -> None:
    """Nothing of it was there to be collected: the store's time of the marker is the latest that it can tell of."""
    root = Root(bench.bucket, "xcom/")
    early = replace(OWNER, collected={"": AT}, claims="0a1b")
    write_owner(bench.store, root, early, None)
    first = read_owner(bench.store, root)
    write_owner(bench.store, root, replace(early, collected={"": AT + timedelta(days=36_500)}), first)
    late, info = read_owner(bench.store, root), bench.store.stat(owner_address(root))
    assert first is not None
    assert late is not None
    assert info is not None
    assert (first.collected, late.collected) == ({"": AT}, {"": info.last_modified})


def test_a_marker_that_somebody_else_wrote_meanwhile_stays(bench: Bench) -> None:
    """A marker is only put in the place of the one that was read."""
    root = Root(bench.bucket)
    write_owner(bench.store, root, OWNER, None)
    seen = read_owner(bench.store, root)
    write_owner(bench.store, root, replace(OWNER, rows=13), seen)
    for previous in (None, seen):
        with pytest.raises(RefusedError, match="was written by somebody else meanwhile"):
            write_owner(bench.store, root, OWNER, previous)
    assert read_owner(bench.store, root) == replace(OWNER, rows=13)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b'{"schema": "xcomctl.owner/2"}', "was written by another release of xcomctl (xcomctl.owner/2)"),
        (b'{"schema": "xcomctl.owner/1"}', "is damaged"),
        (b'{"schema": "xcomctl.lock/1"}', "is damaged"),
        (b"{", "is damaged"),
        (b"[]", "is damaged"),
        (b"\xff", "is damaged"),
    ],
)
def test_a_marker_that_cannot_be_read_is_never_taken_for_none(body: bytes, cause: str, bench: Bench) -> None:
    """Who it belongs to is unknown: that is a refusal."""
    root = Root(bench.bucket)
    bench.put(owner_address(root).key, body)
    with pytest.raises(RefusedError) as caught:
        read_owner(bench.store, root)
    assert cause in str(caught.value)
