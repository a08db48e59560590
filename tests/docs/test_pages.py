from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.console import PAGES, REPOSITORY, blocks
from xcomctl.airflow import deletion
from xcomctl.config.file import read_config_file
from xcomctl.gc.apply import execution, references


def _prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def _anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the repository, or to a heading, has its target."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists() or (anchor and anchor not in _anchors(linked)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", ["docs/safety.md", "CONTRIBUTING.md", "docs/design.md"])
def test_tests_that_a_page_names_exist(name: str) -> None:
    """A promise that rests on a test rests on one that is there."""
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py")
    )
    known = set(re.findall(r"^ *def (test_\w+)\(", sources, re.MULTILINE))
    named = set(re.findall(r"`(test_\w+)`", _prose(REPOSITORY / name)))
    assert named - known == set()


def test_every_rule_of_safety_names_its_proof() -> None:
    """No promise without a test."""
    table = (
        _prose(REPOSITORY / "docs" / "safety.md").partition("| rule | proven by |")[2].partition("\n\n")[0]
    )
    rules = [line for line in table.splitlines() if line.startswith("| **")]
    assert len(rules) > 10
    assert [rule for rule in rules if "`test_" not in rule] == []


def test_the_batches_of_safety_are_those_of_the_program() -> None:
    """How many rows go in a transaction, and how many objects between two readings of all rows."""
    page = _prose(REPOSITORY / "docs" / "safety.md")
    for number in (
        f"up to {deletion._ROWS_AT_MOST:,} in a transaction",
        f"for {execution._ROWS_PER_STEP:,} rows at a time",
        f"every {references.OBJECTS_PER_CHECK:,} objects",
    ):
        assert number in page


def test_the_example_of_a_configuration_file_is_one(tmp_path: Path) -> None:
    """The file that docs/configuration.md shows can be read, and has what it shows."""
    [(_, lines)] = blocks(REPOSITORY / "docs" / "configuration.md", "toml")
    file = tmp_path / "xcomctl.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    read = read_config_file(file)
    assert (sorted(read.profiles), [rule.name for rule in read.dialects]) == (
        ["prod", "staging"],
        ["team-etl"],
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_no_place_of_this_machine(page: Path) -> None:
    """Pages hold no paths of the machine on which they were written."""
    assert re.findall(r"(?<![\w.])/(?:work|tmp|root|opt|home)\b", page.read_text(encoding="utf-8")) == []
