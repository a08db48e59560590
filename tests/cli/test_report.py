"""`xcomctl report`: a page in a file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.report.inventories import make
from tests.services.command import Command
from tests.services.deployment import Deployment


def test_a_report_of_the_present_and_of_a_snapshot_file(xcomctl: Command, here: Deployment) -> None:
    """Both tell the same, with the policy as it was given; nothing is changed, and nothing else is left behind."""
    here.add_row("small", "r1", {"text": "the value of nobody's business"})
    before = here.state()
    judged = ("--older-than", "30d")
    now = xcomctl("report", *here.options, *judged, "--out", "now.html")
    assert (now.code, now.stdout, here.state()) == (0, "", before), now.stderr
    assert now.stderr.startswith("note: the report is in now.html (")
    assert xcomctl("inventory", *here.options, *judged, "--out", "inv.duckdb").code == 0
    kept = xcomctl("report", "--inventory", "inv.duckdb", "--out", "kept.html")
    assert kept.code == 0, kept.stderr
    files = sorted(path.name for path in xcomctl.folder.iterdir())
    assert files == ["inv.duckdb", "kept.html", "now.html"]
    pages = [(xcomctl.folder / name).read_text(encoding="utf-8") for name in ("now.html", "kept.html")]
    for page in pages:
        assert "<dd><code>--older-than 30d</code></dd>" in page
        assert f"xcomctl gc --store {here.root} --older-than 30d --dry-run" in page
        assert "nobody" not in page.partition('<script type="module">')[0]
    found = [json.loads(page.partition('id="figures">')[2].partition("</script>")[0]) for page in pages]
    assert found[0]["tree"] == found[1]["tree"]
    assert {dag["n"]: dag["r"] for dag in found[0]["tree"]} == {
        "etl": 2,
        "lost": 1,
        "small": 1,
        "(no DAG)": 0,
    }


def test_what_is_no_report_is_not_replaced(xcomctl: Command) -> None:
    """A report is; any other file, a folder that is not there and a URL are told before anything is read."""
    make(xcomctl.folder / "inv.duckdb", rows=20)
    words = ("report", "--inventory", "inv.duckdb", "--out")
    (xcomctl.folder / "r.html").write_text(
        '<!doctype html>\n<meta name="generator" content="xcomctl report 0.0.1">'
    )
    assert xcomctl(*words, "r.html").code == 0
    assert "XComs of postgresql://" in (xcomctl.folder / "r.html").read_text(encoding="utf-8")
    (xcomctl.folder / "mine.html").write_text("<!doctype html><title>mine</title>")
    for target, hint in (
        ("mine.html", "give --out another path, or remove it first"),
        ("inv.duckdb", "give --out another path, or remove it first"),
        ("nowhere/r.html", "mkdir -p nowhere"),
        ("s3://bucket/r.html", "--out report.html"),
    ):
        refused = xcomctl("report", "--db", "sqlite:////nowhere.db", "--out", target)
        assert (refused.code, refused.stderr.splitlines()[-1]) == (2, f"hint: {hint}"), target
    assert (xcomctl.folder / "mine.html").read_text() == "<!doctype html><title>mine</title>"
    judged = xcomctl(*words, "r.html", "--older-than", "30d")
    assert (judged.code, "was judged when it was made" in judged.stderr) == (2, True)


@pytest.mark.parametrize("missing", ["jinja2", "vl_convert"])
def test_without_the_extra_one_line_says_what_to_install(xcomctl: Command, missing: str) -> None:
    """Where what draws is not installed, that is told before the database is asked."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from xcomctl.cli.app import main; main(['report', '--db', 'sqlite:////nowhere.db', '--out', 'r.html'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=xcomctl.folder,
        env=xcomctl.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        [f"error: a report needs {missing}, which is not installed", "hint: pip install 'xcomctl[report]'"],
    )
    assert list(Path(xcomctl.folder).iterdir()) == []
