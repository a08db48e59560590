"""Dialects are data that Python and DuckDB's RE2 must read alike: one decides a value, the other a hundred million."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from xcomctl.dialects import registry
from xcomctl.dialects.interface import UNCLAIMABLE, KeyPattern
from xcomctl.dialects.patterns import ReferencePattern, codec_of_key, compiled
from xcomctl.dialects.portable import differences
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.models import uuids_in

CORPUS = Path(__file__).parents[1] / "corpus" / "references"
PATTERNS: list[ReferencePattern | KeyPattern] = [*registry._REFERENCES, *DialectRegistry().key_patterns()]


def texts() -> list[str]:
    """Every key and every reference of the corpus, and the same with a newline behind it."""
    found = set()
    for file in CORPUS.glob("*.jsonl"):
        for case in map(json.loads, file.read_text(encoding="utf-8").split("\n")[:-1]):
            found.update([case["key"]] if "key" in case else [r["text"] for r in case["references"]])
    for file in (CORPUS / "xcomctl").glob("*.json"):
        golden = json.loads(file.read_text(encoding="utf-8"))
        found.update((golden["key"], golden["reference"]["uri"]))
    return sorted(found | {f"{text}\n" for text in found})


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with all texts in it."""
    with duckdb.connect() as connection:
        connection.execute("create table texts (text varchar)")
        connection.executemany("insert into texts values (?)", [(text,) for text in texts()])
        yield connection


def in_re2(connection: duckdb.DuckDBPyConnection, pattern: str) -> dict[str, dict[str, str]]:
    """The groups by text, for the texts that match."""
    names = list(re.compile(pattern).groupindex)
    groups = "regexp_extract(text, $pattern, $names)" if names else "NULL"
    rows = connection.execute(
        f"select text, {groups} from texts where regexp_matches(text, $pattern)",
        {"pattern": pattern, **({"names": names} if names else {})},
    ).fetchall()
    return dict(rows)


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: f"{pattern.dialect} {pattern.pattern[:40]}")
def test_python_and_re2_find_the_same_groups_in_every_text_of_the_corpus(
    connection: duckdb.DuckDBPyConnection, pattern: ReferencePattern | KeyPattern
) -> None:
    """Also where a newline ends the key, before which Python's `$` would match."""
    regex = compiled(pattern.pattern)
    expected = {
        text: {name: group or "" for name, group in match.groupdict().items()}
        for text in texts()
        if (match := regex.search(text))
    }

    assert in_re2(connection, pattern.pattern) == expected


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: f"{pattern.dialect} {pattern.pattern[:40]}")
def test_every_built_in_pattern_keeps_to_the_rules_for_configured_ones(
    pattern: ReferencePattern | KeyPattern,
) -> None:
    """No construct that only one engine knows, no group without a name, and `$` at the end."""
    assert list(differences(pattern.pattern)) == []
    assert pattern.pattern.endswith("$")


def test_the_first_pattern_that_matches_in_sql_is_the_claim(connection: duckdb.DuckDBPyConnection) -> None:
    """Classification in SQL and `claim` agree on the dialect and on what is unique."""
    dialects = DialectRegistry()
    in_sql: dict[str, tuple[str, str | None]] = {}
    for pattern in dialects.key_patterns():
        for text, groups in in_re2(connection, pattern.pattern).items():
            in_sql.setdefault(text, (pattern.dialect, groups["unique"]))
    for text in in_re2(connection, UNCLAIMABLE):
        in_sql.pop(text, None)

    assert in_sql == {
        text: (claim.dialect, claim.unique) for text in texts() if (claim := dialects.claim(text))
    }


@pytest.mark.parametrize("pattern", DialectRegistry().key_patterns(), ids=lambda pattern: pattern.dialect)
def test_every_built_in_claim_needs_a_uuid(pattern: KeyPattern) -> None:
    """A key without one could be overwritten by the next try: who wrote it cannot be told."""
    assert "(?P<unique>" in pattern.pattern
    found = [match["unique"] for text in texts() if (match := re.search(pattern.pattern, text))]
    assert found
    assert all(len(uuids_in(unique)) >= 1 for unique in found)


@pytest.mark.parametrize(
    ("key", "codec"),
    [
        ("a/b.parquet", "parquet"),
        ("a/b.CSV.gz", "csv"),
        ("a/b.json.zst", "json"),
        ("b.txt", "text"),
        ("b.bin", "bytes"),
        ("b.pkl", "pickle"),
        ("a.csv/b", None),
        ("a/b.gz", None),
        ("a/b", None),
        ("b.tar.gz", None),
        ("", None),
    ],
)
def test_the_codec_of_a_key_is_that_of_its_last_suffix_but_compressions(key: str, codec: str | None) -> None:
    """Folders do not count, and an unknown suffix says nothing."""
    assert codec_of_key(key) == codec
