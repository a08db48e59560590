"""A test run that is killed leaves no server behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.processes import alive, until

HELD = """
import json, os, time
from pathlib import Path

def test_held(seaweed, postgres, moto_server, xcomctl, {more}tmp_path):
    assert xcomctl("--version").code == 0
    Path({there!r}).with_suffix(".part").write_text(json.dumps({{"pid": os.getpid(), "folder": str(seaweed.folder)}}))
    os.rename(Path({there!r}).with_suffix(".part"), {there!r})
    time.sleep(60)
"""

RUN = (
    sys.executable,
    "-m",
    "pytest",
    "-q",
    "-p",
    "tests.conftest",
    "-p",
    "no:cacheprovider",
    "-c",
    os.devnull,
)


def descendants(pid: int) -> set[int]:
    """All processes that this one started, and those that they started."""
    parents = {}
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and (status := _status(process)):
            parents[int(process.name)] = status
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _status(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


@pytest.mark.parametrize(
    ("workers", "more"),
    [pytest.param(1, "", marks=pytest.mark.slow), pytest.param(0, "mariadb, ", marks=pytest.mark.mariadb)],
)
def test_servers_end_with_a_run_that_is_killed(tmp_path: Path, workers: int, more: str) -> None:
    """SeaweedFS, PostgreSQL, moto and the fork server, whether the run has workers or not; and their folders go."""
    there = tmp_path / "there"
    (tmp_path / "test_held.py").write_text(HELD.format(there=str(there), more=more))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    with subprocess.Popen(
        [
            *RUN,
            f"--rootdir={tmp_path}",
            f"--basetemp={tmp_path / 'tests'}",
            f"--numprocesses={workers}",
            str(tmp_path),
        ],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as run:
        try:
            until(there.exists, seconds=120)
            started = descendants(run.pid)
        finally:
            os.kill(run.pid, signal.SIGKILL)
    folder = Path(json.loads(there.read_text())["folder"])
    assert len(started) > 10
    until(lambda: not [pid for pid in started if alive(pid)])
    until(lambda: not folder.exists())
