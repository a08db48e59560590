"""What is said on stderr, in lines for people and in JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from xcomctl.cli import stages as staging
from xcomctl.cli import stderr
from xcomctl.cli.stages import stages
from xcomctl.cli.stderr import StderrLog


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test begins as a run does, and leaves nothing to the next."""
    monkeypatch.delenv("XCOMCTL_LOG_FORMAT", raising=False)
    stderr.begin([])
    yield
    stderr.begin([])


def lines(text: str) -> list[dict[str, Any]]:
    """The objects of a log, without their times."""
    found = [json.loads(line) for line in text.splitlines()]
    for document in found:
        del document["at"]
        document.pop("seconds", None)
    return found


@pytest.mark.parametrize(
    ("given", "in_json"),
    [
        ([], False),
        (["ls", "--log-format", "json"], True),
        (["ls", "--log-format=json", "--limit", "3"], True),
        (["ls", "--log-format", "json", "--log-format", "text"], False),
        (["show", "--", "--log-format=json"], False),
        (["ls", "--log-format"], False),
    ],
    ids=["nothing", "apart", "together", "twice", "behind --", "cut"],
)
def test_the_command_line_is_heeded_before_it_is_understood(given: list[str], in_json: bool) -> None:
    """What is wrong about it is told in the format that it asks for."""
    stderr.begin(given)
    assert stderr.in_json() == in_json


def test_notes_and_details(capsys: pytest.CaptureFixture[str]) -> None:
    """A note has its hint, a detail needs --verbose, and what could steer a terminal is written out in both."""
    for given in ([], ["--log-format=json"]):
        stderr.begin(given)
        log = StderrLog(verbose=True)
        log.note("a \x1b[31m b", hint="type this")
        log.detail("more")
        StderrLog().detail("not asked for")
        StderrLog(quiet=True).note("not wanted")
    text, logged = capsys.readouterr().err.split("{", 1)
    assert text == "note: a \\x1b[31m b\nhint: type this\nmore\n"
    assert "\x1b" not in logged
    assert lines("{" + logged) == [
        {"level": "info", "event": "note", "message": "a \x1b[31m b", "hint": "type this"},
        {"level": "debug", "event": "detail", "message": "more"},
    ]


def test_a_log_hears_of_stages(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Now and then while they go on, and of each when all are over, also if they broke off; people see a counter."""

    def run(log: StderrLog) -> None:
        with stages(log, totals={"rows deleted": 3}) as report:
            report("rows deleted", 2)
            report("checked", 5)
            report("rows deleted", 1)
            raise ZeroDivisionError

    for given in ([], ["--log-format=json"]):
        stderr.begin(given)
        for log in (StderrLog(), StderrLog(quiet=True)):
            with pytest.raises(ZeroDivisionError):
                run(log)
            assert set(log.phases) == {"rows deleted", "checked", "rest"}
    deleted = {"level": "info", "stage": "rows deleted", "done": 3, "total": 3}
    checked = {"level": "info", "event": "stage", "stage": "checked", "done": 5}
    assert lines(capsys.readouterr().err) == [{**deleted, "event": "stage"}, checked]
    monkeypatch.setattr(staging, "_BETWEEN_MILESTONES", 0.0)
    with pytest.raises(ZeroDivisionError):
        run(StderrLog())
    progress = [line["done"] for line in lines(capsys.readouterr().err) if line["event"] == "progress"]
    assert progress == [2, 5, 3]
