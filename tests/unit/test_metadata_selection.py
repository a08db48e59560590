"""Globs as SQL."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.airflow.selection import like_pattern

_CHARACTERS = "ab*?[]!-%_\\é\n"


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
    ],
)
def test_a_glob_becomes_a_like_pattern(glob: str, pattern: str) -> None:
    """Wildcards are translated, what is special to LIKE is escaped, a set is any one character."""
    assert like_pattern(glob) == pattern


def _like(pattern: str) -> re.Pattern[str]:
    wild = {"%": ".*", "_": "."}
    parts = re.findall("!.|.", pattern, re.DOTALL)
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)


@given(st.text(_CHARACTERS), st.text(_CHARACTERS))
def test_the_like_pattern_never_misses_what_the_glob_matches(glob: str, name: str) -> None:
    """The database may give too much, which is filtered; what it leaves out is lost."""
    if fnmatch.fnmatchcase(name, glob):
        assert _like(like_pattern(glob)).fullmatch(name)


@given(st.text(_CHARACTERS))
def test_a_name_that_is_its_own_glob_is_found(name: str) -> None:
    """The same, where a random name would seldom match: sets that hold the character itself."""
    glob = "".join(f"[{character}]" if character in "*?[" else character for character in name)
    assert _like(like_pattern(glob)).fullmatch(name)
