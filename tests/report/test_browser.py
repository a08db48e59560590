"""The report in a browser: nothing is fetched, nothing complains, and what can be pointed at answers."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.report.conftest import Open
from tests.report.inventories import make
from tests.services.sweeps import sweep
from xcomctl.inventory.report import read_figures, render_page
from xcomctl.inventory.snapshot_file import open_snapshot_file

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "\"><img src=x onerror=alert(3)>'",
    "<svg onload=alert(4)>",
    "{{ 7 * 7 }} ${alert(5)} <!-- ",
)

MIDDLE_OF_LARGEST = """(marks) => {
    const boxes = [...document.querySelectorAll(marks)].map((mark) => mark.getBoundingClientRect());
    const box = boxes.sort((one, other) => other.width * other.height - one.width * one.height)[0];
    return [box.x + box.width / 2, box.y + box.height / 2];
}"""


@pytest.mark.parametrize(
    ("width", "scheme"),
    sweep(
        [(width, scheme) for width in (1400, 390) for scheme in ("light", "dark")],
        lambda width, scheme: (width == 1400) == (scheme == "light"),
    ),
)
def test_it_draws_all_charts_and_fetches_nothing(report: Path, opened: Open, width: int, scheme: str) -> None:
    """Every chart is there, the console is empty, nothing but the file is asked for, nothing sticks out sideways."""
    found = opened(report, width, color_scheme=scheme)
    drawn = found.page.evaluate(
        "['treemap', 'new', 'sum', 'ages-chart'].map((id) => document.querySelectorAll(`#${id} svg path`).length > 5)"
    )
    assert (drawn, found.complaints, found.requests) == ([True] * 4, [], [report.as_uri()])
    assert found.page.evaluate("document.documentElement.scrollWidth") == width
    paper = found.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


def test_the_treemap_by_pointer_and_by_keyboard(report: Path, opened: Open) -> None:
    """A name opens what is inside of it, the way back is a button, and what is hovered or focused is told."""
    found = opened(report)
    page = found.page
    groups = page.locator('#treemap [tabindex="0"]')
    assert groups.count() > 5
    assert "in S3" in (groups.first.get_attribute("aria-label") or "")
    name = (groups.first.get_attribute("aria-label") or "").split(",")[0]
    page.locator("#where summary").focus()
    page.keyboard.press("Shift+Tab")
    page.locator("#tip").wait_for(state="visible")
    groups.first.focus()
    page.keyboard.press("Enter")
    page.locator("#crumbs").wait_for(state="visible")
    assert page.locator("#crumbs button").all_inner_texts() == ["All DAGs", name]
    page.locator("#treemap").hover(position={"x": 60, "y": 90})
    assert "of what is shown" in page.locator("#tip").inner_text()
    page.locator("#treemap").click(position={"x": 60, "y": 90})
    assert page.locator("#crumbs button").first.inner_text() == "All DAGs"
    page.locator("#crumbs button").first.click()
    page.locator("#crumbs").wait_for(state="hidden")
    assert found.complaints == []


def test_the_largest_are_sorted_and_filtered(report: Path, opened: Open) -> None:
    """A heading sorts and turns around, words narrow down, and what is left out at first is a button away."""
    found = opened(report)
    page = found.page
    lines = page.locator("#largest-table tbody tr:visible")
    sizes = "[...document.querySelectorAll('#largest-table tbody tr')].map((row) => Number(row.cells[0].dataset.order))"
    assert (lines.count(), page.evaluate(sizes)) == (50, sorted(page.evaluate(sizes), reverse=True))
    page.locator("#largest-table thead button").first.click()
    assert page.evaluate(sizes) == sorted(page.evaluate(sizes))
    assert page.locator("#largest-table th").first.get_attribute("aria-sort") == "ascending"
    page.locator("#largest-table thead button").nth(1).click()
    assert [head.get_attribute("aria-sort") for head in page.locator("#largest-table th").all()][:2] == [
        None,
        "ascending",
    ]
    page.locator("#more").click()
    assert lines.count() == 500
    page.get_by_label("Filter").fill("ORPHANED load")
    texts = lines.all_inner_texts()
    assert texts
    assert all("orphaned" in text and "load" in text for text in texts)
    assert page.locator("#matches").inner_text() == f"{len(texts)} of 500"
    assert found.complaints == []


def test_a_command_is_copied(report: Path, opened: Open) -> None:
    """The button puts the command of its finding into the clipboard."""
    page = opened(report, permissions=["clipboard-read", "clipboard-write"]).page
    page.locator(".finding .copy").first.click()
    page.get_by_text("Copied", exact=True).wait_for()
    command = page.locator(".finding .command code").first.inner_text()
    assert command.startswith("xcomctl fsck --store s3://xcoms/prod ")
    assert page.evaluate("navigator.clipboard.readText()") == command


def test_days_and_ages_answer_the_pointer(report: Path, opened: Open) -> None:
    """The newest day and the youngest age tell their bytes; Escape puts that away."""
    found = opened(report)
    page = found.page
    for chart in ("new", "sum", "ages-chart"):
        page.locator(f"#{chart}").scroll_into_view_if_needed()
        x, y = page.evaluate(MIDDLE_OF_LARGEST, f"#{chart} .mark-rect path")
        page.mouse.move(x, y)
        page.locator("#tip").wait_for(state="visible")
        assert "iB" in page.locator("#tip").inner_text()
        page.keyboard.press("Escape")
        assert page.locator("#tip").is_hidden()
    assert found.complaints == []


def test_without_scripts_the_tables_say_it_all(report: Path, opened: Open) -> None:
    """Where scripts are off there are no empty charts and no dead buttons, and every number is in a table."""
    page = opened(report, java_script_enabled=False).page
    for hidden in (".chart", ".copy", "#words", "#crumbs", "#more"):
        assert not page.locator(hidden).first.is_visible(), hidden
    assert page.locator("#largest-table tbody tr:visible").count() == 500
    page.locator("#where summary").click()
    assert page.locator("#where tbody tr:visible").count() > 5


def test_on_paper_nothing_is_folded(report: Path, opened: Open) -> None:
    """Printing shows the tables behind the charts, in dark ink also where the screen is dark."""
    page = opened(report, color_scheme="dark").page
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("#where tbody tr:visible").count() > 5
    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_names_are_text_whatever_is_in_them(tmp_path: Path, opened: Open) -> None:
    """Names of DAGs, tasks, keys, runs, roots and objects that look like markup are shown, and never run."""
    path = make(tmp_path / "inv.duckdb", rows=50)
    with duckdb.connect(str(path)) as database:
        for name in HOSTILE:
            values = {"dag_id": name, "task_id": name, "key": name, "run_id": name, "reason": name}
            database.execute(
                "INSERT INTO objects BY NAME SELECT 's3://b/' || $dag_id AS uri, 10_000_000 AS size, 'orphaned' AS state,"
                " TIMESTAMP '2026-11-01' AS last_modified, $dag_id AS dag_id, $task_id AS task_id, $key AS key,"
                " $run_id AS run_id, $reason AS reason, 'prod/x' AS object_key",
                values,
            )
        database.execute(
            "UPDATE about SET roots = [$name], database = $name, options = $name", {"name": HOSTILE[1]}
        )
    with open_snapshot_file(path) as kept:
        text = render_page(read_figures(kept))
    assert not any(name in text for name in HOSTILE[:4])
    report = tmp_path / "report.html"
    report.write_text(text, encoding="utf-8")
    found = opened(report)
    page = found.page
    assert page.locator("script").count() == 3
    assert set(HOSTILE) <= set(page.locator("#largest-table tbody td:nth-child(2)").all_text_contents())
    labels = page.locator('#treemap [tabindex="0"]').evaluate_all(
        "(all) => all.map((one) => one.getAttribute('aria-label'))"
    )
    assert any(label.startswith(HOSTILE[0]) for label in labels)
    page.locator("#treemap").hover(position={"x": 60, "y": 90})
    page.locator("#treemap").click(position={"x": 60, "y": 90})
    page.locator("#crumbs").wait_for(state="visible")
    assert (found.complaints, found.requests) == ([], [report.as_uri()])


def test_an_inventory_of_nothing_is_a_page_too(tmp_path: Path, opened: Open) -> None:
    """Without rows and objects every section says so, and nothing complains."""
    path = make(tmp_path / "inv.duckdb", rows=0, options=None)
    with duckdb.connect(str(path)) as database:
        database.execute("DELETE FROM objects")
        database.execute("DELETE FROM rows")
    with open_snapshot_file(path) as kept:
        (tmp_path / "report.html").write_text(render_page(read_figures(kept)), encoding="utf-8")
    found = opened(tmp_path / "report.html")
    assert found.complaints == []
    assert "there are no rows and no objects" in found.page.locator("#where").inner_text()
