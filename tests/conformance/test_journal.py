"""The journal of operations."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest

from tests.conformance.bench import Bench
from xcomctl.errors import ConflictError, NotFoundError, PartialError, RefusedError, StoreError
from xcomctl.models import Root
from xcomctl.state.journal import (
    Invocation,
    Journal,
    JournalStep,
    OperationRecord,
    find,
    home_of,
    new_operation_id,
    operations,
    steps,
    unfinished,
)

AT = datetime(2026, 11, 22, 14, 28, 31, tzinfo=timezone.utc)


@pytest.fixture
def bench(seaweed_bench: Bench) -> Bench:
    """One store is enough: what they differ in is between the port and its adapter."""
    return seaweed_bench


def begin(bench: Bench, roots: Sequence[Root], *, hours: int = 0, command: str = "gc") -> Journal:
    """A journal of an operation on `roots` that began some hours after AT."""
    now = AT + timedelta(hours=hours)
    return Journal.begin(
        bench.store,
        home_of(roots),
        operation_id=new_operation_id(now),
        invocation=Invocation(command, "kim@host", now, "plan"),
        roots=roots,
        database="a1b2",
    )


def told(bench: Bench, *roots: Root) -> list[OperationRecord]:
    """All operations on these roots."""
    return list(operations(bench.store, roots or [Root(bench.bucket)]))


def test_an_operation_is_read_as_it_was_written(bench: Bench) -> None:
    """Who, when, what and how much; its steps with intent and outcome, in order, exactly as they were given."""
    root = Root(bench.bucket, "xcom/")
    journal = begin(bench, [root])
    intents = [{"row_key": str(n), "value": "é\n\udcff", "size": 2**60, "none": None} for n in range(3)]
    first = journal.intent("delete_rows", intents)
    journal.outcome(first, [{"result": "deleted"}] * 3)
    second = journal.intent("discard_objects", [{"uri": "s3://b/k"}])
    open_steps = list(steps(bench.store, find(bench.store, [root], journal.operation_id)))
    journal.outcome(second, [])
    journal.end({"rows": 3, "objects": 0, "bytes": 0, "failed": 0})
    (record,) = told(bench, root)
    assert record == find(bench.store, [root], journal.operation_id)
    assert (record.id, record.command, record.actor, record.started_at, record.roots, record.plan_id) == (
        journal.operation_id,
        "gc",
        "kim@host",
        AT,
        (root,),
        "plan",
    )
    assert (record.state, dict(record.summary), record.error) == (
        "done",
        {"rows": 3, "objects": 0, "bytes": 0, "failed": 0},
        None,
    )
    assert record.ended_at is not None
    assert open_steps[1].outcome is None
    assert list(steps(bench.store, record)) == [
        JournalStep(1, "delete_rows", intents, [{"result": "deleted"}] * 3),
        JournalStep(2, "discard_objects", [{"uri": "s3://b/k"}], []),
    ]


@pytest.mark.parametrize(
    ("failed", "error", "state", "said"),
    [
        (0, None, "done", None),
        (2, None, "partial", None),
        (2, PartialError("2 objects could not be deleted"), "partial", "2 objects could not be deleted"),
        (0, StoreError("the store is gone"), "failed", "the store is gone"),
        (0, KeyboardInterrupt(), "interrupted", "KeyboardInterrupt"),
        (0, ValueError("a value of a row"), "failed", "ValueError"),
    ],
)
def test_how_it_ended(
    failed: int, error: BaseException | None, state: str, said: str | None, bench: Bench
) -> None:
    """The state is that of the error; the text of an unknown one, which could quote a value, is not kept."""
    begin(bench, [Root(bench.bucket)]).end({"failed": failed}, error)
    (record,) = told(bench)
    assert (record.state, record.error) == (state, said)


def test_operations_are_told_newest_first(bench: Bench) -> None:
    """Of all outermost roots, each once, as many as are asked for."""
    one, inner, two = Root(bench.bucket, "a/"), Root(bench.bucket, "a/b/"), Root(bench.bucket, "c/")
    journals = [
        begin(bench, roots, hours=hours) for hours, roots in enumerate(([one, inner], [two], [two, one]))
    ]
    ids = [journal.operation_id for journal in reversed(journals)]
    assert [record.id for record in told(bench, inner, two, one, one)] == ids
    assert [record.id for record in operations(bench.store, [one, two], 2)] == ids[:2]
    assert [record.id for record in told(bench, two)] == [ids[1]]
    assert [record.home for record in told(bench, one, two)] == [one, two, one]


def test_an_operation_without_an_end_is_unfinished(bench: Bench) -> None:
    """It is found without the others, and what became of it can be written later."""
    root = Root(bench.bucket)
    begin(bench, [root]).end({})
    dead = begin(bench, [root], hours=1)
    dead.intent("delete_rows", [{"row_key": "1"}])
    (record,) = unfinished(bench.store, [root])
    again = Journal.resume(bench.store, record)
    again.outcome(1, [{"result": "deleted"}])
    number = again.intent("restore_objects", [])
    again.end({"rows": 1}, state="interrupted")
    (after, _) = told(bench)
    assert (record.id, record.state, record.ended_at, number) == (dead.operation_id, "unfinished", None, 2)
    assert (after.id, after.state) == (dead.operation_id, "interrupted")
    assert list(unfinished(bench.store, [root])) == []


def test_nothing_is_written_twice(bench: Bench) -> None:
    """An outcome that is known stays, and so do a beginning and an end."""
    root = Root(bench.bucket)
    journal = begin(bench, [root])
    journal.intent("delete_rows", [{}])
    journal.outcome(1, [{"result": "deleted"}])
    with pytest.raises(ConflictError):
        journal.outcome(1, [{"result": "changed"}])
    journal.end({})
    with pytest.raises(ConflictError):
        journal.end({"failed": 1})
    assert [record.state for record in told(bench)] == ["done"]


def test_a_damaged_journal_is_named_and_the_others_are_told(bench: Bench) -> None:
    """Whatever is wrong with one operation, the error names its object, and the others can be read."""
    root = Root(bench.bucket)
    damaged, whole = begin(bench, [root], hours=1), begin(bench, [root])
    folder = f".xcomctl/journal/{damaged.operation_id}"
    bench.put(f"{folder}/began.json", b"{}")
    heard: list[RefusedError] = []
    found = list(operations(bench.store, [root], on_damage=heard.append))
    assert [record.id for record in found] == [whole.operation_id]
    assert [str(error) for error in heard] == [
        f"s3://{bench.bucket}/{folder}/began.json is damaged: it is not what xcomctl wrote there"
    ]
    with pytest.raises(RefusedError, match="is damaged"):
        told(bench)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", gzip.compress(b"{}\n{"), gzip.compress(b"[]\n"), gzip.compress(b"x")[:-3]],
    ids=["empty", "plain", "cut line", "no object", "cut gzip"],
)
def test_a_damaged_step_is_named(body: bytes, bench: Bench) -> None:
    """A step that cannot be read whole is an error, never a shorter step."""
    root = Root(bench.bucket)
    journal = begin(bench, [root])
    journal.intent("delete_rows", [{"row_key": "1"}])
    bench.put(f".xcomctl/journal/{journal.operation_id}/000001-outcome.ndjson.gz", body)
    (record,) = told(bench)
    with pytest.raises(RefusedError, match=r"000001-outcome\.ndjson\.gz is damaged"):
        list(steps(bench.store, record))


def test_a_step_that_is_missing_is_noticed(bench: Bench) -> None:
    """Somebody deleted an intent: the steps that are left are not told as if they were all."""
    root = Root(bench.bucket)
    journal = begin(bench, [root])
    for _ in range(2):
        journal.intent("delete_rows", [{}])
    bench.store.delete(
        [bench.described(f".xcomctl/journal/{journal.operation_id}/000001-delete_rows-intent.ndjson.gz")]
    )
    (record,) = told(bench)
    with pytest.raises(RefusedError, match="the intent of step 1 is missing"):
        list(steps(bench.store, record))


def test_an_unknown_operation_is_not_found(bench: Bench) -> None:
    """An id that is none, or of no operation here, is said with where to look."""
    for name in ("20261122T142831Z-00000000", "../x", "latest"):
        with pytest.raises(NotFoundError, match="there is no operation") as caught:
            find(bench.store, [Root(bench.bucket)], name)
        assert caught.value.hint == "xcomctl log shows what there is"


def test_operations_of_before_are_not_asked_for(bench: Bench) -> None:
    """Their ids tell when they were begun: of the last hours only those are read, however many there are."""
    root = Root(bench.bucket, "a/")
    ids = [begin(bench, [root], hours=hours).operation_id for hours in range(20)]
    since = AT + timedelta(hours=2)
    found = [record.id for record in operations(bench.store, [root], since=since)]
    assert found == ids[:1:-1]
    assert [record.id for record in operations(bench.store, [root], 17, since=since)] == found[:17]
