"""`xcomctl gc`: nothing goes without a yes, and nothing by a mistyped option."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.cli.conversation import answered, told
from tests.services.command import COMMAND, Command
from tests.services.deployment import DAY, NO_WAIT, Deploy, Deployment


def test_without_a_yes_nothing_is_deleted(xcomctl: Command, here: Deployment) -> None:
    """Off a terminal gc shows the plan, says what it needs and exits 2; --dry-run says that it is one."""
    before = here.state()
    asked = xcomctl("gc", *here.options, *NO_WAIT, "--older-than", "30d")
    assert (asked.code, here.state()) == (2, before)
    assert "objects to delete:" in asked.stdout
    assert told(asked) == [
        "error: nothing was deleted: 1 row and 2 objects (22 B) would go, and there is no terminal to ask at",
        "hint: add --yes to delete, or --dry-run to see the plan",
    ]
    tried = xcomctl("gc", *here.options, *NO_WAIT, "--older-than", "30d", "--dry-run", "--yes")
    assert (tried.code, here.state()) == (0, before)
    assert told(tried)[-1].startswith("note: dry run: nothing was deleted")
    closed = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&-', "sh", *COMMAND, "gc", *here.options, *NO_WAIT],
        cwd=xcomctl.folder,
        env=xcomctl.environment(),
        capture_output=True,
        check=False,
    )
    assert (closed.returncode, here.state()) == (2, before)


def test_on_a_terminal_it_asks(xcomctl: Command, here: Deployment) -> None:
    """The question tells how much would go; no means no, also for machine formats, which show the plan beside it."""
    before = here.state()
    options = ("gc", *here.options, *NO_WAIT, "--older-than", "30d")
    code, shown = answered(xcomctl, "n", *options, "-o", "json")
    assert (code, here.state(), "rows to delete:" in shown) == (0, before, True)
    assert "Delete 1 row and 2 objects (22 B)? [y/N]" in shown
    code, shown = answered(xcomctl, "y", *options)
    assert (code, "deleted 1 row and 2 objects (22 B)" in shown) == (0, True)
    assert len(here.keys()) == len(before[0]) - 2


BAD_OPTIONS = [
    (("--no-orphans",), "error: --no-orphans leaves nothing to collect"),
    (("--min-age", "30m"), "error: --min-age 30m is below 1h"),
    (("--min-age", "-1h"), "error: '-1h' is not a duration"),
    (("--min-age", "9999999d"), "error: --min-age 9999999d is too long ago"),
    (("--older-than", "30"), "error: '30' is not a duration"),
    (("--older-than", "0d"), "error: --older-than 0d selects everything"),
    (("--older-than", "-5d"), "error: '-5d' is not a duration"),
    (("--older-than", "999999999d"), "error: --older-than 999999999d is too long ago"),
    (("--keep-last", "-1"), "error: Invalid value for '--keep-last'"),
    (("--keep-last", "9" * 40), "error: Invalid value for '--keep-last'"),
    (("--columns", "uri,nope"), "error: there is no column 'nope'"),
    (("--columns", "uri,nope", "-o", "json"), "error: there is no column 'nope'"),
    (("--template", "{nope}"), "error: there is no column 'nope'"),
    (("--store", "ftp://x"), "error: 'ftp://x' is not an S3 address"),
    (("--store", "s3://"), "error: 's3://' is not an S3 address"),
    (("--dag", "nothing_*"), "error: --dag 'nothing_*' matches no DAG"),
    (("--accept", "cross_match"), "error: --accept 'cross_match' is not GUARD=VALUE"),
    (("--accept", "cross_match=all"), "error: --accept 'cross_match=all' is not GUARD=VALUE"),
    (("--accept", "everything=1"), "error: --accept 'everything=1' is not GUARD=VALUE"),
    (("--accept", "owner=1"), "error: --accept 'owner=1' is not GUARD=VALUE"),
    (("--trash-keep", "14"), "error: '14' is not a duration"),
    (("--max-rate", "0"), "error: Invalid value for '--max-rate'"),
    (("--out", "plan.xcp"), "error: --out saves a plan that is not applied at once"),
    (("--policy", "none.toml"), "error: none.toml cannot be read"),
    (
        ("--policy", "none.toml", "--older-than", "30d"),
        "error: --policy says what may go, and so do --older-than and --keep-last",
    ),
    (
        ("--accept", "cross_match=0", "--accept", "cross_match=1"),
        "error: --accept names two values for cross_match",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "cause"), BAD_OPTIONS, ids=[" ".join(case[0])[:30] for case in BAD_OPTIONS]
)
def test_a_bad_option_deletes_nothing(
    capsys: pytest.CaptureFixture[str], here: Deployment, arguments: tuple[str, ...], cause: str
) -> None:
    """Exit 2, one line with the cause, one with what to type; nothing on stdout."""
    from xcomctl.cli.app import main

    with pytest.raises(SystemExit) as ended:
        main(["gc", *here.options, "--yes", *arguments])
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert (ended.value.code, said.out, len(lines)) == (2, "", 2), said.err
    assert (lines[0][: len(cause)], lines[1][:6]) == (cause, "hint: ")


def test_without_a_store_the_roots_of_the_references_are_proposed(xcomctl: Command, here: Deployment) -> None:
    """What the hint says to add makes the same command work."""
    command = ("gc", "--db", here.database.url, *NO_WAIT, "--dry-run")
    bare = xcomctl(*command)
    assert (bare.code, told(bare)) == (
        2,
        [
            f"error: no store is configured; the database holds 3 references to {here.root}",
            f"hint: add --store {here.root}",
        ],
    )
    added = told(bare)[1].removeprefix("hint: add ").split()
    assert xcomctl(*command, *added).code == 0


def test_without_references_rows_alone_are_collected(xcomctl: Command, deploy: Deploy) -> None:
    """A database whose XComs are all inline needs no store and no credentials."""
    here = deploy()
    here.add_row("etl", "old", {"rows": 1}, age=40 * DAY)
    here.add_row("etl", "new", [1, 2])
    environment = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL": ""}
    done = xcomctl("gc", "--db", here.database.url, "--older-than", "30d", "--yes", env=environment)
    assert (done.code, here.refs()) == (0, {"etl/new/load:return_value"})
    assert told(done)[0].startswith("note: no store is configured")


def test_young_orphans_are_left_alone(xcomctl: Command, here: Deployment) -> None:
    """By default for a day, whatever else is collected."""
    done = xcomctl("gc", *here.options, "--older-than", "30d", "--yes", "-o", "json")
    assert json.loads(done.stdout)["objects"]["deleted"] == 1
    assert (done.code, len(here.keys()), len(here.dangling())) == (0, 3, 1)
