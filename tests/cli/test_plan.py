"""`xcomctl plan`, `plan show` and `apply`: a plan that is saved, read, and executed later or refused."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cli.conversation import answered, told
from tests.services.command import Command
from tests.services.deployment import DAY, NO_WAIT, Deploy, Deployment
from xcomctl.cli.app import main
from xcomctl.gc.plan import Plan
from xcomctl.gc.plan_file import load, save


@pytest.fixture
def saved(here: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A saved plan of `here`: one row and two objects to delete."""
    path = tmp_path / "plan.xcp"
    assert run("plan", *here.options, *NO_WAIT, "--older-than", "30d", "--out", str(path)) == 0
    capsys.readouterr()
    return path


def run(*arguments: str) -> int:
    """Run the command in this process; its exit code."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_a_plan_is_saved_read_and_applied(xcomctl: Command, here: Deployment) -> None:
    """Each step says what comes next; what was planned is what happens; applied again it ends in the same state."""
    before = here.state()
    made = xcomctl("plan", *here.options, *NO_WAIT, "--older-than", "30d", "--out", "plan.xcp")
    assert (made.code, here.state()) == (0, before)
    assert told(made) == ["note: the plan is in plan.xcp", "hint: xcomctl apply plan.xcp, within a day"]
    tried = xcomctl(
        "gc", *here.options, *NO_WAIT, "--older-than", "30d", "--dry-run", "--out", "other.xcp", "-o", "json"
    )
    shown = xcomctl("plan", "show", "plan.xcp", "-o", "json")
    assert (shown.code, json.loads(shown.stdout)["actions"]) == (0, json.loads(tried.stdout)["actions"])
    assert load(xcomctl.folder / "other.xcp").totals == load(xcomctl.folder / "plan.xcp").totals
    bare = xcomctl("plan", "show", "plan.xcp")
    assert bare.stdout == made.stdout
    assert told(bare)[0].startswith("note: plan ")
    done = xcomctl("apply", "plan.xcp", *here.options, "--yes")
    assert (done.code, "deleted 1 row and 2 objects (22 B)" in done.stdout) == (0, True)
    assert len(here.keys()) == len(before[0]) - 2
    assert len(here.refs()) == len(before[1]) - 1
    after = here.state()
    again = xcomctl("apply", "plan.xcp", *here.options, "--yes", "-o", "json")
    assert (again.code, here.state()) == (0, after)
    outcome = json.loads(again.stdout)
    assert (outcome["rows"]["gone"], outcome["objects"]["gone"]) == (1, 2)


def test_a_plan_alone_does_not_say_which_stores(
    here: Deployment, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Applied where no store is given, it is refused with the option that gives the one it was made for."""
    db, endpoint, before = here.options[:2], here.options[4:], here.state()
    assert (run("apply", str(saved), *db, *endpoint, "--yes"), here.state()) == (5, before)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "error: the plan is refused: no store is given, and the file alone must not say which; nothing was done",
        f"hint: if they are yours: --store {here.root}",
    ]


def test_applying_asks_too(xcomctl: Command, here: Deployment, saved: Path) -> None:
    """Off a terminal it needs --yes; on one it shows the plan and asks."""
    before = here.state()
    asked = xcomctl("apply", str(saved), *here.options)
    assert (asked.code, here.state()) == (2, before)
    assert told(asked)[-1] == "hint: add --yes to delete; xcomctl plan show shows the plan"
    code, shown = answered(xcomctl, "n", "apply", str(saved), *here.options)
    assert (code, here.state(), "Delete 1 row and 2 objects (22 B)? [y/N]" in shown) == (0, before, True)


def test_a_plan_that_is_not_saved_says_so(xcomctl: Command, here: Deployment) -> None:
    """Whoever forgot --out is told."""
    done = xcomctl("plan", *here.options, *NO_WAIT)
    assert (done.code, told(done)) == (0, ["note: the plan was not saved", "hint: add --out plan.xcp"])


def test_what_changed_since_the_plan_is_skipped(
    here: Deployment, saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A row that was written again stays, an object that a row references by now, too; a skip is no failure."""
    (objects,) = load(saved).batches("delete_object", 10)
    orphan = next(each["object_key"] for each in objects if each["reason"].startswith("orphaned"))
    here.push(run="late", key=orphan)
    here.database.execute("UPDATE xcom SET value = '\"other\"' WHERE run_id = 'old'")
    assert run("apply", str(saved), *here.options, "--yes", "-o", "json") == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["rows"]["changed"], outcome["rows"]["deleted"]) == (1, 0)
    assert (outcome["objects"]["referenced"], outcome["objects"]["deleted"]) == (1, 1)
    assert orphan in here.keys()  # noqa: SIM118 - not a dict


STALE: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "old": (
        lambda plan: replace(
            plan, basis=replace(plan.basis, snapshot_at=plan.basis.snapshot_at - timedelta(hours=25))
        ),
        "it is 25h old, and a plan is good for 24h",
    ),
    "from the future": (
        lambda plan: replace(
            plan, basis=replace(plan.basis, snapshot_at=plan.basis.snapshot_at + timedelta(hours=1))
        ),
        "it was made ",
    ),
    "of another version": (
        lambda plan: replace(plan, basis=replace(plan.basis, tool_version="99.0")),
        "it was made by xcomctl 99.0",
    ),
    "of another database": (
        lambda plan: replace(
            plan, basis=replace(plan.basis, database="f" * 16, database_label="sqlite:////x.db")
        ),
        f"it was made for the database sqlite:////x.db ({'f' * 16}), and this one is ",
    ),
    "of another store": (
        lambda plan: replace(plan, scope={**plan.scope, "roots": ["s3://elsewhere/xcom"]}),
        "it was made for s3://elsewhere/xcom, and the stores are ",
    ),
    "of another server": (
        lambda plan: replace(plan, basis=replace(plan.basis, endpoint=None)),
        "it was made for the store at AWS, and this one is http://",
    ),
}


@pytest.mark.parametrize("kind", STALE)
def test_a_stale_plan_is_refused(
    here: Deployment, saved: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """Exit 5, what does not fit, and how to make a new one; nothing is deleted."""
    change, cause = STALE[kind]
    save(change(load(saved)), saved)
    before = here.state()
    assert run("apply", str(saved), *here.options, "--yes") == 5
    said = capsys.readouterr().err.splitlines()
    assert said[1].startswith(f"error: the plan does not fit: {cause}")
    assert (said[2], here.state()) == (
        "hint: make a new plan: xcomctl plan --out FILE, with the options of this one",
        before,
    )


def test_an_edited_plan_is_refused(here: Deployment, saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 5 for one that was a plan, 2 for a file that is none; neither with a traceback."""
    text = gzip.decompress(saved.read_bytes())
    saved.write_bytes(gzip.compress(text.replace(b'"dag_id": "etl"', b'"dag_id": "tle"')))
    before = here.state()
    for verb in (("apply", str(saved), *here.options, "--yes"), ("plan", "show", str(saved))):
        assert run(*verb) == 5
        assert "its checksum does not fit" in capsys.readouterr().err
    saved.write_text("no plan")
    assert (run("apply", str(saved), *here.options, "--yes"), here.state()) == (2, before)
    assert "is not a plan of xcomctl" in capsys.readouterr().err


def test_a_plan_goes_with_its_policy(
    here: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A policy file that changed since makes the plan stale, if it is given again."""
    policy, path = tmp_path / "policy.toml", tmp_path / "plan.xcp"
    policy.write_text('[defaults]\nolder_than = "30d"\n[trash]\nkeep = "3d"\n')
    assert run("plan", *here.options, *NO_WAIT, "--policy", str(policy), "--out", str(path)) == 0
    assert load(path).action_counts()["delete_row"] == 1
    assert load(path).scope["trash_keep"] == "3d"
    policy.write_text('[defaults]\nolder_than = "90d"\n')
    assert run("apply", str(path), *here.options, "--yes", "--policy", str(policy)) == 5
    assert "the policy file is not the one that it was made with" in capsys.readouterr().err
    assert run("apply", str(path), *here.options, "--yes") == 0
    assert len(here.refs()) == 2


def test_guards_go_with_the_plan(xcomctl: Command, deploy: Deploy, tmp_path: Path) -> None:
    """A plan that a guard refuses can be saved; applying it is refused until the exact value is accepted."""
    here = deploy()
    here.upload()
    before = here.keys()
    path = str(tmp_path / "plan.xcp")
    assert xcomctl("plan", *here.options, *NO_WAIT, "--out", path).code == 0
    refused = xcomctl("apply", path, *here.options, "--yes")
    accept = told(refused)[-1].partition("add ")[2]
    assert (refused.code, here.keys()) == (5, before)
    assert accept == "--accept empty_database=0 --accept cross_match=0 --accept unknown_dags=1"
    assert (xcomctl("apply", path, *here.options, "--yes", *accept.split()).code, here.keys()) == (0, set())


def test_whose_store_it_is_is_asked_again(
    here: Deployment, saved: Path, deploy: Deploy, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another database collected there since the plan was made: its objects are not ours to delete."""
    other = deploy()
    other.push(key=f"{here.prefix}/etl/r9/load/{uuid4()}")
    other.push(run="old", age=40 * DAY)
    other.push(run="kept")
    assert run("gc", *other.options, "--older-than", "30d", "--yes") == 0
    before = here.state()
    capsys.readouterr()
    assert (run("apply", str(saved), *here.options, "--yes"), here.state()) == (5, before)
    said = capsys.readouterr().err
    assert f"refused by owner: the store belongs to another database, {other.source.info().label}" in said
    assert f"--accept owner={other.source.identity()}" in said


def test_a_plan_is_not_saved_through_a_link(here: Deployment, tmp_path: Path) -> None:
    """Whoever put the link there would say what is overwritten: it is told before anything is read."""
    precious, link = tmp_path / "precious", tmp_path / "plan.xcp"
    precious.write_text("mine")
    link.symlink_to(precious)
    for verb in (("plan",), ("gc", "--dry-run")):
        assert run(*verb, *here.options, "--out", str(link)) == 2
    assert (precious.read_text(), link.is_symlink()) == ("mine", True)


def test_a_plan_alone_does_not_say_where_backups_go(
    here: Deployment, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Values leave by that: it takes the policy file that says so as well."""
    policy, other, path = tmp_path / "policy.toml", tmp_path / "other.toml", tmp_path / "plan.xcp"
    rules = '[defaults]\nolder_than = "30d"\n\n[backup]\nto = "{}"\n'
    policy.write_text(rules.format(tmp_path / "safe"))
    other.write_text(rules.format(tmp_path / "elsewhere"))
    assert run("plan", *here.options, *NO_WAIT, "--policy", str(policy), "--out", str(path)) == 0
    before = here.state()
    for more in ((), ("--policy", str(other))):
        capsys.readouterr()
        assert (run("apply", str(path), *here.options, *more, "--yes"), here.state()) == (5, before)
        assert capsys.readouterr().err.splitlines()[1:] == [
            f"error: the plan is refused: it copies rows and objects to {tmp_path / 'safe'}, and only a policy file may"
            " say so; nothing was done",
            "hint: add --policy FILE, the policy file that the plan was made with",
        ]
    assert not (tmp_path / "safe").exists()
    assert run("apply", str(path), *here.options, "--policy", str(policy), "--yes") == 0
    assert [file.name for file in (tmp_path / "safe").rglob("manifest.json")] == ["manifest.json"]
    assert here.state() != before
