"""The figures of a report, and the page as a file."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

from tests.report.inventories import make
from xcomctl.inventory.report import Figures, read_figures, render_page
from xcomctl.inventory.report.findings import findings_of
from xcomctl.inventory.snapshot_file import open_snapshot_file

STYLE = Path(__file__).parents[2] / "xcomctl/inventory/report/page/page.css"


def figures_of(path: Path) -> Figures:
    """What a report about that inventory shows."""
    with open_snapshot_file(path) as kept:
        return read_figures(kept)


def test_every_breakdown_adds_up_to_all(tmp_path: Path) -> None:
    """DAGs, tasks and keys, days, ages and states are the same bytes, cut in different ways."""
    path = make(tmp_path / "inv.duckdb", rows=5000)
    found = figures_of(path)
    with duckdb.connect(str(path), read_only=True) as database:
        query = "SELECT sum(size)::BIGINT, count(*) FROM objects WHERE state <> 'reserved'"
        [(in_s3, objects)] = database.execute(query).fetchall()
        [(in_rows, rows)] = database.execute("SELECT sum(row_size)::BIGINT, count(*) FROM entries").fetchall()
        query = "SELECT sum(size)::BIGINT FROM objects WHERE state IN ('expired', 'orphaned')"
        [(freed,)] = database.execute(query).fetchall()
    whole = found.weight
    assert (whole.object_bytes, whole.objects, whole.row_bytes, whole.rows) == (in_s3, objects, in_rows, rows)
    for dag in found.dags:
        assert sum(task.weight.bytes for task in dag.below) in (dag.weight.bytes, 0)
        for task in dag.below:
            assert sum(key.weight.bytes for key in task.below) in (task.weight.bytes, 0)
    assert sum(day["object_bytes"] for day in found.growth) == in_s3
    assert sum(day["row_bytes"] for day in found.growth) == in_rows
    assert sum(age["bytes"] for age in found.ages if age["state"] != "inline") == in_s3
    assert sum(record["object_bytes"] for record in found.freed) == freed
    sizes = [record["size"] for record in found.largest]
    assert (len(sizes), sizes) == (500, sorted(sizes, reverse=True))
    bytes_by_dag = [dag.weight.bytes for dag in found.dags if not dag.others]
    assert bytes_by_dag == sorted(bytes_by_dag, reverse=True)


def test_beyond_the_largest_there_are_others(tmp_path: Path) -> None:
    """However many DAGs, tasks and keys there are, the page holds so many, and says of how many it does not tell."""
    path = make(tmp_path / "inv.duckdb", rows=0)
    with duckdb.connect(str(path)) as database:
        database.execute(
            "INSERT INTO entries BY NAME SELECT n AS row_id, 'd' || n % 70 AS dag_id, 't' || n // 70 % 30 AS task_id,"
            " 'k' || n AS key, 10_000 - n // 100 AS row_size, 'inline' AS state, false AS expires,"
            " TIMESTAMP '2026-11-01' AS written_at FROM range(70 * 30 * 12) r(n)"
        )
    *dags, last = [dag for dag in figures_of(path).dags if dag.name is not None or dag.others]
    # What no row names is there, too: three notes, of no DAG.
    assert (len(dags), last.name, last.others, last.below) == (40, None, 31, ())
    assert {len(dag.below) for dag in dags} == {21}
    assert {dag.below[-1].others for dag in dags} == {10}
    assert {(len(task.below), task.below[-1].others) for dag in dags for task in dag.below[:-1]} == {(9, 4)}


def test_years_are_told_by_week_and_what_is_older_in_one(tmp_path: Path) -> None:
    """Of half a year there are days, of more there are weeks, and nothing is left out."""
    short = figures_of(make(tmp_path / "short.duckdb", rows=300, days=100))
    assert {day["step"] for day in short.growth} == {"day"}
    long = figures_of(make(tmp_path / "long.duckdb", rows=300, days=3000))
    assert {week["step"] for week in long.growth} == {"week"}
    assert long.growth[0]["day"] is None
    assert sum(week["object_bytes"] for week in long.growth) == long.weight.object_bytes


def test_findings_come_with_what_to_type(tmp_path: Path) -> None:
    """The wrong ones first; commands name the store and the policy; nothing that deletes is proposed without a look."""
    findings = findings_of(figures_of(make(tmp_path / "inv.duckdb", rows=12_000)))
    assert [(finding.kind, finding.alarming) for finding in findings] == [
        ("dangling", True),
        ("unresolved", True),
        ("orphaned", True),
        ("expired", False),
        ("trash", False),
        ("archived", False),
        ("foreign", False),
    ]
    commands = {finding.kind: finding.command for finding in findings}
    assert commands["expired"] == "xcomctl gc --store s3://xcoms/prod --older-than 60d --dry-run"
    assert not [text for text in commands.values() if "xcomctl gc" in text and "--dry-run" not in text]
    assert all(finding.count and finding.names for finding in findings)


def test_a_report_about_100_000_xcoms_is_small(tmp_path: Path) -> None:
    """Less than 5 MB, most of it the library that draws; the policy of the page allows its own scripts alone."""
    page = render_page(figures_of(make(tmp_path / "inv.duckdb", rows=100_000, days=700)))
    assert len(page.encode()) < 2_000_000
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe" not in policy[1]
    # Neither is anything loaded by the markup itself.
    markup = page.partition('<script type="application/json"')[0]
    assert re.findall(r"(?:src|href|action|data)\s*=\s*\"(?!#)|url\(|@import", markup) == []


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb`, as WCAG has it."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_can_be_read_on_whatever_is_behind_it(theme: int) -> None:
    """Each pair of a text and its ground has a contrast of 4.5 at least."""
    themes = re.findall(r":root \{(.*?)\}", STYLE.read_text(encoding="utf-8"), re.DOTALL)
    colors = dict(re.findall(r"--([\w-]+): (#\w{6});", themes[theme]))
    grounds = {
        "ink": ("paper", "raised", "tile", "group", "freed"),
        "soft": ("paper", "raised"),
        "accent": ("paper",),
        "alarm": ("paper", "raised"),
    }
    for text, behind in grounds.items():
        for ground in behind:
            low, high = sorted((luminance(colors[text]), luminance(colors[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
