"""A home-made backend in a few lines of configuration."""

from __future__ import annotations

import re

import duckdb
import pytest

from xcomctl.dialects.configured import DialectRule, compile_rule
from xcomctl.dialects.interface import Claim, Reference
from xcomctl.dialects.portable import differences
from xcomctl.dialects.registry import BUILT_IN, DialectRegistry
from xcomctl.errors import UsageError
from xcomctl.models import ObjectAddress, Root

UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
RULE = DialectRule(
    "team-etl",
    reference="etl-s3://(?P<key>.+)",
    bucket="team-xcoms",
    prefix="xcom",
    codec="csv",
    key="(?P<dag_id>[^/]+)/run=(?P<run_id>[^/]+)/(?P<unique>[0-9a-f-]{36})[.]json",
)


def test_a_rule_with_a_bucket_gives_an_exact_reference() -> None:
    """Bucket and prefix of the rule, the codec that the suffix would have told wrong, and a root to propose."""
    text = f"etl-s3://sales/run=1/{UUID}.json"

    found = DialectRegistry([RULE]).references(f'["{text}"]'.encode(), [Root("other")])

    assert found == [
        Reference(
            "team-etl",
            text,
            (ObjectAddress("team-xcoms", f"xcom/sales/run=1/{UUID}.json"),),
            "exact",
            codec="csv",
            root=Root("team-xcoms", "xcom/"),
        )
    ]


def test_a_rule_without_a_bucket_takes_it_from_the_roots() -> None:
    """At the top of the bucket or under the root's prefix: both are meant."""
    rule = DialectRule("mine", reference="mine:(?P<key>.+)")

    found = DialectRegistry([rule]).references(b'"mine:a.json"', [Root("b", "x/")])

    assert found == [
        Reference(
            "mine",
            "mine:a.json",
            (ObjectAddress("b", "a.json"), ObjectAddress("b", "x/a.json")),
            "configured",
            codec="json",
        )
    ]


def test_a_bucket_in_the_reference_goes_before_that_of_the_rule() -> None:
    """The rule's bucket is only a default."""
    rule = DialectRule("mine", reference="mine://(?:(?P<bucket>[^/]+)@)?(?P<key>.+)", bucket="usual")
    dialects = DialectRegistry([rule])

    def addresses(text: str) -> list[str]:
        return [
            address.uri
            for found in dialects.references(f'"{text}"'.encode(), [])
            for address in found.addresses
        ]

    assert addresses("mine://special@a/b.json") == ["s3://special/a/b.json"]
    assert addresses("mine://a/b.json") == ["s3://usual/a/b.json"]


def test_the_key_of_a_rule_claims_whole_segments_at_the_end() -> None:
    """Below any prefix, as the root is not known to a dialect; in the tool's own folder never."""
    dialects = DialectRegistry([RULE])
    key = f"xcom/sales/run=1/{UUID}.json"

    assert dialects.claim(key) == Claim("team-etl", UUID, dag_id="sales", run_id="1", codec="csv")
    assert dialects.claim(f"{key}.old") is None
    assert dialects.claim(f"xcom/.xcomctl/trash/{key}") is None


def test_a_group_that_took_no_part_is_none() -> None:
    """A rule may have optional groups, and a map index that is no number."""
    rule = DialectRule(
        "mine",
        reference="mine:(?P<key>[a-z]+)?",
        bucket="b",
        key="mine/(?P<map_index>[^/]+)/(?P<unique>[0-9]+)(?:-(?P<task_id>[a-z]+))?",
    )
    dialects = DialectRegistry([rule])

    assert dialects.references(b'"mine:"', []) == []
    assert dialects.claim("mine/x/17") == Claim("mine", "17")
    assert dialects.claim("mine/3/17-t") == Claim("mine", "17", task_id="t", map_index=3)


def test_rules_are_asked_before_the_built_in_dialects() -> None:
    """Who describes a backend knows better than a guess."""
    rule = DialectRule(
        "mine", reference="xcom_s3://(?P<key>.+)", bucket="b", key="data_(?P<unique>[0-9a-f-]{36})"
    )
    dialects = DialectRegistry([rule])

    assert dialects.names() == ["mine", *BUILT_IN]
    assert dialects.references(f'"xcom_s3://data_{UUID}"'.encode(), [])[0].dialect == "mine"
    assert dialects.claim(f"data_{UUID}") == Claim("mine", UUID)
    assert dialects.key_patterns()[0].dialect == "mine"


def test_a_key_without_a_uuid_is_claimed_only_by_a_rule() -> None:
    """Only the user can say that deterministic keys are XComs; then the whole key is what is unique."""
    key = "xcom/sales/r1/extract.csv"
    rule = DialectRule("plain", key="xcom/(?P<dag_id>[^/]+)/(?P<run_id>[^/]+)/(?P<task_id>[^/]+)[.]csv")

    assert DialectRegistry().claim(key) is None
    assert DialectRegistry([rule]).claim(key) == Claim(
        "plain", None, dag_id="sales", run_id="r1", task_id="extract", codec="csv"
    )


@pytest.mark.parametrize(
    ("rule", "cause", "hint"),
    [
        (
            DialectRule("x"),
            "dialect 'x': has neither `reference` nor `key`",
            "add reference = 'my-s3://(?P<key>.+)'",
        ),
        (
            DialectRule("My Own", reference="(?P<key>.+)"),
            "'My Own' is no name for a dialect",
            "write lower-case letters, digits, - and _",
        ),
        (
            DialectRule("x", reference="mine://.+"),
            "dialect 'x': `reference` does not say which part is the key",
            "put the key into (?P<key>...)",
        ),
        (
            DialectRule("x", reference="mine://(?P<path>.+)"),
            "dialect 'x': `reference` has a group 'path'",
            "the groups are bucket, key",
        ),
        (
            DialectRule("x", reference="(?P<key>.+)", bucket="s3://b"),
            "dialect 'x': has the bucket 's3://b'",
            'write only its name: bucket = "team-xcoms"',
        ),
        (
            DialectRule("x", key=".+[.]csv"),
            "dialect 'x': `key` has none of the groups unique, dag_id, run_id, task_id",
            "put what tells one write from another into (?P<unique>...)",
        ),
        (
            DialectRule("x", key="(?P<unique>.*)"),
            "dialect 'x': `key` matches the empty key",
            "describe the whole name of an object",
        ),
        (
            DialectRule("x", reference="mine://(?P<key>.+"),
            "dialect 'x': `reference` cannot be used: it is not a regular expression "
            "(missing ), unterminated subpattern at position 7)",
            "see docs/dialects.md for what may be used",
        ),
    ],
)
def test_a_wrong_rule_is_refused_with_its_name_and_what_to_write(
    rule: DialectRule, cause: str, hint: str
) -> None:
    """Before anything is read: a rule that nearly works would call somebody's objects orphans."""
    with pytest.raises(UsageError) as caught:
        compile_rule(rule)

    assert str(caught.value) == cause
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("names", "cause"),
    [
        (["mine", "mine"], "dialect 'mine' is defined twice"),
        (["common-io"], "dialect 'common-io' is built in"),
    ],
)
def test_a_name_stands_for_one_dialect(names: list[str], cause: str) -> None:
    """So that output can name it."""
    with pytest.raises(UsageError) as caught:
        DialectRegistry([DialectRule(name, reference=f"{name}:(?P<key>.+)") for name in names])

    assert str(caught.value) == cause
    assert caught.value.hint == "give the [[dialect]] table another name"


@pytest.mark.parametrize(
    ("pattern", "difference"),
    [
        ("(?=a)b", "it has '(?=a', only (?:...) and (?P<name>...) may follow a bracket"),
        ("(?!a)b", "it has '(?!a', only (?:...) and (?P<name>...) may follow a bracket"),
        ("(?<=a)b", "it has '(?<=', only (?:...) and (?P<name>...) may follow a bracket"),
        ("(?<!a)b", "it has '(?<!', only (?:...) and (?P<name>...) may follow a bracket"),
        ("(?i:a)", "it has '(?i:', only (?:...) and (?P<name>...) may follow a bracket"),
        ("(?P<key>a)(?P=key)", "it has '(?P=', only (?:...) and (?P<name>...) may follow a bracket"),
        (r"(?P<key>a)\1", "it refers back to a group (\\1)"),
        ("(a)", "it has a group without a name, write (?:...) or (?P<name>...)"),
        (r"a\Z", "it has \\Z, write $"),
        (r"\u0041", "it has \\u"),
        (r"[\b]", "it has \\b"),
        ("a{,3}", "it has {,3}, write {0,3}"),
        ("a{1001}", "it repeats more than 1000 times"),
        ("[[:alpha:]]", "it is not a regular expression (Possible nested set at position 1)"),
    ],
)
def test_what_the_two_engines_do_not_share_is_named(pattern: str, difference: str) -> None:
    """The first difference is what the user is told."""
    assert next(differences(pattern)) == difference


@pytest.mark.parametrize(
    "pattern",
    [
        "a(?:b|c)*?d{2,3}e{4}?f{5,}",
        r"[]a]+[^]b]x",
        r"[(?=]{3}\(\?=",
        r"\d+\.\w*\s?\S\x41\\1",
        "a{b}{}",
        "^(?P<key>[^/]+)/x$",
        "x[a-z]+?",
    ],
)
def test_what_both_engines_share_is_let_pass(pattern: str) -> None:
    """And RE2 does take it."""
    with duckdb.connect() as connection:
        connection.execute("select regexp_matches('abc', ?)", [pattern]).fetchall()

    assert list(differences(pattern)) == []


def test_a_possessive_quantifier_is_refused_by_every_python() -> None:
    """Python has it since 3.11, and calls it an error before; RE2 does not know it."""
    found = next(differences("a++b"))

    assert re.fullmatch(r"it has a possessive \+|it is not a regular expression \(.*\)", found)
