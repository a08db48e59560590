"""`--metrics-file`, and `--log-format json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.services.command import Command
from tests.services.deployment import NO_WAIT, Deployment
from tests.unit.test_metrics import read
from xcomctl.cli.output.metrics import LAST_SUCCESS


def spoken(text: str) -> list[dict[str, Any]]:
    """The lines of a log, each of which is an object with a time."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert all(line["at"].endswith("Z") for line in lines)
    return lines


def test_a_collection_tells_what_it_came_to(xcomctl: Command, here: Deployment) -> None:
    """Also if it is refused or fails, and then when the last one did its work stays; a dry run is none."""
    path = xcomctl.folder / "gc.prom"
    root = here.root
    gc = (
        "gc",
        *here.options,
        *NO_WAIT,
        "--older-than",
        "30d",
        "--metrics-file",
        "gc.prom",
        "--log-format",
        "json",
    )

    dry = xcomctl(*gc, "--dry-run", "-o", "csv")
    assert dry.code == 0
    assert [line.get("stage") for line in spoken(dry.stderr) if line["event"] == "stage"][:2] == [
        "objects",
        "rows",
    ]
    found = read(path)
    assert (found["xcomctl_exit_code", root], (LAST_SUCCESS, root) in found) == (0, False)
    assert found["xcomctl_objects", root, "expired"] == 1
    assert found["xcomctl_object_bytes", root, "orphaned"] == 11
    assert found["xcomctl_rows", root, "dangling"] == 1

    done = xcomctl(*gc, "--yes", "-o", "json")
    assert done.code == 0, done.stderr
    json.loads(done.stdout)
    found = read(path)
    succeeded = found[LAST_SUCCESS, root]
    assert succeeded == found["xcomctl_last_run_timestamp_seconds", root]
    assert found["xcomctl_actions", "deleted", root, "objects"] == 2
    assert found["xcomctl_actions", "deleted", root, "rows"] == 1
    assert found["xcomctl_reclaimed_bytes", root] == 22
    assert {labels[1] for labels in found if labels[0] == "xcomctl_phase_duration_seconds"} >= {
        "objects",
        "rows",
        "rows deleted",
        "objects deleted",
    }
    assert all(found["xcomctl_guard_refused", guard, root] == 0 for guard in ("owner", "empty_database"))

    here.database.execute("DELETE FROM xcom")
    refused = xcomctl(*gc, "--yes")
    [error] = [line for line in spoken(refused.stderr) if line["level"] == "error"]
    assert (refused.code, error["event"], error["exit_code"]) == (5, "error", 5)
    assert "--accept" in error["hint"]
    found = read(path)
    assert (found["xcomctl_guard_refused", "empty_database", root], found[LAST_SUCCESS, root]) == (
        1,
        succeeded,
    )
    assert (found["xcomctl_trash_objects", root], found["xcomctl_trash_bytes", root]) == (2, 22)

    here.database.execute("DROP TABLE xcom")
    lost = xcomctl(*gc, "--yes")
    assert lost.code == 6
    assert spoken(lost.stderr)[-1]["level"] == "error"
    found = read(path)
    assert (found["xcomctl_exit_code", root], found[LAST_SUCCESS, root]) == (6, succeeded)
    assert not [labels for labels in found if labels[0] == "xcomctl_objects"]


def test_metrics_that_cannot_be_written_forbid_the_run(xcomctl: Command, here: Deployment) -> None:
    """Before anything is deleted; and findings are no failure of a check."""
    before = here.keys()
    refused = xcomctl(
        "gc", *here.options, *NO_WAIT, "--older-than", "30d", "--yes", "--metrics-file", "no/gc.prom"
    )
    assert (refused.code, refused.stderr) == (2, "error: no is not a folder\nhint: mkdir -p no\n")
    assert here.keys() == before
    assert xcomctl("fsck", *here.options, "--metrics-file", "fsck.prom").code == 4
    found = read(xcomctl.folder / "fsck.prom")
    assert (found["xcomctl_exit_code", here.root], (LAST_SUCCESS, here.root) in found) == (4, True)
    assert (found["xcomctl_rows", here.root, "dangling"], found["xcomctl_objects", here.root, "recent"]) == (
        1,
        1,
    )
    assert xcomctl("du", *here.options, "--metrics-file", "du.prom").code == 0
    found = read(xcomctl.folder / "du.prom")
    assert found["xcomctl_table_rows", here.root, "xcom"] == 3
    assert found["xcomctl_dag_bytes", "", here.root] == 11


def test_the_format_of_the_log_is_a_setting(xcomctl: Command, tmp_path: Path) -> None:
    """The option before the variable before the file; also what is wrong about the command line is told that way."""
    (xcomctl.folder / "xcomctl.toml").write_text('log_format = "json"\n')
    for words, variable, in_json in (
        ((), None, True),
        ((), "text", False),
        (("--log-format=json",), "text", True),
        (("--log-format", "text"), "json", False),
    ):
        env = {} if variable is None else {"XCOMCTL_LOG_FORMAT": variable}
        done = xcomctl("ls", "--nonsense", *words, env=env)
        assert (done.code, done.stderr.startswith("{")) == (2, in_json)
    wrong = xcomctl("ls", env={"XCOMCTL_LOG_FORMAT": "xml"})
    assert wrong.stderr.startswith("error: log format 'xml' (XCOMCTL_LOG_FORMAT) is none of text, json\n")
    shown = json.loads(xcomctl("config", "show", "-o", "json").stdout)
    assert [(line["value"], line["origin"]) for line in shown if line["setting"] == "log_format"] == [
        ("json", "xcomctl.toml")
    ]
