"""`xcomctl gc` where another deployment may have written what would go: shown by DAG, and asked for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conversation import answered, told, unasked
from tests.services.command import Command
from tests.services.deployment import DAY, NO_WAIT, Deploy, Deployment


@pytest.fixture
def beside(deploy: Deploy) -> Deployment:
    """A live object, an orphan, and three of a monthly DAG that this database never knew."""
    made = deploy()
    made.push(run="new")
    made.upload(run="new")
    for month in (1, 2, 3):
        made.upload("closing", f"month{month}", age=month * 30 * DAY)
    made.settle()
    return made


def test_a_first_collection_shows_by_dag_what_may_be_anothers(xcomctl: Command, beside: Deployment) -> None:
    """On a terminal, with numbers and dates, and the question says it again: no means no, a yes is one."""
    before = beside.state()
    options = ("gc", *beside.options, *NO_WAIT)
    for answer, left in (("n", 5), ("y", 1)):
        code, shown = answered(xcomctl, answer, *options)
        dates = "".join(rf"  {beside.began_at - age * DAY:%Y-%m-%d %H:%M}" for age in (90, 30))
        lines = [" ".join(line.split()) for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()]
        assert "DAG OBJECTS SIZE RUNS FIRST WRITTEN LAST WRITTEN" in lines
        assert " ".join(f"closing 3 33 B 3{dates}".split()) in lines
        assert (
            "Delete 0 rows and 4 objects (44 B), although 3 of them may be another deployment's? [y/N]"
            in shown
        )
        assert (code, len(beside.keys())) == (0, left)
    assert beside.refs() == before[1]


@pytest.mark.parametrize("yes", [(), ("--yes",)])
def test_without_a_terminal_the_exact_number_is_needed(
    xcomctl: Command, beside: Deployment, yes: tuple[str, ...]
) -> None:
    """`--yes` was typed before anything was seen: exit 5, until the value is accepted."""
    before = beside.state()
    refused = xcomctl("gc", *beside.options, *NO_WAIT, *yes)
    assert (refused.code, beside.state()) == (5, before)
    assert told(refused) == [
        "error: refused by unknown_dags: 3 orphaned objects are of DAGs that this database never knew (closing):"
        " another deployment may use this store; nothing was deleted",
        "hint: check --db and --store; if this is meant, add --accept unknown_dags=3",
    ]
    done = xcomctl("gc", *beside.options, *NO_WAIT, "--yes", "--accept", "unknown_dags=3")
    assert (done.code, len(beside.keys())) == (0, 1)


def test_a_yes_typed_before_counts_for_no_guard(xcomctl: Command, beside: Deployment) -> None:
    """Also on a terminal: nobody is asked who said so."""
    code, shown = unasked(xcomctl, "gc", *beside.options, *NO_WAIT, "--yes")
    assert (code, len(beside.keys()), "[y/N]" in shown) == (5, 5, False)


def test_a_saved_plan_shows_it_as_well(xcomctl: Command, beside: Deployment, tmp_path: Path) -> None:
    """`plan show` and the JSON of a plan have the groups; applied, it asks as gc does."""
    path = str(tmp_path / "plan.xcp")
    made = xcomctl("plan", *beside.options, *NO_WAIT, "--out", path, "-o", "json")
    (guard,) = [one for one in json.loads(made.stdout)["guards"] if not one["ok"]]
    (group,) = guard["groups"]
    assert {name: group[name] for name in ("name", "objects", "size", "runs")} == {
        "name": "closing",
        "objects": 3,
        "size": 33,
        "runs": 3,
    }
    assert "closing" in xcomctl("plan", "show", path).stdout
    code, shown = answered(xcomctl, "y", "apply", path, *beside.options)
    assert (code, "may be another deployment's" in shown, len(beside.keys())) == (0, True, 1)
