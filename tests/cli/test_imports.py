from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.cli.test_app import loaded
from tests.services.command import Command
from tests.services.worlds import World

Worlds = Callable[..., World]


def test_show_of_an_object_loads_neither_database_nor_frames(xcomctl: Command, world: Worlds) -> None:
    """An `s3://` URI of JSON needs the client of the store, and nothing to read a database or a DataFrame with."""
    here = world("3.3.2-commonio-sqlite")
    uri = next(f"s3://{here.bucket}/{key}" for key in here.keys if "/upstream_ok/" in key)
    assert loaded(xcomctl, "show", uri) == {"botocore"}


def test_show_of_a_value_in_its_row_loads_no_store(xcomctl: Command, world: Worlds) -> None:
    """What the row holds itself is shown without a client of the store, and without what reads DataFrames."""
    database = ("--db", world("2.5.0-default-sqlite").db_url)
    listed = json.loads(xcomctl("ls", *database, "--no-stat", "--limit", "0", "-o", "json").stdout)
    row_id = next(entry["id"] for entry in listed if entry["type"] == "dict")
    assert loaded(xcomctl, "show", *database, row_id) == {"sqlalchemy"}


def modules_of(xcomctl: Command, *arguments: str) -> set[str]:
    """The modules of our own that a run of the command loads."""
    program = (
        "import sys; from xcomctl.cli.app import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(*(name for name in sys.modules if name.split('.')[0] == 'xcomctl'), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=xcomctl.folder,
        env=xcomctl.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("words", ["--help", "--version"])
def test_what_names_no_verb_loads_none(xcomctl: Command, words: str) -> None:
    """The list of verbs is printed without importing any of them, and what its frame needs is all that is loaded."""
    found = modules_of(xcomctl, words)
    assert {name for name in found if not name.startswith("xcomctl.cli")} == {
        "xcomctl",
        "xcomctl.errors",
    }
    assert [name for name in found if name.startswith("xcomctl.cli.commands.")] == []


def test_a_verb_loads_no_other(xcomctl: Command) -> None:
    """The help of one verb imports its module, and of the others none."""
    found = modules_of(xcomctl, "ls", "--help")
    assert {name for name in found if name.startswith("xcomctl.cli.commands.")} == {"xcomctl.cli.commands.ls"}


def test_the_tables_of_an_inventory_are_listed_without_a_database(xcomctl: Command) -> None:
    """`sql --tables` opens nothing, so it loads nothing to open it with."""
    assert loaded(xcomctl, "sql", "--tables") == set()
