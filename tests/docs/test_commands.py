from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs import commands
from tests.docs.console import PAGES, REPOSITORY
from xcomctl.cli.app import EXIT_CODES
from xcomctl.gc.guards import GUARD_IDS

OF_OTHER_PROGRAMS = {
    "--bucket",
    "--check",
    "--compile-bytecode",
    "--data",
    "--fail",
    "--folder",
    "--overrides",
    "--kill-points",
    "--now",
    "--prefix",
    "--query",
    "--rm",
    "--silent",
    "--size",
    "--skip-archive",
    "--steps",
    "--unit",
}
"""Options in the pages that are not ours: of AWS tools, of uv, of `airflow db clean`, of schedulers, of our tests."""


def text_of(page: Path) -> str:
    """The content of a page."""
    return page.read_text(encoding="utf-8")


def test_the_page_of_commands_is_what_the_program_says() -> None:
    """`docs/commands.md` is up to date; if not: python -m tests.docs.commands > docs/commands.md"""
    assert text_of(REPOSITORY / "docs" / "commands.md") == commands.page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_that_a_page_names_exists(page: Path) -> None:
    """An option that was renamed does not live on in a page."""
    known = {
        name
        for verb in commands.verbs().values()
        for each in commands.parameters(verb)
        for name in each.spellings
    }
    named = set(re.findall(r"(?<![\w/-])--[a-z][\w-]*[a-z]\b", text_of(page)))
    assert named - known - OF_OTHER_PROGRAMS - {"--help", "--version"} == set()


@pytest.mark.parametrize("name", ["README.md", "docs/commands.md", "docs/scripting.md"])
def test_exit_codes_are_those_of_the_program(name: str) -> None:
    """Every table of exit codes lists all of them, with their meaning."""
    table = re.search(r"\| exit code \| means \|\n\|---\|---\|\n((?:\|.*\n)+)", text_of(REPOSITORY / name))
    assert table is not None
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    assert {int(code): meaning for code, meaning in rows} == EXIT_CODES


def test_guards_are_those_of_the_program() -> None:
    """The table of guards has every guard, in the order of a plan."""
    table = text_of(REPOSITORY / "docs" / "safety.md").partition("| guard |")[2].partition("\n\n")[0]
    assert tuple(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == GUARD_IDS
