from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.docs.site import REPOSITORY, build


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built with every warning an error."""
    pytest.importorskip("zensical", reason="needs zensical, which needs Python 3.11")
    folder = tmp_path_factory.mktemp("site")
    build(folder)
    return folder


def test_the_site_has_every_page() -> None:
    """Decisions are found by the pages that link them."""
    listed = set(re.findall(r'= "(docs/[^"]+)"', (REPOSITORY / "docs" / "site.toml").read_text()))
    assert {str(page.relative_to(REPOSITORY)) for page in (REPOSITORY / "docs").glob("*.md")} == listed


def test_the_site_can_be_searched(site: Path) -> None:
    """By what stands on its pages; nothing is asked of another host."""
    found = json.loads((site / "search.json").read_text())
    places = {item["location"].partition("#")[0] for item in found["items"] if "orphaned" in item["text"]}
    assert {"index.html", "docs/quickstart.html", "docs/safety.html"} <= places
    for page in site.rglob("*.html"):
        loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)', page.read_text())
        assert loaded == [], page
