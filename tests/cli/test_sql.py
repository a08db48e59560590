"""`xcomctl sql`: questions to an inventory."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Callable
from io import StringIO

import pytest

from tests.cli.test_worlds import connection
from tests.services.command import COMMAND, Command
from tests.services.deployment import Deployment
from tests.services.worlds import World
from tests.unit.test_snapshot_file import keep
from xcomctl.inventory.snapshot_file import TABLES

BY_DAG = "select dag_id, sum(size) from objects group by 1 order by 1"


@pytest.fixture
def kept(xcomctl: Command) -> tuple[str, ...]:
    """Words that ask a small inventory."""
    keep(xcomctl.folder / "inv.duckdb")
    return ("sql", "--inventory", "inv.duckdb")


def test_a_question_without_an_inventory_reads_and_lists_now(xcomctl: Command, here: Deployment) -> None:
    """The same answer as from a kept one; nothing is left in the folder for temporary files."""
    scratch = xcomctl.folder / "scratch"
    scratch.mkdir()
    now = xcomctl("sql", *here.options, "--tmp", str(scratch), BY_DAG, "-o", "json")
    assert (now.code, json.loads(now.stdout)) == (
        0,
        [{"dag_id": "etl", "sum(size)": 33}, {"dag_id": None, "sum(size)": 11}],
    ), now.stderr
    assert list(scratch.iterdir()) == []
    assert xcomctl("inventory", *here.options, "--out", "inv.duckdb").code == 0
    kept = xcomctl("sql", "--inventory", "inv.duckdb", BY_DAG, "-o", "json")
    assert kept.stdout == now.stdout


def test_every_format(xcomctl: Command, kept: tuple[str, ...]) -> None:
    """Columns are those of the question; times are UTC with a Z, what is absent is null, and empty in CSV."""
    question = "select uri, size, last_modified, etag, state = 'live' as ok, 1.5 as half, [1, 2] as list from objects"
    record = {
        "uri": "s3://b/k",
        "size": 7,
        "last_modified": "2026-11-01T06:00:00Z",
        "etag": None,
        "ok": True,
        "half": 1.5,
        "list": [1, 2],
    }
    assert json.loads(xcomctl(*kept, question, "-o", "json").stdout) == [record]
    assert json.loads(xcomctl(*kept, question, "-o", "ndjson").stdout) == record
    table = list(csv.DictReader(StringIO(xcomctl(*kept, question, "-o", "csv").stdout, newline="")))
    assert table == [
        {
            "uri": "s3://b/k",
            "size": "7",
            "last_modified": "2026-11-01T06:00:00Z",
            "etag": "",
            "ok": "true",
            "half": "1.5",
            "list": "[1, 2]",
        }
    ]
    shown = xcomctl(*kept, question).stdout.splitlines()
    assert shown[0].split() == list(record)
    assert xcomctl(*kept, question, "--template", "{uri} {size}").stdout == "s3://b/k 7\n"
    assert xcomctl(*kept, question, "--columns", "size", "-o", "csv").stdout == "size\r\n7\r\n"


def test_a_question_from_stdin(xcomctl: Command, kept: tuple[str, ...]) -> None:
    """`-` reads it; a semicolon at its end does no harm."""
    done = subprocess.run(
        [*COMMAND, *kept, "-", "-o", "csv"],
        input=b"-- how much\nselect sum(size) as total from objects;\n",
        cwd=xcomctl.folder,
        env=xcomctl.environment(),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"total\r\n7\r\n", b"")


def test_the_tables_are_listed_without_asking_anybody(xcomctl: Command) -> None:
    """Without a statement, or with --tables: every column with its type and meaning."""
    listed = json.loads(xcomctl("sql", "--tables", "-o", "json").stdout)
    assert [(one["table"], one["column"], one["type"]) for one in listed] == [
        (table, column.name, column.type) for table, columns in TABLES.items() for column in columns
    ]
    assert all(one["meaning"] for one in listed)
    assert xcomctl("sql").stdout == xcomctl("sql", "--tables").stdout


def test_a_wrong_question_is_a_usage_error(xcomctl: Command, kept: tuple[str, ...]) -> None:
    """The cause with its place in one line, what helps in another; exit 2."""
    done = xcomctl(*kept, "select nope from objects")
    assert (done.code, done.stdout) == (2, "")
    cause, hint = done.stderr.splitlines()
    assert cause == 'error: Referenced column "nope" not found in FROM clause! (line 1, column 8)'
    assert hint.startswith("hint: Candidate bindings: ")


def test_how_it_was_judged_cannot_be_said_afterwards(xcomctl: Command, kept: tuple[str, ...]) -> None:
    """With a snapshot file, options such as --older-than would be without effect: a usage error."""
    done = xcomctl(*kept, "from objects", "--older-than", "30d")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[0].startswith("error: the inventory was judged when it was made")


def test_a_reader_who_leaves_ends_a_long_answer(xcomctl: Command, kept: tuple[str, ...]) -> None:
    """An answer of any length is streamed: nobody waits for its end, and it never is in memory."""
    ours, theirs = os.pipe()
    with subprocess.Popen(
        [*COMMAND, *kept, "select range, uri from objects, range(1_000_000_000_000)", "-o", "ndjson"],
        cwd=xcomctl.folder,
        env=xcomctl.environment(),
        stdout=theirs,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        with open(ours, encoding="utf-8") as answer:
            first = json.loads(answer.readline())
        _, stderr = process.communicate(timeout=60)
    assert (set(first), process.returncode, stderr) == ({"range", "uri"}, 1, b"")


def test_a_snapshot_file_needs_neither_database_nor_store(
    xcomctl: Command, kept: tuple[str, ...], world: Callable[..., World]
) -> None:
    """It answers where neither is configured, and says what it is of."""
    here = world("3.3.2-commonio-sqlite")
    made = xcomctl("inventory", *connection(here, str(here.root)), "--out", "world.duckdb")
    assert made.code == 0, made.stderr
    about = xcomctl("sql", "--inventory", "world.duckdb", "from about", "-o", "ndjson")
    assert (about.code, json.loads(about.stdout)["roots"]) == (0, [str(here.root)])
