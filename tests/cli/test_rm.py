"""`xcomctl rm`: chosen rows, and the objects that only they reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.cli.conversation import told
from tests.services.command import Command
from tests.services.deployment import DAY, Deploy, Deployment
from xcomctl.cli.app import main


@dataclass(frozen=True)
class Said:
    """How a run in this process ended, and what it wrote."""

    code: int
    out: str
    lines: list[str]


Rm = Callable[..., Said]


@pytest.fixture
def rm(capsys: pytest.CaptureFixture[str]) -> Rm:
    """Runs `xcomctl rm` in this process."""

    def run(here: Deployment, *arguments: str) -> Said:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(["rm", *here.options, *arguments])
        said = capsys.readouterr()
        return Said(int(ended.value.code or 0), said.out, said.err.splitlines())

    return run


def test_one_xcom_goes_and_comes_back(xcomctl: Command, deploy: Deploy) -> None:
    """Its row and its object, also young ones; orphans and other rows stay; undo brings both back bit for bit."""
    here = deploy()
    gone, kept, orphan = here.push(run="r1"), here.push(run="r2"), here.upload()
    before, rows = here.state(), here.database.scalar("SELECT sum(length(value)) FROM xcom")
    asked = xcomctl("rm", "etl/r1/load", *here.options)
    assert (asked.code, here.state()) == (2, before)
    assert "rows     2 scanned: 1 chosen" in asked.stdout
    done = xcomctl("rm", "etl/r1/load", *here.options, "--yes", "-o", "json")
    outcome = json.loads(done.stdout)
    assert (done.code, outcome["rows"]["deleted"], outcome["objects"]["deleted"]) == (0, 1, 1)
    assert here.state() == ({kept, orphan}, {"etl/r2/load:return_value"})
    operation, undo = told(done)[-2:]
    assert operation == f"note: operation {outcome['operation_id']}"
    assert undo == f"hint: xcomctl undo {outcome['operation_id']} brings it back"
    back = xcomctl("undo", outcome["operation_id"], *here.options, "--yes")
    assert (back.code, here.state(), gone in here.keys()) == (0, before, True)  # noqa: SIM118 - not a dict
    assert here.database.scalar("SELECT sum(length(value)) FROM xcom") == rows


def test_globs_choose_rows_of_runs(deploy: Deploy, rm: Rm) -> None:
    """By DAG, run, task and key; all that matches goes, and nothing else."""
    here = deploy()
    for dag in ("etl", "report"):
        for run in ("r1", "r2"):
            for task in ("load", "stage_1"):
                for name in ("return_value", "x"):
                    here.add_row(dag, run, 1, task=task, name=name)
    everything = here.refs()
    done = rm(here, "--dag", "e*", "--run", "r1", "--task", "stage_*", "--key", "x", "--yes")
    assert (done.code, everything - here.refs()) == (0, {"etl/r1/stage_1:x"})
    done = rm(here, "--dag", "etl", "--run", "*", "--yes")
    assert (done.code, {ref.split("/")[0] for ref in here.refs()}) == (0, {"report"})


def test_a_shared_object_stays(deploy: Deploy, rm: Rm) -> None:
    """As long as any other row references it, also one that only mentions it."""
    here = deploy()
    key = here.push(run="r1")
    here.add_row("etl", "r2", {"copied": [f"from {key}"]})
    done = rm(here, "etl/r1/load", "--yes")
    assert (done.code, here.keys(), here.refs()) == (0, {key}, {"etl/r2/load:return_value"})
    assert "objects  1 stay: other rows reference them" in done.out


def test_running_runs_need_a_word(deploy: Deploy, rm: Rm) -> None:
    """Without --active their rows are refused; with it a DAG can clean up after itself."""
    here = deploy()
    here.push(run="now", state="running")
    before = here.state()
    refused = rm(here, "--dag", "etl", "--run", "now", "--yes")
    assert (refused.code, here.state()) == (5, before)
    assert refused.lines == [
        "error: 1 of these XComs are of 1 runs that are not over (etl/now is running); nothing was deleted",
        "hint: add --active if no task will pull them any more",
    ]
    done = rm(here, "--dag", "etl", "--run", "now", "--active", "--yes")
    assert (done.code, here.state()) == (0, (set(), set()))


def test_a_key_that_may_be_written_again_stays_while_its_run_is_active(deploy: Deploy, rm: Rm) -> None:
    """A young object at a key of an attempt may be an upload whose row is on its way; of finished runs it goes."""
    here = deploy()
    key = f"{here.prefix}/etl/now/load/ti-{uuid4()}/return_value.json"
    here.upload(key=key)
    here.push(run="now", state="running", key=key)
    done = rm(here, "--dag", "etl", "--run", "now", "--active", "--yes")
    assert (done.code, here.state()) == (0, ({key}, set()))
    assert "objects  1 stay: a task that runs may have just written them again" in done.out
    here.push(run="over", key=key)
    assert (rm(here, "--dag", "etl", "--run", "over", "--yes").code, here.keys()) == (0, set())


def test_a_row_whose_object_is_out_of_reach_is_no_row_to_remove(deploy: Deploy, rm: Rm) -> None:
    """With the row would go the only trace of the object; the hint says which store to add."""
    here = deploy()
    here.add_row("etl", "r1", f"s3://aws_default@elsewhere/base/etl/r1/load/{uuid4()}")
    refused = rm(here, "etl/r1/load", "--yes")
    assert (refused.code, len(here.refs())) == (2, 1)
    assert "which no store reaches" in refused.lines[0]
    assert refused.lines[1] == "hint: add --store s3://elsewhere/base"


def test_dangling_and_inline_rows_go_alone(deploy: Deploy, rm: Rm) -> None:
    """There is no object to look for."""
    here = deploy()
    here.push(run="r1", key=f"{here.prefix}/etl/r1/load/{uuid4()}")
    here.add_row("etl", "r1", {"rows": 3}, task="count")
    done = rm(here, "--dag", "etl", "--run", "r1", "--yes")
    assert (done.code, here.refs(), "deleted 2 rows and 0 objects" in done.out) == (0, set(), True)


def test_nothing_to_remove(deploy: Deploy, rm: Rm) -> None:
    """A run without XComs is clean already; a name that nobody has, and a DAG that nobody knows, are mistakes."""
    here = deploy()
    here.push(run="r1", age=DAY)
    before = here.state()
    clean = rm(here, "--dag", "etl", "--run", "r2", "--yes")
    assert (clean.code, clean.lines) == (0, ["note: no XCom matches"])
    unknown = rm(here, "--dag", "elt", "--run", "r1", "--yes")
    assert (unknown.code, unknown.lines[0]) == (2, "error: --dag 'elt' matches no DAG")
    assert [rm(here, name, "--yes").code for name in ("etl/r1/laod", "1-abcdef")] == [1, 1]
    assert here.state() == before


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ((), "rm takes either names of XComs, or --dag and --run"),
        (
            ("etl/r1/load", "--dag", "etl", "--run", "r1"),
            "rm takes either names of XComs, or --dag and --run",
        ),
        (("--dag", "etl"), "--dag alone is too much to remove"),
        (("--run", "r1"), "--run, --task and --key alone is too much to remove"),
        (("etl/r1/load", "--trash-keep", "7"), "'7' is not a duration"),
        (("etl/r1/load", "--accept", "yes"), "--accept 'yes' is not GUARD=VALUE"),
        (("etl/r1",), "'etl/r1' is not the name of an XCom"),
        (("etl",), "'etl' names no XCom and is no reference that a known backend writes"),
    ],
)
def test_bad_options(deploy: Deploy, rm: Rm, arguments: tuple[str, ...], cause: str) -> None:
    """Exit 2, cause and hint, nothing deleted."""
    here = deploy()
    here.push(run="r1")
    before = here.state()
    said = rm(here, *arguments, "--yes")
    assert (said.code, said.lines[0], here.state()) == (2, f"error: {cause}", before)
    assert said.lines[1].startswith("hint: ")


def test_the_help_says_what_its_globs_need(xcomctl: Command) -> None:
    """A DAG alone is too much to remove, and how all of its runs are said."""
    told = " ".join(xcomctl("rm", "--help", env={"COLUMNS": "200"}).stdout.split())
    assert "DAG id, or a glob such as 'etl_*'. Needs --run." in told
    assert "Run id, or a glob; '*' for all runs." in told
    assert "Needs --run" not in xcomctl("ls", "--help", env={"COLUMNS": "200"}).stdout
