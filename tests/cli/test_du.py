"""`xcomctl du`: where the bytes are."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from io import StringIO

import pytest

from tests.cli.test_worlds import connection
from tests.services.command import Command
from tests.services.deployment import Deployment
from tests.services.worlds import World


def test_parts_of_a_deployment(xcomctl: Command, here: Deployment) -> None:
    """Without an inventory both sides are read now; a list of parts, and with --top the rest in one."""
    done = xcomctl("du", *here.options, "-o", "json")
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    assert [(part["dag_id"], part["rows"], part["objects"], part["offloaded_bytes"]) for part in found] == [
        ("etl", 2, 3, 33),
        ("lost", 1, 0, 0),
        (None, 0, 1, 11),
    ]
    assert all(part["bytes"] == part["inline_bytes"] + part["offloaded_bytes"] for part in found)
    assert sum(part["share"] for part in found) == pytest.approx(1, abs=1e-5)
    table = xcomctl("du", *here.options, "--top", "1").stdout.splitlines()
    assert [line.split("  ")[0] for line in table[:3]] == ["DAG", "etl", "(2 others)"]
    assert table[3].startswith("total: ")
    assert table[-1].startswith("table xcom: ")
    assert table[-1].endswith(", 3 rows")


def test_a_snapshot_file_is_asked_alone(xcomctl: Command, here: Deployment) -> None:
    """Neither database nor store; every format, any dimension; a summary and coloured bars where people read."""
    assert xcomctl("inventory", *here.options, "--older-than", "30d", "--out", "inv.duckdb").code == 0
    asked = ("du", "--inventory", "inv.duckdb")
    states = list(csv.DictReader(StringIO(xcomctl(*asked, "--by", "state", "-o", "csv").stdout)))
    assert {(part["state"], part["rows"], part["objects"]) for part in states} == {
        ("live", "1", "1"),
        ("expired", "1", "1"),
        ("dangling", "1", "0"),
        ("recent", "0", "1"),
        ("foreign", "0", "1"),
    }
    table = xcomctl(*asked, "--depth", "2", env={"COLUMNS": "100"}).stdout.splitlines()
    assert table[0].split() == ["DAG", "TASK", "ROWS", "OBJECTS", "SIZE", "IN", "ROWS", "SHARE"]
    assert [line.split()[:2] for line in table[1:4]] == [
        ["etl", "load"],
        ["lost", "load"],
        ["(unknown)", "(unknown)"],
    ]
    assert table[4].endswith("in 3 rows and 4 objects")
    assert "█" in table[1]
    plain = xcomctl(*asked, env={"PYTHONIOENCODING": "ascii"})
    assert "#" in plain.stdout.splitlines()[1]
    assert xcomctl(*asked, "--template", "{dag_id} {rows}").stdout.splitlines()[0] == "etl 2"
    days = json.loads(xcomctl(*asked, "--growth", "-o", "json").stdout)
    assert (len(days), sum(day["objects"] for day in days)) == (30, 4)
    for width in (80, 200):
        # What rich puts around the head is no part of the line.
        shown = xcomctl.on_terminal(*asked, "--depth", "4", width=width, env={"NO_COLOR": "1"}).stdout
        assert "\x1b[36m" not in shown
        assert max(len(re.sub(r"\x1b\[\d+m", "", line)) for line in shown.splitlines()) <= width
    assert "\x1b[36m█" in xcomctl.on_terminal(*asked, width=100).stdout
    nothing = xcomctl(*asked, "--dag", "nothing", "-o", "json")
    assert (nothing.code, nothing.stdout, nothing.stderr) == (0, "[]\n", "note: nothing matches\n")


def test_what_the_tool_keeps_for_itself_is_said(xcomctl: Command, here: Deployment) -> None:
    """Its trash and its journal belong to no DAG, and are no secret."""
    collected = xcomctl("gc", *here.options, "--older-than", "30d", "--yes")
    assert collected.code == 0, collected.stderr
    [line] = [line for line in xcomctl("du", *here.options).stdout.splitlines() if "xcomctl's own" in line]
    assert line.startswith("of it xcomctl's own, trash and journal: ")


def test_what_airflow_wrote_is_added_up(xcomctl: Command, world: Callable[..., World]) -> None:
    """Each object of a bucket that Airflow filled is in one part, and what no row names is orphaned."""
    here = world("2.11.2-commonio-gz-sqlite")
    # What was written a moment ago is recent: its age does not matter here, but the reference does.
    done = xcomctl("du", *connection(here, str(here.root)), "--by", "state,codec", "-o", "json")
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    assert sum(part["objects"] for part in found) == len(here.keys)
    unreferenced = sum(part["objects"] for part in found if part["state"] in ("orphaned", "recent"))
    named_by_archives = set(here.truth["of_these_named_only_by_archive_tables"])
    assert unreferenced == len(set(here.truth["unreferenced_live"]) - named_by_archives)
    assert {part["codec"] for part in found if part["objects"]} == {"gz"}


def test_the_weight_of_the_tables(xcomctl: Command, here: Deployment) -> None:
    """What the database's own tables weigh, without a store."""
    done = xcomctl("du", "--db", here.database.url, "--tables", "-o", "json")
    [table] = json.loads(done.stdout)
    assert (done.code, table["table"], table["rows"], table["rows_exact"]) == (0, "xcom", 3, True)
    assert table["table_bytes"] > 0


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--by", "dag", "--depth", "2"), "--by and --depth contradict each other"),
        (("--tables", "--dag", "etl"), "--tables weighs the tables as a whole, and now"),
        (("--inventory", "inv.duckdb", "--policy", "p.toml"), "the inventory was judged when it was made"),
        (("--columns", "colour"), "there is no column 'colour'"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(xcomctl: Command, words: tuple[str, ...], cause: str) -> None:
    """Before anything is read."""
    done = xcomctl("du", "--db", "sqlite:////nowhere/airflow.db", *words)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {cause}")
