"""`--memory`, `--threads`, `--tmp` of the verbs that join rows and objects."""

from __future__ import annotations

from tests.services.command import Command
from tests.services.deployment import Deployment


def test_a_wrong_limit_is_refused_before_anything_is_done(xcomctl: Command, here: Deployment) -> None:
    """By every verb that joins rows and objects, with exit 2; nothing is changed."""
    before = here.state()
    for words in (
        ("fsck",),
        ("gc", "--older-than", "30d", "--yes"),
        ("plan", "--older-than", "30d"),
        ("explain", "etl/old/load"),
        ("rm", "etl/old/load", "--yes"),
        ("trash", "purge", "--yes"),
        ("inventory", "--out", "inv.duckdb"),
        ("sql", "from objects"),
    ):
        done = xcomctl(*words, *here.options, "--memory", "1MB")
        assert (words, done.code, done.stdout) == (words, 2, "")
        assert done.stderr.splitlines() == [
            "error: memory of 1MB (--memory) is less than an inventory needs",
            "hint: at least --memory 64MiB",
        ]
    assert (here.state(), list(xcomctl.folder.iterdir())) == (before, [])


def test_a_collection_within_narrow_limits(xcomctl: Command, here: Deployment) -> None:
    """Planned and applied as without them, and nothing is left in the folder for temporary files."""
    scratch = xcomctl.folder / "scratch"
    scratch.mkdir()
    limits = ("--memory", "64MiB", "--threads", "1", "--tmp", str(scratch))
    done = xcomctl("gc", *here.options, *limits, "--older-than", "30d", "--yes", "--quiet")
    assert (done.code, list(scratch.iterdir())) == (0, []), done.stderr
    assert {ref for ref in here.refs() if "/old/" in ref} == set()
