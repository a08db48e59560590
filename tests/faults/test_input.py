"""Scenarios 33 to 36: clocks, options, policies and plans that are off."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from tests.faults.conftest import MakeScene
from tests.faults.scene import OLD, Scene, cause, outcome, run_here
from tests.services.deployment import DAY, NO_WAIT
from tests.services.store_faults import clock_shifted


@pytest.mark.parametrize("seconds", [7200, -7200], ids=["two hours ahead", "two hours behind"])
def test_33_clocks_that_differ_are_refused(scene: Scene, seconds: int) -> None:
    """Database and store disagree on the time: exit 5, since no age can be trusted."""
    scene.push()
    scene.expired()
    scene.upload()
    before = scene.here.state()
    scene.proxy.faults[-1] = clock_shifted(seconds)
    done = scene.gc(*OLD)
    assert (done.code, cause(done).partition(":")[0], scene.here.state()) == (
        5,
        "refused by clock_skew",
        before,
    ), done.stderr
    scene.oracle.check()


def test_33_an_object_from_the_future_is_young(scene: Scene) -> None:
    """A store that gives a time to come says nothing about age: the object is recent."""
    scene.push()
    key = scene.here.upload("etl", "gone", age=-timedelta(days=2))
    scene.here.settle()
    done = scene.gc()
    assert (done.code, scene.present(key)) == (0, [True]), done.stderr
    scene.oracle.check()


def test_33_the_clock_of_this_machine_does_not_matter(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ages are told by store and database: a laptop that is a day off deletes neither more nor less."""

    class Later(datetime):
        """Two days ahead."""

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            """The time of a clock that is off."""
            return datetime.now(tz) + timedelta(days=2)

    scene.push(age=29 * DAY)
    young, gone = scene.push(run="b", age=29 * DAY), scene.expired()
    assert scene.run("gc", "--min-age", "1h", "--dry-run").code == 0
    for name, module in list(sys.modules.items()):
        if name.startswith("xcomctl.cli.") and hasattr(module, "datetime"):
            monkeypatch.setattr(module, "datetime", Later)
    done = scene.gc(*OLD)
    assert (done.code, scene.present(young, gone)) == (0, [True, False])
    scene.oracle.check()


AGES = ["0", "0s", "-1h", "2030-01-01", "7", "59m"]


@pytest.mark.parametrize("age", AGES)
def test_34_a_grace_period_that_is_none_is_a_mistake(scene: Scene, age: str) -> None:
    """Exit 2 with what to write, before anything is read."""
    scene.push()
    scene.upload()
    before = scene.here.state()
    done = scene.run("gc", "--min-age", age, "--yes")
    assert (done.code, done.stdout, scene.here.state()) == (2, "", before), done.stderr
    assert "hint: " in done.stderr


POLICIES = {
    "a misspelt rule": '[defaults]\nolder_tan = "30d"\n',
    "no unit": '[defaults]\nolder_than = "30"\n',
    "a glob that matches nothing": '[defaults]\nolder_than = "30d"\n\n[[rules]]\ndag = "nothing_*"\nolder_than = "1d"\n',
    "nothing of a DAG is kept": '[[rules]]\ndag = "etl"\nkeep_last = 0\n',
    "not TOML": "older_than = 30 days\n",
    "negative": '[defaults]\nolder_than = "-3d"\n',
}


@pytest.mark.parametrize("text", POLICIES.values(), ids=POLICIES.keys())
def test_35_a_policy_with_a_mistake_plans_nothing(scene: Scene, tmp_path: Path, text: str) -> None:
    """Exit 2, the file and the line, nothing deleted."""
    scene.push()
    scene.expired()
    before = scene.here.state()
    policy = tmp_path / "policy.toml"
    policy.write_text(text)
    done = scene.gc("--policy", str(policy))
    assert (done.code, done.stdout, scene.here.state()) == (2, "", before), done.stderr
    assert "policy.toml:" in cause(done)
    scene.oracle.check()


@pytest.fixture
def planned(scene: Scene, tmp_path: Path) -> Path:
    """A plan on disk that deletes a row and two objects."""
    scene.push()
    scene.expired()
    scene.upload()
    path = tmp_path / "plan.xcp"
    done = scene.run("plan", *NO_WAIT, *OLD, "--out", str(path))
    assert done.code == 0, done.stderr
    return path


def _edited(content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(content).replace(b"/old/", b"/new/"))


def _line_removed(content: bytes) -> bytes:
    lines = gzip.decompress(content).splitlines(keepends=True)
    return gzip.compress(b"".join(lines[:1] + lines[2:]))


def _truncated(content: bytes) -> bytes:
    return content[: len(content) * 2 // 3]


def _without_footer(content: bytes) -> bytes:
    return gzip.compress(b"".join(gzip.decompress(content).splitlines(keepends=True)[:-1]))


def _with_more(content: bytes) -> bytes:
    return content + gzip.compress(b"{}\n")


DAMAGES: list[Callable[[bytes], bytes]] = [_edited, _line_removed, _truncated, _without_footer, _with_more]


@pytest.mark.parametrize("damage", DAMAGES, ids=[damage.__name__.strip("_") for damage in DAMAGES])
def test_36_a_plan_that_was_changed_is_refused(
    scene: Scene, planned: Path, damage: Callable[[bytes], bytes]
) -> None:
    """Edited, cut, with something added: exit 5, nothing deleted."""
    before = scene.here.state()
    planned.write_bytes(damage(planned.read_bytes()))
    done = scene.run("apply", str(planned), "--yes")
    assert (done.code, scene.here.state()) == (5, before), done.stderr
    assert "hint: " in done.stderr


def test_36_a_plan_for_something_else_is_refused(scene: Scene, planned: Path, make_scene: MakeScene) -> None:
    """Another database, another root: exit 5, nothing deleted on either side."""
    other = make_scene("sqlite", prefix="elsewhere")
    other.push()
    before = scene.here.state()
    database = (*other.options[:2], *scene.options[2:])
    root = (*scene.options[:2], *other.options[2:])
    for options in (database, root):
        done = run_here("apply", str(planned), *options, "--yes")
        assert (done.code, scene.here.state()) == (5, before), done.stderr
    other.oracle.check()


def test_36_a_plan_that_is_too_old_is_refused(scene: Scene, planned: Path) -> None:
    """What was judged more than a day ago is judged anew: exit 5."""
    before = scene.here.state()
    scene.proxy.faults[-1] = clock_shifted(25 * 3600)
    done = scene.run("apply", str(planned), "--yes")
    assert (done.code, scene.here.state()) == (5, before), done.stderr


def test_36_a_database_that_changed_under_a_plan_keeps_what_is_new(scene: Scene, planned: Path) -> None:
    """A row that was written again is not the one of the plan: it stays, and so does the object that it names."""
    scene.here.database.execute(
        "UPDATE xcom SET timestamp = :at WHERE run_id = 'old'",
        at=scene.here.database._time(scene.here.began_at),
    )
    done = scene.run("apply", str(planned), "--yes", "-o", "json")
    assert done.code == 0, done.stderr
    assert (outcome(done)["rows"], scene.here.dangling()) == ({"changed": 1}, set())
