from __future__ import annotations

from datetime import datetime, timezone

import pyarrow as pa

from xcomctl.plan import PUBLIC_COLUMNS, Guard, Plan

AT = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def plan(*kinds: str, guards: tuple[Guard, ...] = ()) -> Plan:
    """A plan with actions of these kinds."""
    records = [
        {**dict.fromkeys(PUBLIC_COLUMNS), "action": kind, "key": str(n)} for n, kind in enumerate(kinds)
    ]
    schema = pa.schema(
        [(name, pa.int64() if name in ("size", "map_index") else pa.string()) for name in PUBLIC_COLUMNS]
    )
    return Plan(AT, {"dag": None}, {"rows_scanned": 3}, guards, pa.Table.from_pylist(records, schema=schema))


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
    assert made.action_counts() == {"delete_row": 2, "delete_object": 1}
    assert [sample["key"] for sample in made.samples("delete_row", 1)] == ["0"]
    assert (plan().action_counts(), plan().is_empty, made.is_empty) == (
        {"delete_row": 0, "delete_object": 0},
        True,
        False,
    )


def test_the_id_tells_plans_apart() -> None:
    """The same actions give the same id, other ones another."""
    assert plan("delete_row").plan_id == plan("delete_row").plan_id
    assert len({plan().plan_id, plan("delete_row").plan_id, plan("delete_object").plan_id}) == 3


def test_the_header_has_no_causes() -> None:
    """Guards are told by id, verdict, value and limit; refusals are those that are not ok."""
    bad = Guard("replica", False, 1.0, 0, "a replica")
    made = plan(guards=(bad, Guard("clock_skew", True, 0.0, 300.0, "")))
    assert made.header()["guards"] == [
        {"id": "replica", "ok": False, "value": 1.0, "limit": 0},
        {"id": "clock_skew", "ok": True, "value": 0.0, "limit": 300.0},
    ]
    assert made.refusals == [bad]
