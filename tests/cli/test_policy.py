"""`xcomctl policy check` as people and programs run it."""

from __future__ import annotations

import json

import pytest

from tests.services.command import Command
from tests.services.deployment import DAY, Deploy, Deployment

POLICY = """\
[defaults]
older_than = "30d"

[[rules]]
dag = "etl"
older_than = "14d"
keep_last = 2
keep_failed = true
min_size = "1KiB"

[[rules]]
dag = "etl"
key = "small"
older_than = "3d"

[[pins]]
dag = "train"
run = "r1"
reason = "audit 4711"
"""


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """Three runs of one DAG and two of another one."""
    made = deploy()
    for run, age in (("r1", 50), ("r2", 40), ("r3", 1)):
        made.add_row("etl", run, "x" * 2000, age=age * DAY)
        made.add_row("etl", run, 1, name="small", age=age * DAY)
    made.add_row("train", "r1", 1, age=60 * DAY)
    made.add_row("train", "r2", 1, age=50 * DAY)
    return made


def write(xcomctl: Command, text: str) -> str:
    """Write a policy file where the command runs."""
    (xcomctl.folder / "policy.toml").write_text(text)
    return "policy.toml"


def test_a_policy_is_shown_with_what_it_matches(xcomctl: Command, here: Deployment) -> None:
    """The rules, the most specific first, the rows that each is for, and those that would go now; nothing is changed."""
    before = here.state()
    done = xcomctl("policy", "check", write(xcomctl, POLICY), *here.options)
    assert (done.code, here.state()) == (0, before)
    assert done.stdout == (
        "ROWS  GO NOW  RULE            FOR                 LETS GO\n"
        "   3       2  policy.toml:11  dag etl, key small  older than 3d, not: last run\n"
        "   3       1  policy.toml:4   dag etl             older than 14d, not: last 2 runs, failed, below 1.0 KiB\n"
        "   2       0  policy.toml:1   all others          older than 30d, not: last run\n"
        "1 pin, rows kept by them: 1\n"
    )
    assert done.stderr == (
        "note: objects are not listed, so min_size was judged by what is in the rows alone\n"
    )


def test_a_policy_check_as_a_document(xcomctl: Command, here: Deployment) -> None:
    """The same for a program, without a note that was not asked for."""
    done = xcomctl("policy", "check", write(xcomctl, POLICY), *here.options, "-o", "json", "--quiet")
    document = json.loads(done.stdout)
    assert (done.code, done.stderr, len(document.pop("digest"))) == (0, "", 64)
    assert document == {
        "schema": "xcomctl.policy-check/1",
        "path": "policy.toml",
        "pins": 1,
        "rows_pinned": 1,
        "rules": [
            {"place": "policy.toml:11", "dag": "etl", "task": None, "key": "small", "rows": 3, "expiring": 2},
            {"place": "policy.toml:4", "dag": "etl", "task": None, "key": None, "rows": 3, "expiring": 1},
            {"place": "policy.toml:1", "dag": None, "task": None, "key": None, "rows": 2, "expiring": 0},
        ],
    }


def test_without_a_database_the_file_is_checked_alone(xcomctl: Command) -> None:
    """Syntax and sense need nothing but the file."""
    done = xcomctl("policy", "check", write(xcomctl, '[defaults]\nolder_than = "30d"\n'))
    assert (done.code, done.stdout) == (
        0,
        "RULE           FOR         LETS GO\npolicy.toml:1  all others  older than 30d, not: last run\n",
    )
    assert done.stderr.startswith("note: only the file was checked: no metadata database is given")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('[defaults]\nkeep_wihtin = "30d"\n', "policy.toml:2: unknown key keep_wihtin"),
        ('[[rules]]\ndag = "elt"\nkeep_last = 1\n', "policy.toml:1: dag = 'elt' matches no known DAG"),
        (
            '[[pins]]\ndag = "etl"\nrun = "r9"\nreason = "x"\n',
            "policy.toml:1: this pin keeps nothing, no XCom matches dag 'etl', run 'r9'",
        ),
    ],
    ids=["unknown key", "no such DAG", "no such run"],
)
def test_a_bad_policy_is_a_usage_error(xcomctl: Command, here: Deployment, text: str, cause: str) -> None:
    """Exit 2, the line, and what to write instead; stdout stays empty."""
    done = xcomctl("policy", "check", write(xcomctl, text), *here.options)
    assert (done.code, done.stdout, done.stderr.splitlines()[0]) == (2, "", f"error: {cause}")
    assert done.stderr.splitlines()[1].startswith("hint: ")


@pytest.mark.parametrize(
    "words",
    [
        ("gc", "--dry-run"),
        ("plan",),
        ("explain", "etl/r1/load"),
        ("inventory", "--out", "inv.duckdb"),
        ("sql", "select 1"),
        ("du",),
        ("report", "--out", "report.html"),
    ],
    ids=lambda words: words[0],
)
def test_a_policy_that_matches_nothing_is_refused_by_all(
    xcomctl: Command, here: Deployment, words: tuple[str, ...]
) -> None:
    """Nobody is shown figures of a policy that does not speak of what is there, and nothing is written."""
    (xcomctl.folder / "policy.toml").write_text('[[rules]]\ndag = "no_such_dag"\nolder_than = "1d"\n')
    done = xcomctl(*words, *here.options, "--policy", "policy.toml")
    assert (done.code, done.stdout) == (2, "")
    assert "error: policy.toml:1: dag = 'no_such_dag' matches no known DAG" in done.stderr
    assert sorted(path.name for path in xcomctl.folder.iterdir()) == ["policy.toml"]
