from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.docs.conftest import Shell
from tests.docs.console import PAGES, examples, shows
from tests.services.sweeps import sweep

TESTED_ELSEWHERE = ("reference-format.md",)
"""Its commands are those of other programs, on a bucket of its own: tests/backend/test_documentation.py."""

WITH_EXAMPLES = [page for page in PAGES if page.name not in TESTED_ELSEWHERE and examples(page)]


_FIRST = ("README.md", "quickstart.md", "looking.md", "trash.md")
"""What most people read."""


@pytest.mark.parametrize(
    "page",
    sweep([pytest.param(page, id=page.name) for page in WITH_EXAMPLES], lambda page: page.name in _FIRST),
)
def test_the_examples_of_a_page_do_what_it_shows(page: Path, shell: Shell) -> None:
    """Every command of the page, run from top to bottom in the demonstration's world, ends and looks as printed."""
    wrong = []
    for example in examples(page):
        if "| jq " in example.command and shutil.which("jq") is None:
            continue
        result = shell(example)
        if result.exit_code != example.exit_code:
            wrong.append(
                f"{example.place}: {example.command}\nexits with {result.exit_code}\n{result.output}"
            )
        elif example.output and not shows(example, result.output):
            wrong.append(f"{example.place}: {example.command}\nshows\n{result.output}")
    assert not wrong, "\n\n".join(wrong)
