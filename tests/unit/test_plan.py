from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.services.plans import AT
from tests.services.plans import plan_of_kinds as plan
from xcomctl.gc.plan import Guard
from xcomctl.gc.plan_actions import ACTION_KINDS


def test_actions_come_in_batches_of_their_kind() -> None:
    """Each action once, in order, and never more than asked for at a time."""
    mixed = plan(*["delete_row", "delete_object"] * 1500)
    batches = list(mixed.batches("delete_object", 400))
    assert [len(batch) for batch in batches] == [400, 400, 400, 300]
    assert [action["key"] for batch in batches for action in batch] == [str(n) for n in range(1, 3000, 2)]
    assert list(plan("delete_row").batches("delete_object", 10)) == []


def test_counts_and_samples() -> None:
    """Kinds that do not occur count as 0."""
    made = plan("delete_row", "delete_row", "delete_object")
    none = dict.fromkeys(ACTION_KINDS, 0)
    assert made.action_counts() == {**none, "delete_row": 2, "delete_object": 1}
    assert [sample["key"] for sample in made.samples("delete_row", 1)] == ["0"]
    assert (plan().action_counts(), plan().is_empty, made.is_empty) == (none, True, False)


def test_the_id_tells_plans_apart() -> None:
    """The same actions give the same id; other ones, another time or another database another one."""
    made = plan("delete_row")
    assert made.plan_id == plan("delete_row").plan_id
    others = [
        plan(),
        plan("delete_object"),
        replace(made, created_at=AT + timedelta(microseconds=1)),
        replace(made, basis=replace(made.basis, database="fedcba9876543210")),
        replace(made, scope={"dag": "etl"}),
    ]
    assert len({made.plan_id, *(other.plan_id for other in others)}) == 1 + len(others)


def test_the_header_has_no_causes() -> None:
    """Guards are told by id, verdict, value and limit; refusals are those that are not ok."""
    bad = Guard("replica", False, 1.0, 0, "a replica")
    made = plan(guards=(bad, Guard("clock_skew", True, 0.0, 300.0, "")))
    assert made.header()["guards"] == [
        {"id": "replica", "ok": False, "value": 1.0, "limit": 0},
        {"id": "clock_skew", "ok": True, "value": 0.0, "limit": 300.0},
    ]
    assert made.refusals == [bad]
