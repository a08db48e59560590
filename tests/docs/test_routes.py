"""The routes of CONTRIBUTING.md: whoever follows one has the change that it promises, in the files that it names."""

from __future__ import annotations

import json
import os
import re
import shutil
import textwrap
from pathlib import Path
from uuid import uuid4

import pytest

from tests.docs.console import REPOSITORY
from tests.services.command import Command
from tests.services.deployment import DAY, NO_WAIT, Deploy

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the package that may be changed."""
    shutil.copytree(
        REPOSITORY / "xcomctl", tmp_path / "xcomctl", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def change(file: Path, text: str, with_: str) -> None:
    """Put one text in the place of another, which is there once."""
    before = file.read_text(encoding="utf-8")
    assert before.count(text) == 1
    file.write_text(before.replace(text, with_), encoding="utf-8")


def of_checkout(checkout: Path) -> dict[str, str]:
    """The environment in which the changed package runs."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH")]))}


def test_a_dialect_is_a_file_and_a_line(checkout: Path, deploy: Deploy, xcomctl: Command) -> None:
    """With the file of the page and one name in the registry, its objects are found, kept, and collected as orphans."""
    dialects = checkout / "xcomctl" / "dialects"
    block = re.search(r"^  ```python\n(.*?)^  ```$", PAGE, re.DOTALL | re.MULTILINE)
    assert block is not None
    (dialects / "acme.py").write_text(textwrap.dedent(block[1]), encoding="utf-8")
    change(dialects / "registry.py", "    s3_url.FAMILY,\n", "    s3_url.FAMILY,\n    acme.FAMILY,\n")
    change(
        dialects / "registry.py",
        "from xcomctl.dialects import astronomer,",
        "from xcomctl.dialects import acme, astronomer,",
    )
    here = deploy()
    kept, orphan = (f"blobs/{uuid4()}.acme" for _ in range(2))
    here.upload(key=f"{here.prefix}/{kept}", age=3 * DAY)
    here.upload(key=f"{here.prefix}/{orphan}", age=3 * DAY)
    here.settle()
    here.add_row("etl", "r1", f"xcom-acme:{kept}")
    env = of_checkout(checkout)

    (listed,) = json.loads(xcomctl.in_new_process("ls", *here.options, "-o", "json", env=env).stdout)
    found = [
        json.loads(line)
        for line in xcomctl.in_new_process("fsck", *here.options, "-o", "ndjson", env=env).stdout.splitlines()
    ]

    assert (listed["dialect"], listed["uri"]) == ("acme", f"s3://{here.bucket}/{here.prefix}/{kept}")
    assert [(one["finding"], one["uri"]) for one in found] == [
        ("orphaned", f"s3://{here.bucket}/{here.prefix}/{orphan}")
    ]


def test_a_guard_is_a_function_and_a_line(checkout: Path, deploy: Deploy, xcomctl: Command) -> None:
    """A function in `contents.py` that is called in `judge` stands in every plan, and refuses."""
    guards = checkout / "xcomctl" / "gc" / "guards"
    with (guards / "contents.py").open("a", encoding="utf-8") as module:
        module.write(
            "\n\ndef never(inventory: Inventory) -> Guard:\n"
            '    return Guard("never", False, _live_rows(inventory), 0, "nothing is ever deleted here")\n'
        )
    change(
        guards / "judgement.py",
        "    guards = [\n",
        "    guards = [\n        contents.never(inventory),\n",
    )
    here = deploy()
    for run, age in (("old", 40 * DAY), ("new", 0 * DAY)):
        here.push(run=run, age=age)
    done = xcomctl.in_new_process(
        "gc", *here.options, *NO_WAIT, "--older-than", "30d", "--yes", env=of_checkout(checkout)
    )
    assert (done.code, "nothing is ever deleted here" in done.stderr) == (5, True)


def test_a_column_of_ls_is_a_line(checkout: Path, deploy: Deploy, xcomctl: Command) -> None:
    """A column of `entries.py` is in the table and in every format."""
    change(
        checkout / "xcomctl" / "cli" / "output" / "entries.py",
        '        Column("key", lambda entry: entry.row.key, "KEY"),\n',
        '        Column("key", lambda entry: entry.row.key, "KEY"),\n'
        '        Column("letters", lambda entry: len(entry.row.key), "LETTERS"),\n',
    )
    here = deploy()
    here.push()
    env = of_checkout(checkout)
    table = xcomctl.in_new_process("ls", *here.options, env=env).stdout
    (listed,) = json.loads(xcomctl.in_new_process("ls", *here.options, "-o", "json", env=env).stdout)
    assert ("LETTERS" in table.splitlines()[0], listed["letters"]) == (True, len("return_value"))
