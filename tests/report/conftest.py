"""A browser that people use, without a window, and pages for it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.report.inventories import make
from xcomctl.inventory.report import read_figures, render_page
from xcomctl.inventory.snapshot_file import open_snapshot_file


@dataclass
class Opened:
    """A page in the browser, and what it complained about and asked for since."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report about some thousand rows."""
    folder = tmp_path_factory.mktemp("report")
    with open_snapshot_file(make(folder / "inv.duckdb")) as kept:
        path = folder / "report.html"
        path.write_text(render_page(read_figures(kept)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium as Debian packages it: nothing is downloaded."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    # Its sandbox is not for root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser) -> Iterator[Open]:
    """Opens a file at a width, in light or dark, with scripts or without."""
    contexts = []

    def open_file(path: Path, width: int = 1400, **options: Any) -> Opened:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        found = Opened(context.new_page())

        def complain(message: ConsoleMessage) -> None:
            found.complaints.append(f"{message.type}: {message.text}")

        found.page.on("console", complain)
        found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
        found.page.on("request", lambda request: found.requests.append(request.url))
        # What a name could do if it were taken for a script.
        found.page.on("dialog", lambda dialog: found.complaints.append(f"dialog: {dialog.message}"))
        found.page.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            found.page.wait_for_selector("html[data-drawn]")
        return found

    yield open_file
    for context in contexts:
        context.close()
