"""What a command may touch of what a file names."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from xcomctl.dialects.reach import Reach, common_roots
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.models import Root

DIALECTS = DialectRegistry()

ROOTS = (Root("b", "xcom/"), Root("b", "legacy/x/"), Root("whole"))

OBJECT = "etl/r1/load/8d8ac610-566d-4ef0-9c22-186b2a5ed793"

OUTSIDE, OWN, UNCLAIMED, NONE = (
    "it lies outside of the stores of this command",
    "its key is one of xcomctl's own, or has a segment of dots",
    "no dialect claims its key",
    "it is no address of an object",
)

CASES: dict[tuple[object, object], str | None] = {
    ("b", f"xcom/{OBJECT}"): None,
    ("b", f"legacy/x/{OBJECT}"): None,
    ("whole", OBJECT): None,
    ("b", f"xcom-prod/{OBJECT}"): OUTSIDE,
    ("b", f"legacy/{OBJECT}"): OUTSIDE,
    ("b", OBJECT): OUTSIDE,
    ("c", f"xcom/{OBJECT}"): OUTSIDE,
    ("B", f"xcom/{OBJECT}"): OUTSIDE,
    ("b", f"xcom/.xcomctl/{OBJECT}"): OWN,
    ("b", "xcom/.xcomctl/lock.json"): OWN,
    ("whole", f"deep/.xcomctl/trash/{OBJECT}"): OWN,
    ("b", f"xcom/../{OBJECT}"): OWN,
    ("b", f"xcom/./{OBJECT}"): OWN,
    ("b", "xcom/README.txt"): UNCLAIMED,
    ("b", f"xcom/{OBJECT}\n"): UNCLAIMED,
    ("b", "xcom/"): UNCLAIMED,
    ("b", ""): NONE,
    ("b", "xcom/" + "k" * 1020): NONE,
    ("b", "xcom/\ud800"): NONE,
    ("b", None): NONE,
    (None, f"xcom/{OBJECT}"): NONE,
    ("b", 5): NONE,
}


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_what_speaks_against_an_object_is_said(case: tuple[object, object]) -> None:
    """Roots are whole segments, records and dots are nobody's, and a key that is to go is one that a backend writes."""
    said = CASES[case]
    assert Reach(ROOTS, DIALECTS).objection(*case) == said
    # What is only read, or written where nothing is, may have any key.
    assert Reach(ROOTS).objection(*case) == (None if said == UNCLAIMED else said)
    assert Reach(()).objection(*case) == (NONE if said == NONE else OUTSIDE)


_SEGMENTS = st.sampled_from(
    ["xcom", "xcom-prod", "legacy", "x", ".xcomctl", ".", "..", "", "etl", "r1", "load", "\n", "é", OBJECT]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@given(st.sampled_from(["b", "c", "whole"]), st.lists(_SEGMENTS, max_size=6).map("/".join), st.booleans())
@example("b", f"xcom/{OBJECT}", True)
@example("b", f"xcom/{OBJECT}\n", True)
@example("whole", "k" * 1025, False)
def test_very_many_are_judged_as_each_one(bucket: str, key: str, going: bool) -> None:
    """Nothing is clear in a column that is not by itself, and what is clear by itself is so in a column."""
    reach = Reach(ROOTS, DIALECTS if going else None)
    [clear] = reach.clear(pa.array([bucket]), pa.array([key])).to_pylist()
    assert clear == (reach.objection(bucket, key) is None)


def test_of_no_objects_none_are_judged() -> None:
    """A batch may be empty, and a column may lack values."""
    texts = pa.array([], pa.string())
    assert len(Reach(ROOTS, DIALECTS).clear(texts, texts)) == 0
    absent = pa.array([None], pa.string())
    assert Reach(ROOTS, DIALECTS).clear(absent, pa.array([f"xcom/{OBJECT}"])).to_pylist() == [False]
    assert Reach(ROOTS, DIALECTS).clear(pa.array(["b"]), absent).to_pylist() == [False]


def test_common_roots_are_the_inner_ones() -> None:
    """What both sides reach, whichever of them is the wider one."""
    wide, inner, other = Root("b", "x/"), Root("b", "x/y/"), Root("c")
    assert common_roots([wide], [inner, other]) == (inner,)
    assert common_roots([inner, other], [wide]) == (inner,)
    assert common_roots([wide], [wide]) == (wide,)
    assert common_roots([wide, inner], [Root("b", "x-prod/")]) == ()
