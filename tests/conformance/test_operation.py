"""An operation: one at a time, on record before it acts, and never left half told."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

import pytest

from tests.conformance.trash_bench import MakeBench, journal_of, make_bench, rows_of
from tests.services.deployment import DAY, MONTH, two_runs
from tests.services.interposed import Died, Interposed
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import RefusedError, SourceError
from xcomctl.gc.apply import Outcome, RowReading, apply_plan
from xcomctl.gc.collect import Scope, plan_collection
from xcomctl.inventory.judging import Sides
from xcomctl.policy import Policy
from xcomctl.state.journal import Invocation, steps
from xcomctl.state.operation import Operation

__all__ = ["make_bench"]


def test_two_operations_do_not_run_at_once(make_bench: MakeBench) -> None:
    """The second one is refused, and changes nothing."""
    here = make_bench("moto_server")
    two_runs(here)
    plan, before = here.plan(MONTH), here.state()
    with here.operation(), pytest.raises(RefusedError, match="is locked by kim@worker"):
        here.apply(plan)
    assert here.state() == before
    here.apply(plan)
    assert here.state() != before


def test_the_intent_is_on_record_before_anything_happens(make_bench: MakeBench) -> None:
    """Rows with their values, objects with the way in which they go; outcomes after."""
    here = make_bench("moto_server")
    two_runs(here)
    before = rows_of(here)
    seen: list[str] = []

    def look(*_: Any, **__: Any) -> None:
        seen.extend(step.kind for step in steps(here.store, journal_of(here)[0]) if step.outcome is None)

    watched: Any = Interposed(here.source, before={"delete_rows": look})
    store: Any = Interposed(here.store, before={"copy": look})
    here.apply(here.plan(MONTH), source=watched, store=store)
    rows, objects = steps(here.store, journal_of(here)[0])
    assert seen == ["delete_rows", "discard_objects"]
    assert [entry["columns"]["value"] for entry in rows.intent] == [
        {"$json": row["value"]} for row in before if row["run_id"] == "old"
    ]
    assert [entry["way"] for entry in objects.intent] == ["copy"]
    assert [entry["result"] for entry in (*(rows.outcome or ()), *(objects.outcome or ()))] == [
        "deleted",
        "trashed",
    ]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_while_rows_are_deleted_is_settled(make_bench: MakeBench, when: str) -> None:
    """Whether the database committed is asked of the database."""
    here = make_bench("moto_server")
    two_runs(here)

    def die(*_: Any, **__: Any) -> None:
        raise Died

    killed: Any = Interposed(here.source, **{when: {"delete_rows": die}})
    with suppress(Died):
        here.apply(here.plan(MONTH), source=killed)
    assert [record.state for record in journal_of(here)] == ["unfinished"]
    with here.operation(command="next"):
        pass
    record = next(record for record in journal_of(here) if record.command == "gc")
    (step,) = steps(here.store, record)
    assert record.state == "interrupted"
    assert [entry["result"] for entry in step.outcome or ()] == [
        "not_done" if when == "before" else "deleted"
    ]
    assert record.summary.get("rows", 0) == (0 if when == "before" else 1)


def test_what_failed_is_told_as_failed(make_bench: MakeBench) -> None:
    """An error between two steps ends the operation, with its cause."""
    here = make_bench("moto_server")

    def fail(*_: Any, **__: Any) -> None:
        raise SourceError("the database does not answer")

    two_runs(here)
    failing: Any = Interposed(here.source, before={"recorded": fail})
    with pytest.raises(SourceError):
        here.apply(here.plan(MONTH), source=failing)
    (record,) = journal_of(here)
    assert (record.state, record.error, here.dangling()) == ("failed", "the database does not answer", set())


def test_without_a_store_rows_go_without_a_record(make_bench: MakeBench) -> None:
    """There is nowhere to keep it, and no object that could be lost."""
    here = make_bench("moto_server")
    for run, age in (("old", 40), ("new", 0)):
        here.add_row("etl", run, {"rows": 3}, age=age * DAY)
    now = datetime.now(timezone.utc)
    dialects = DialectRegistry()
    policy = Policy(older_than=30 * DAY)
    plan = plan_collection(Sides(here.source, None, dialects, ()), Scope(policy=policy), now=now)
    outcome = Outcome()
    with Operation.begin(here.source, None, (), Invocation("gc", "kim@worker", now)) as operation:
        apply_plan(plan, operation, RowReading(dialects), outcome=outcome)
    assert (outcome.rows, operation.journal, here.refs()) == (
        {"deleted": 1},
        None,
        {"etl/new/load:return_value"},
    )
