from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xcomctl.errors import XcomctlError
from xcomctl.gc.plan_actions import ACTION_KINDS, Actions, action_schema

SCHEMA = action_schema()
TEXTS = st.none() | st.text(max_size=6)
RECORDS = st.fixed_dictionaries(
    {
        "action": st.sampled_from(ACTION_KINDS),
        "uri": TEXTS,
        "dag_id": TEXTS,
        "size": st.none() | st.integers(0, 1 << 50),
        "written_at": st.none() | st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)),
        "reusable": st.none() | st.booleans(),
    }
)


def batch_of(records: list[dict[str, Any]]) -> pa.RecordBatch:
    """The records as a batch; what they do not say is NULL."""
    return pa.RecordBatch.from_pylist([{**dict.fromkeys(SCHEMA.names), **one} for one in records], SCHEMA)


def actions_of(*batches: list[dict[str, Any]]) -> Actions:
    """Actions that came in these batches."""
    actions = Actions()
    actions.add(map(batch_of, batches))
    return actions


@settings(deadline=None)
@given(records=st.lists(RECORDS, max_size=12), cut=st.integers(0, 12))
def test_what_was_added_comes_back_by_kinds(records: list[dict[str, Any]], cut: int) -> None:
    """Every column of each, in the order of the kinds, however it was cut; counts and bytes add up; so does the digest."""
    whole, parts = actions_of(records), actions_of(records[:cut], records[cut:])
    expected = [one for kind in ACTION_KINDS for one in records if one["action"] == kind]
    for actions in (whole, parts):
        assert [{name: one[name] for name in RECORD_NAMES} for one in actions.records()] == expected
        assert len(actions) == len(records)
        for kind in ACTION_KINDS:
            mine = [one for one in expected if one["action"] == kind]
            assert actions.counts[kind] == len(mine)
            assert actions.size(kind) == sum(one["size"] or 0 for one in mine)
            assert [one["uri"] for one in actions.records(kind, columns=["uri"])] == [
                one["uri"] for one in mine
            ]
    assert whole.digest() == parts.digest()


RECORD_NAMES = ("action", "uri", "dag_id", "size", "written_at", "reusable")

ROW: dict[str, Any] = {
    "action": "delete_row",
    "uri": "s3://b/ab",
    "dag_id": "c",
    "size": 1,
    "reusable": False,
}


@pytest.mark.parametrize(
    "other",
    [
        {"uri": "s3://b/a", "dag_id": "bc"},
        {"uri": None},
        {"uri": ""},
        {"size": 0},
        {"size": None},
        {"reusable": None},
        {"reusable": True},
        {"written_at": datetime(1970, 1, 1)},
        {"action": "delete_object"},
    ],
)
def test_the_digest_tells_apart_what_differs(other: dict[str, Any]) -> None:
    """NULL is neither nothing nor zero, and text is not moved from one column, or from one action, to the next."""
    assert actions_of([{**ROW, **other}]).digest() != actions_of([ROW]).digest()


def test_the_digest_knows_where_a_text_ends() -> None:
    """`ab` and `c` are not `a` and `bc`, nor is their order the same."""
    first, second, third = (
        actions_of([{**ROW, "uri": one}, {**ROW, "uri": other}]).digest()
        for one, other in (("ab", "c"), ("a", "bc"), ("c", "ab"))
    )
    assert len({first, second, third}) == 3


def bulky(count: int) -> pa.RecordBatch:
    """Actions that cannot be packed into less."""
    noise = [os.urandom(250).hex() for _ in range(count)]
    return batch_of([{**ROW, "uri": one} for one in noise])


def test_many_go_to_a_file_without_a_name(tmp_path: Path) -> None:
    """More than is held in memory is below the folder, where nothing is seen of it, and is read as often as one likes."""
    actions = Actions(tmp_path)
    batch = bulky(5_000)
    for _ in range(20):
        actions.add([batch])
    assert list(tmp_path.iterdir()) == []
    uris = batch["uri"].to_pylist()
    for _ in range(2):
        read = actions.records(columns=["uri"])
        # Two readers do not disturb each other.
        assert next(actions.records())["uri"] == uris[0]
        assert [one["uri"] for one in read] == uris * 20


def test_a_folder_without_room_is_told(tmp_path: Path) -> None:
    """The one line says which folder it is, and the hint how another one is named."""
    actions = Actions(tmp_path / "gone")
    with pytest.raises(
        XcomctlError, match=r"the actions of the plan cannot be written to .*gone: No such"
    ) as raised:
        actions.add([bulky(5_000)] * 20)
    assert "--tmp DIR" in (raised.value.hint or "")
