"""One language of globs: Python, DuckDB and the databases choose the same names by the same glob."""

from __future__ import annotations

import fnmatch
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xcomctl import globs

_GLOB = st.text("abzA*?[]!^-%_\\é\n.", max_size=7)
_NAME = st.text("abzA*?[]!^-%_\\éñ\n.", max_size=6)
_CASES = st.lists(st.tuples(_GLOB, _NAME), min_size=100, max_size=200)


def _by_fnmatch(cases: Sequence[tuple[str, str]]) -> list[bool]:
    return [fnmatch.fnmatchcase(name, glob) for glob, name in cases]


@settings(max_examples=30, deadline=None)
@given(_CASES)
def test_a_glob_in_python_is_one_of_fnmatch(cases: list[tuple[str, str]]) -> None:
    """The language is the one that Python's users know, to the last corner."""
    assert [globs.matches(glob, name) for glob, name in cases] == _by_fnmatch(cases)


@settings(max_examples=30, deadline=None)
@given(_CASES)
def test_a_glob_in_duckdb_is_a_glob_in_python(cases: list[tuple[str, str]]) -> None:
    """A policy and `du` choose what `ls` and `rm` choose."""
    table = pa.table(
        {
            "name": [name for _, name in cases],
            "pattern": [globs.duckdb_pattern(glob) for glob, _ in cases],
        }
    )
    with duckdb.connect() as connection:
        connection.register("cases", table)
        found = connection.execute("SELECT regexp_full_match(name, pattern) FROM cases").fetchall()
    assert [match for (match,) in found] == _by_fnmatch(cases)


@settings(max_examples=30, deadline=None)
@given(_CASES)
def test_the_database_never_misses_what_the_glob_matches(cases: list[tuple[str, str]]) -> None:
    """It may give too much, which is filtered; what it leaves out is lost."""
    with closing(sqlite3.connect(":memory:")) as connection:
        found = [
            connection.execute("SELECT ? LIKE ? ESCAPE '!'", (name, globs.like_pattern(glob))).fetchone()[0]
            for glob, name in cases
        ]
    missed = [
        case for case, match, given in zip(cases, _by_fnmatch(cases), found, strict=True) if match > given
    ]
    assert missed == []


@settings(max_examples=50)
@given(_NAME, _NAME)
def test_an_escaped_name_matches_itself_alone(name: str, other: str) -> None:
    """Whatever it looks like; and it is known for what it is, so that an index finds it."""
    glob = globs.escaped(name)
    assert (globs.only_name(glob), globs.matches(glob, name)) == (name, True)
    assert globs.matches(glob, other) == (name == other)


@settings(max_examples=50)
@given(_GLOB, _NAME)
def test_a_glob_that_names_one_thing_matches_nothing_else(glob: str, other: str) -> None:
    """`only_name` is None as soon as there is a choice."""
    name = globs.only_name(glob)
    if name is not None:
        assert globs.matches(glob, name)
        assert globs.matches(glob, other) == (name == other)


@pytest.mark.parametrize(
    ("glob", "pattern"),
    [
        ("etl_*", "etl!_%"),
        ("100%!", "100!%!!"),
        ("a?c", "a_c"),
        ("[abc]x", "_x"),
        ("[!]a]x", "_x"),
        ("[]a]x", "_x"),
        ("a[b", "a[b"),
        ("a[]", "a[]"),
        ("a[*]", "a*"),
        ("a[_]", "a!_"),
    ],
)
def test_a_glob_becomes_a_like_pattern(glob: str, pattern: str) -> None:
    """Wildcards are translated, what is special to LIKE is escaped, a set is any one character."""
    assert globs.like_pattern(glob) == pattern


@pytest.mark.parametrize("glob", ["[]", "[!]", "etl[", "x[!", "a[]-b"])
def test_a_bracket_that_is_not_closed_is_a_bracket(glob: str) -> None:
    """In a policy as on the command line."""
    assert (globs.is_glob(glob), globs.only_name(glob), globs.matches(glob, glob)) == (False, glob, True)


def test_a_text_without_wildcards_is_no_glob() -> None:
    """Nor is one in which every wildcard is escaped."""
    texts = ("etl", "etl[", "etl*", "et?", "[em]tl", "[!e]tl", "[e]tl", "etl[*]")
    assert [globs.is_glob(text) for text in texts] == [False, False, True, True, True, True, False, False]


def test_many_stars_fail_at_once() -> None:
    """A glob costs no more than the name is long, times the glob."""
    began = time.monotonic()
    assert not globs.matches("a*" * 25 + "b", "a" * 500)
    assert time.monotonic() - began < 1


def test_an_unknown_name_is_what_is_said_of_it() -> None:
    """A condition is never NULL: what has no name does not match, unless it is to count as a match."""
    parameters: dict[str, object] = {}
    strict = globs.duckdb_condition({"dag_id": "e*", "run_id": None, "key": "?"}, parameters)
    lenient = globs.duckdb_condition({"dag_id": "e*"}, parameters, prefix="other", unknown="true")
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT {strict}, {lenient} FROM (VALUES ('etl', NULL, 'k'), (NULL, 'r', 'k')) t(dag_id, run_id, key)",
            parameters,
        ).fetchall()
    assert found == [(True, True), (False, True)]
    assert globs.duckdb_condition({"dag_id": None}, {}) == "true"


_FEW = st.text("ab*?[!]-", max_size=5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(_FEW, _FEW, st.text("ab", max_size=4)), min_size=200, max_size=200))
def test_globs_that_match_one_text_overlap(cases: list[tuple[str, str, str]]) -> None:
    """Two rules that some row may match are never taken for apart."""
    wrong = [
        (one, other)
        for one, other, text in cases
        if globs.matches(one, text) and globs.matches(other, text) and not globs.overlap(one, other)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("etl_*", "*_daily", True),
        ("etl_*", "elt_*", False),
        ("a?c", "ab?", True),
        ("[ab]x", "bx", True),
        ("[ab]x", "cx", False),
        ("a*b", "a*c", False),
        ("a[*]", "a*", True),
        ("a[*]", "ab", False),
        (None, "x", True),
    ],
)
def test_globs_overlap_if_some_text_may_match_both(
    one: str | None, other: str | None, expected: bool
) -> None:
    """Whether two rules can be for the same row."""
    assert (globs.overlap(one, other), globs.overlap(other, one)) == (expected, expected)
