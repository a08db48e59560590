"""`xcomctl undo`: what a command deleted comes back, and what does not is told."""

from __future__ import annotations

import json

import pytest

from tests.cli.conversation import answered, told
from tests.services.command import Command
from tests.services.deployment import NO_WAIT, Deployment


@pytest.fixture
def before(here: Deployment) -> tuple[set[str], set[str]]:
    """Keys and rows before the collection."""
    return here.state()


@pytest.fixture
def operation(xcomctl: Command, here: Deployment, before: tuple[set[str], set[str]]) -> str:
    """The id of a collection that took a row and two objects."""
    assert xcomctl("gc", *here.options, *NO_WAIT, "--older-than", "30d", "--yes").code == 0
    (entry,) = json.loads(xcomctl("log", *here.options, "-o", "json").stdout)
    return str(entry["id"])


def test_a_collection_is_taken_back(
    xcomctl: Command, here: Deployment, before: tuple[set[str], set[str]], operation: str
) -> None:
    """A dry run and a missing yes change nothing; then all is as it was, and stays so the second time."""
    after = here.state()
    tried = xcomctl("undo", operation, "--dry-run", *here.options)
    assert (tried.code, tried.stdout.splitlines()) == (0, ["2 objects to put back", "1 row to put back"])
    assert told(tried) == ["note: dry run: nothing was brought back"]
    asked = xcomctl("undo", operation, *here.options)
    assert (asked.code, told(asked)) == (
        2,
        [
            "error: nothing was brought back: 1 row and 2 objects would be, and there is no terminal to ask at",
            "hint: add --yes",
        ],
    )
    code, shown = answered(xcomctl, "n", "undo", operation, *here.options)
    assert (code, "Bring back 1 row and 2 objects? [y/N]" in shown, here.state()) == (0, True, after)
    done = xcomctl("undo", operation, "--yes", *here.options)
    assert (done.code, done.stdout.splitlines()) == (0, ["2 objects put back", "1 row put back"])
    assert here.state() == before
    again = xcomctl("undo", operation, "--yes", "-o", "json", *here.options)
    document = json.loads(again.stdout)
    assert (again.code, document["schema"], document["undone"]) == (0, "xcomctl.undo/1", operation)
    assert (document["rows"]["identical"], document["objects"]["there"]) == (1, 2)
    assert here.state() == before


def test_what_does_not_come_back_is_told(xcomctl: Command, here: Deployment, operation: str) -> None:
    """Done in part: by kind, with examples."""
    here.database.execute("DELETE FROM task_instance WHERE run_id = 'old'")
    result = xcomctl("undo", operation, "--yes", *here.options)
    assert (result.code, told(result)[0]) == (
        3,
        "error: not everything came back: 1 of the rows and objects did not",
    )
    assert result.stdout.splitlines() == [
        "2 objects put back",
        "1 row whose task instance is gone",
        "  etl/old/load:return_value",
    ]


def test_an_operation_that_is_not_there(xcomctl: Command, here: Deployment) -> None:
    """A mistyped id is an error that says where to look."""
    for wrong in ("20261122T142831Z-1a2b3c4d", "../../x", "all"):
        result = xcomctl("undo", wrong, "--yes", *here.options)
        assert (result.code, told(result)) == (
            1,
            [f"error: there is no operation {wrong!r}", "hint: xcomctl log shows what there is"],
        )
