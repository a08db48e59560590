"""`xcomctl explain` as people and programs run it."""

from __future__ import annotations

import json
import re

import pytest

from tests.services.command import Command
from tests.services.deployment import DAY, Deploy, Deployment

POLICY = """\
[[rules]]
dag = "etl"
older_than = "30d"
keep_failed = "60d"
"""


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """An old run, a failed one, and a new one of `etl`, each with an object."""
    made = deploy()
    made.push(run="old", age=40 * DAY)
    made.push(run="bad", age=50 * DAY, state="failed")
    made.push(run="new", age=DAY)
    return made


def steady(text: str) -> str:
    """The output without what differs from day to day."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", text)
    # The reference names the bucket, which has a number.
    text = re.sub(r"(in table xcom), \d+ B", r"\1, SIZE", text)
    return re.sub(r"\b\d+-[0-9a-f]{6}\b", "ID", re.sub(r"\(\d+[sm] ago\)", "(NOW)", text))


def test_a_row_is_explained_in_lines(xcomctl: Command, here: Deployment) -> None:
    """What it is, what it refers to, which rule keeps it, and when it may go; nothing is changed, nothing else is said."""
    (xcomctl.folder / "policy.toml").write_text(POLICY)
    before = here.state()
    done = xcomctl("explain", "etl/bad/load", "--policy", "policy.toml", *here.options)
    assert (done.code, done.stderr, here.state()) == (0, "", before)
    assert steady(done.stdout) == (
        "etl/bad/load:return_value\n"
        "  row        ID in table xcom, SIZE\n"
        "  written    TIME (50d ago)\n"
        "  run        failed, ended TIME (50d ago)\n"
        f"  refers to  s3://{here.bucket}/xcom/etl/bad/load/UUID (common-io)\n"
        "             live: 1 row that stays keeps it; 11 B, written TIME (NOW)\n"
        "  verdict    stays: keep_failed: its run failed, and is kept 60d (policy.toml:1)\n"
        "  next gc    leaves it; not before TIME (in 9d)\n"
    )


def test_an_object_is_explained_in_lines(xcomctl: Command, here: Deployment) -> None:
    """Its state, each row that keeps it with the verdict on it, and the grace period."""
    key = next(key for key in here.keys() if "/old/" in key)  # noqa: SIM118
    here.add_row("etl", "new", f"/mnt/{key}", name="path")
    done = xcomctl(
        "explain", f"s3://{here.bucket}/{key}", "--older-than", "30d", "--keep-last", "2", *here.options
    )
    assert (done.code, done.stderr) == (0, "")
    assert steady(done.stdout) == (
        f"s3://{here.bucket}/xcom/etl/old/load/UUID\n"
        "  object     11 B, written TIME (NOW)\n"
        "  dialect    common-io\n"
        "  state      live: 2 rows that stay keep it\n"
        "  named by   etl/old/load:return_value\n"
        "             stays: keep_last: its run is number 2 of the newest 2 finished runs of etl\n"
        "  in value   etl/new/load:path\n"
        "             stays: keep_last: its run is number 1 of the newest 2 finished runs of etl;"
        " older_than: 0.0d <= 30d\n"
        "  grace      1d\n"
        "  next gc    leaves it\n"
    )


def test_an_explanation_as_a_document(xcomctl: Command, here: Deployment) -> None:
    """One JSON document, and nothing on stderr."""
    done = xcomctl("explain", "etl/old/load", "--older-than", "30d", *here.options, "-o", "json")
    document = json.loads(done.stdout)
    assert (done.code, done.stderr) == (0, "")
    assert (document["schema"], document["subject"], document["ref"]) == (
        "xcomctl.explanation/1",
        "row",
        "etl/old/load:return_value",
    )
    assert document["next_gc"] == {"action": "delete_row", "not_before": None}
    assert document["row"]["reason"] == "expired: 40.0d > 30d"


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("elt/old/load",), 1, "error: there is no DAG 'elt'\nhint: did you mean etl?\n"),
        (
            ("etl/old/load", "--policy", "p.toml", "--keep-last", "1"),
            2,
            "error: --policy says what may go, and so do --older-than and --keep-last\n"
            "hint: write older_than and keep_last into the policy file\n",
        ),
        (
            ("etl/old/load", "--policy", "p.toml"),
            2,
            "error: p.toml cannot be read: No such file or directory\n"
            "hint: give --policy the path of a policy file\n",
        ),
    ],
    ids=["no such DAG", "two policies", "no policy file"],
)
def test_mistakes_are_told(
    xcomctl: Command, here: Deployment, arguments: tuple[str, ...], code: int, error: str
) -> None:
    """The cause, and what to write."""
    done = xcomctl("explain", *arguments, *here.options)
    assert (done.code, done.stdout, done.stderr) == (code, "", error)
