from __future__ import annotations

import json
from datetime import datetime, timezone

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from xcomctl.airflow.interface import row_schema
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.dialects.values import search_text
from xcomctl.inventory import Inventory
from xcomctl.models import Root
from xcomctl.s3.interface import object_schema

ROOT = Root.parse("s3://bucket/x")
AT = datetime(2026, 1, 1, tzinfo=timezone.utc)

SEGMENTS = st.sampled_from(["a", "b", "ab", "", ".", "é", "a b", '"', "\\", "1"])
KEYS = st.lists(SEGMENTS, min_size=1, max_size=6).map("/".join).filter(bool)
AROUND = st.sampled_from(["", "/", "a", "b/", '"', " ", "x/", "s3://bucket/x/", "é"])


def links_of(keys: list[str], values: list[bytes]) -> set[tuple[int, int]]:
    """Which row, by its number, holds the key of which object."""
    objects = pa.RecordBatch.from_pylist(
        [
            {"bucket": "bucket", "key": f"x/{key}", "size": 1, "etag": "e", "last_modified": AT}
            for key in keys
        ],
        schema=object_schema(),
    )
    row = {
        "source_table": "xcom",
        "archived": False,
        "dag_id": "d",
        "run_id": "r",
        "task_id": "t",
        "map_index": -1,
        "key": "k",
    }
    rows = pa.RecordBatch.from_pylist(
        [{**dict.fromkeys(row_schema().names), **row, "raw": value} for value in values],
        schema=row_schema(),
    )
    with Inventory(DialectRegistry(), (ROOT,), search_substring_keys=True) as inventory:
        inventory.add_objects(ROOT, [objects])
        inventory.add_rows([rows])
        found = inventory.run("SELECT row_id, key FROM links JOIN listed_objects USING (object_id)")
    return {(int(row_id), keys.index(key.removeprefix("x/"))) for row_id, key in found}


@settings(max_examples=12)
@given(data=st.data(), keys=st.lists(KEYS, min_size=1, max_size=6, unique=True))
@example(data=None, keys=["a/b/a/b/a", "a/b", "b", "a//b", "//"])
def test_a_key_is_found_wherever_it_stands(data: st.DataObject | None, keys: list[str]) -> None:
    """However many slashes it has and whatever stands around it: just as if each were looked for in each value."""
    found_wherever_they_stand(data, keys)


@pytest.mark.slow
@settings(max_examples=50)
@given(data=st.data(), keys=st.lists(KEYS, min_size=1, max_size=6, unique=True))
def test_any_of_many_keys_is_found_wherever_it_stands(data: st.DataObject, keys: list[str]) -> None:
    """The same, of more keys."""
    found_wherever_they_stand(data, keys)


def found_wherever_they_stand(data: st.DataObject | None, keys: list[str]) -> None:
    """Compare what is found of these keys in some values with what each value holds."""
    texts = [f"s3://bucket/x/{key}" for key in keys] + ["a/b/a/b/a/b", "/", ""]
    if data is not None:
        near = st.tuples(AROUND, st.sampled_from(keys) | KEYS, AROUND).map("".join)
        texts = data.draw(st.lists(st.lists(near, max_size=3).map("".join), min_size=1, max_size=6))
    values = [
        form.encode() for text in texts for form in (json.dumps(text), json.dumps({"path": text}), text)
    ]
    expected = {
        (row, number)
        for row, value in enumerate(values)
        for number, key in enumerate(keys)
        if key in search_text(value)
    }
    assert links_of(keys, values) == expected
