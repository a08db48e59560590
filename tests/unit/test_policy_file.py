from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import pytest

from xcomctl.cli.scope_options import parse_min_age
from xcomctl.errors import UsageError
from xcomctl.policy import Pin, Policy, Rule
from xcomctl.policy.file import PolicyFile, load_policy

DAY = timedelta(days=1)

WHOLE = """\
# Retention of the data platform
[defaults]
older_than = "30d"
keep_last = 3
keep_failed = "90d"

[[rules]]
dag = "etl_*"
older_than = "14d"
keep_last_per_key = 1
min_size = "10KiB"

[[rules]]
dag = "scratch"
key = "frame"
older_than = "1d12h"
keep_last = 0
keep_failed = false
allow_remove_all = true

[[pins]]
dag = "train_*"
run = "manual__2026-*"
reason = "audit 4711"
until = 2027-01-31

[[pins]]
dag = "claims"
reason = "case 12"

[trash]
keep = "7d"

[orphans]
collect = true
min_age = "48h"
max_share = 0.25

[backup]
to = "s3://backups/xcoms"
"""


def written(folder: Path, text: str | bytes) -> Path:
    """A policy file of this content."""
    path = folder / "policy.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_file_says_all_that_a_collection_needs(tmp_path: Path) -> None:
    """Rules take from the defaults what they do not say, know their lines, and the digest is that of the bytes."""
    path = written(tmp_path, WHOLE)
    assert load_policy(path) == PolicyFile(
        path=path,
        digest=hashlib.sha256(WHOLE.encode()).hexdigest(),
        policy=Policy(
            rules=(
                Rule(
                    dag="etl_*",
                    older_than=14 * DAY,
                    keep_last=3,
                    keep_last_per_key=1,
                    keep_failed=90 * DAY,
                    min_size=10_240,
                    place="policy.toml:7",
                ),
                Rule(
                    dag="scratch",
                    key="frame",
                    older_than=1.5 * DAY,
                    keep_last=0,
                    place="policy.toml:13",
                ),
                Rule(older_than=30 * DAY, keep_last=3, keep_failed=90 * DAY, place="policy.toml:2"),
            ),
            pins=(
                Pin(
                    "audit 4711",
                    dag="train_*",
                    run="manual__2026-*",
                    until=datetime(2027, 2, 1, tzinfo=timezone.utc),
                    place="policy.toml:21",
                ),
                Pin("case 12", dag="claims", place="policy.toml:27"),
            ),
        ),
        trash_keep=7 * DAY,
        orphans=True,
        min_age=2 * DAY,
        max_share=0.25,
        backup_to="s3://backups/xcoms",
    )


def test_an_empty_file_keeps_everything(tmp_path: Path) -> None:
    """Without a rule nothing expires."""
    assert load_policy(written(tmp_path, "")).policy == Policy()
    assert not Policy().expires_anything


FAULTS = {
    "unknown section": ("[default]\n", 1, "unknown key default", "did you mean defaults?"),
    "unknown key": (
        '[defaults]\nolder_then = "30d"\n',
        2,
        "unknown key older_then",
        "did you mean older_than?",
    ),
    "unknown key far from any": (
        '[trash]\nq = "30d"\n',
        2,
        "unknown key q",
        "known here: keep",
    ),
    "no unit": (
        "[defaults]\nolder_than = 30\n",
        2,
        "older_than: 30 has no unit",
        'write older_than = "30d" for days, "30h" for hours',
    ),
    "no unit in a text": (
        '[defaults]\nolder_than = "30"\n',
        2,
        "older_than: '30' is not a duration",
        'write older_than = "30d" for days, "30h" for hours',
    ),
    "negative": (
        '[defaults]\nolder_than = "-3d"\n',
        2,
        "older_than: '-3d' is not a duration",
        'write older_than = "30d", "12h" or "90m"',
    ),
    "zero": (
        '[[rules]]\ndag = "a"\nolder_than = "0s"\n',
        3,
        "older_than: '0s' selects everything, also what was written just now",
        'write older_than = "30d"',
    ),
    "a century": (
        '[defaults]\nolder_than = "40000d"\n',
        2,
        "older_than: '40000d' is too long",
        'write older_than = "365d"',
    ),
    "wrong type": (
        '[[rules]]\ndag = ["a"]\n',
        2,
        "dag: a name or a glob is a text",
        'write dag = "etl_*"',
    ),
    "a count that is true": (
        "[defaults]\nkeep_last = true\n",
        2,
        "keep_last: this has to be a whole number, 0 or more",
        "write keep_last = 5",
    ),
    "a negative count": (
        "[defaults]\nkeep_last = -1\n",
        2,
        "keep_last: this has to be a whole number, 0 or more",
        "write keep_last = 5",
    ),
    "size": (
        '[defaults]\nmin_size = "10 parsec"\n',
        2,
        "min_size: '10 parsec' is not a size",
        'write min_size = "10KiB"',
    ),
    "share": (
        "[orphans]\nmax_share = 50\n",
        2,
        "max_share: a share is a number above 0 and up to 1",
        "write max_share = 0.5",
    ),
    "grace": (
        '[orphans]\n# so short\nmin_age = "10m"\n',
        3,
        "min_age: '10m' is below 1h: younger objects may be in use",
        'write min_age = "24h"',
    ),
    "destination": (
        '[backup]\nto = "ftp://there"\n',
        2,
        "to: 'ftp://there' is not an S3 address",
        'write to = "s3://bucket/prefix" or "/a/folder"',
    ),
    "until": (
        '[[pins]]\ndag = "a"\nreason = "b"\nuntil = "2027-01-01"\n',
        4,
        "until: this has to be a date, without quotes",
        "write until = 2027-01-31",
    ),
    "pin without a reason": (
        '[[pins]]\ndag = "a"\n[[pins]]\ndag = "b"\nreason = "x"\n',
        1,
        "a pin has a reason",
        'add reason = "audit 4711"',
    ),
    "pin of everything": (
        '[[pins]]\nreason = "x"\n',
        1,
        "a pin says what it keeps",
        'add dag = "train_*"',
    ),
    "rule of everything": (
        '[[rules]]\nolder_than = "3d"\n',
        1,
        "a rule says what it is for",
        'add dag = "etl_*"; [defaults] is for all',
    ),
    "rules as a table": (
        '[rules]\ndag = "a"\n',
        1,
        "rules is a list of tables",
        "write [[rules]] instead of [rules]",
    ),
    "defaults as a list": (
        "[[defaults]]\nkeep_last = 1\n",
        1,
        "defaults is a table",
        "write [defaults], and its keys below",
    ),
    "a tie": (
        '[[rules]]\ndag = "etl_*"\n[[rules]]\ndag = "elt_*"\n\n[[rules]]\ndag = "*_etl"\n',
        6,
        "some rows match this rule and the one at policy.toml:1, and neither is more specific",
        "make the globs of one of them longer or exact: DAG counts before task, task before key",
    ),
    "nothing of a DAG": (
        '[defaults]\nolder_than = "30d"\n[[rules]]\ndag = "a"\nkeep_last = 0\n',
        5,
        "keep_last = 0 keeps nothing of a DAG, not even the values that its next run may pull",
        "write keep_last = 1, or keep_last_per_key = 1, or add allow_remove_all = true if this is meant",
    ),
    "defaults that catch all": (
        '[defaults]\nkeep_last = 3\n[[rules]]\ndag = "a"\nolder_than = "3d"\n',
        2,
        "keep_last alone lets go of all older runs of every DAG that has no rule, whatever their age",
        'add older_than = "30d" to [defaults], or put keep_last into the rules',
    ),
    "not TOML": (
        "[defaults]\nolder_than = 30d\n",
        2,
        "this is not TOML: expected newline or end of document after a statement",
        'write lines such as older_than = "30d"',
    ),
}


@pytest.mark.parametrize(("text", "line", "cause", "hint"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_told_with_its_line(tmp_path: Path, text: str, line: int, cause: str, hint: str) -> None:
    """Every fault of a file says where it is and what to write instead."""
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as raised:
        load_policy(path)
    assert (str(raised.value), raised.value.hint) == (f"{path}:{line}: {cause}", hint)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A wrong path, a folder, bytes that are no text."""
    with pytest.raises(UsageError, match=r"none\.toml cannot be read: No such file or directory"):
        load_policy(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="it is not UTF-8"):
        load_policy(written(tmp_path, b"# caf\xe9"))


def test_lines_are_found_around_texts_of_many_lines(tmp_path: Path) -> None:
    """What looks like a table inside of a text is none; tables in one line have that line."""
    text = '[[pins]]\nreason = """\n[[pins]]\nkeep = 1\n"""\ndag = "a"\n[[pins]]\ndag = "b"\nreason = \'x\'\n'
    assert [pin.place for pin in load_policy(written(tmp_path, text)).policy.pins] == [
        "policy.toml:1",
        "policy.toml:7",
    ]
    inline = 'rules = [{dag = "a", keep_last = 2}, {dag = "b", keep_last = 1}]\n'
    assert [rule.place for rule in load_policy(written(tmp_path, inline)).policy.rules] == [
        "policy.toml:1",
        "policy.toml:1",
    ]


def test_a_time_is_utc_unless_it_says_otherwise(tmp_path: Path) -> None:
    """A pin's end is a date, which is its last day, or a time."""
    ends = ("2027-01-31", "2027-01-31T10:00:00", "2027-01-31T10:00:00+02:00")
    found = [
        load_policy(written(tmp_path, f'[[pins]]\ndag = "a"\nreason = "b"\nuntil = {end}\n'))
        .policy.pins[0]
        .until
        for end in ends
    ]
    assert found == [
        datetime(2027, 2, 1, tzinfo=timezone.utc),
        datetime(2027, 1, 31, 10, tzinfo=timezone.utc),
        datetime(2027, 1, 31, 8, tzinfo=timezone.utc),
    ]


def test_the_least_grace_period_is_that_of_the_command_line(tmp_path: Path) -> None:
    """A file cannot go below what needs `--unsafe-min-age` on the command line, and takes the same at the edge."""
    for text, accepted in (("1h", True), ("59m", False)):
        file = written(tmp_path, f'[orphans]\nmin_age = "{text}"\n')
        readers: list[Callable[[], object]] = [
            partial(parse_min_age, text, unsafe=False),
            partial(load_policy, file),
        ]
        for read in readers:
            with nullcontext() if accepted else pytest.raises(UsageError, match="is below 1h"):
                read()


def test_globs_of_equal_length_that_cannot_meet_are_no_tie(tmp_path: Path) -> None:
    """Two teams may write rules for their own DAGs."""
    text = '[[rules]]\ndag = "etl_*"\nkeep_last = 1\n[[rules]]\ndag = "elt_*"\nkeep_last = 2\n'
    assert len(load_policy(written(tmp_path, text)).policy.rules) == 2


def test_the_example_of_the_documentation_is_a_policy(tmp_path: Path) -> None:
    """The file that the page shows is read without a fault, and has every section."""
    page = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
    found = load_policy(written(tmp_path, page.partition("```toml\n")[2].partition("```")[0]))
    assert (len(found.policy.rules), len(found.policy.pins)) == (3, 1)
    assert None not in (found.trash_keep, found.orphans, found.min_age, found.max_share, found.backup_to)
