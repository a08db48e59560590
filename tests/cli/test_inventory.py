"""`xcomctl inventory`: both sides in a file."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest

from tests.cli.test_worlds import connection
from tests.services.command import Command
from tests.services.deployment import DAY, Deploy, Deployment
from tests.services.worlds import World
from xcomctl.inventory.snapshot_file import TABLES

HELD = "the value of nobody's business"


@pytest.fixture
def here(deploy: Deploy) -> Deployment:
    """A row of each kind, an object of each kind, and a value that is in its row."""
    made = deploy()
    made.push(run="old", age=40 * DAY, object_age=40 * DAY)
    made.push(run="new")
    made.push("lost", key=f"{made.prefix}/lost/r1/load/{uuid4()}")
    made.add_row("far", "r1", f"s3://aws_default@elsewhere/xcom/far/r1/load/{uuid4()}")
    made.add_row("small", "r1", {"text": HELD})
    made.upload(run="gone", age=DAY * 2)
    made.upload(run="just now")
    made.upload(key=f"{made.prefix}/README.txt")
    made.settle()
    return made


def asked(file: Path, statement: str) -> list[tuple[Any, ...]]:
    """What DuckDB itself reads from a file."""
    with duckdb.connect(str(file), read_only=True) as database:
        return database.execute(statement).fetchall()


def test_an_older_duckdb_reads_the_file(xcomctl: Command, here: Deployment) -> None:
    """Its form is not that of whatever release wrote it, and it is whole without a log beside it."""
    done = xcomctl("inventory", *here.options, "--out", "inv.duckdb")
    assert done.code == 0, done.stderr
    assert [one.name for one in xcomctl.folder.iterdir()] == ["inv.duckdb"]
    form = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'inv'"
    assert asked(xcomctl.folder / "inv.duckdb", form) == [("v1.2.0+",)]


def test_totals_in_every_format(xcomctl: Command, here: Deployment) -> None:
    """One record per state of rows and of objects, a document with what it is of; nothing is changed."""
    before = here.state()
    options = ("inventory", *here.options, "--older-than", "30d", "--out", "inv.duckdb")
    done = xcomctl(*options, "-o", "json")
    assert (done.code, here.state()) == (0, before), done.stderr
    document = json.loads(done.stdout)
    assert list(document) == [
        *(
            "schema",
            "path",
            "created_at",
            "objects_at",
            "cutoff",
            "roots",
            "database",
            "shard",
            "complete",
            "options",
            "totals",
        )
    ]
    assert (document["schema"], document["path"], document["roots"], document["complete"]) == (
        "xcomctl.inventory/1",
        "inv.duckdb",
        [here.root],
        True,
    )
    totals = {(one["what"], one["state"]): (one["count"], one["bytes"]) for one in document["totals"]}
    assert {key: count for key, (count, _) in totals.items()} == {
        ("objects", "expired"): 1,
        ("objects", "foreign"): 1,
        ("objects", "live"): 1,
        ("objects", "orphaned"): 1,
        ("objects", "recent"): 1,
        ("rows", "dangling"): 1,
        ("rows", "inline"): 1,
        ("rows", "live"): 2,
        ("rows", "unresolved"): 1,
    }
    assert totals["objects", "orphaned"] == (1, 11)
    table = csv.DictReader(StringIO(xcomctl(*options, "-o", "csv").stdout, newline=""))
    assert ([(row["what"], row["state"]) for row in table], table.fieldnames) == (
        list(totals),
        ["what", "state", "count", "bytes"],
    )
    people = xcomctl(*options)
    assert people.stdout.splitlines()[0].split() == ["WHAT", "STATE", "COUNT", "SIZE"]
    assert people.stderr.splitlines() == [
        "note: the inventory is in inv.duckdb",
        "hint: xcomctl sql --inventory inv.duckdb STATEMENT",
    ]


def test_the_file_has_the_documented_tables_and_no_value(xcomctl: Command, here: Deployment) -> None:
    """Tables and columns are those that are listed; what a row holds is in no column, and not in the file."""
    assert xcomctl("inventory", *here.options, "--out", "inv.duckdb").code == 0
    file = xcomctl.folder / "inv.duckdb"
    columns = asked(
        file, "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE NOT internal"
    )
    assert sorted(columns) == sorted(
        (table, column.name, column.type) for table, members in TABLES.items() for column in members
    )
    assert HELD.encode() not in file.read_bytes()
    assert [path.name for path in xcomctl.folder.iterdir()] == ["inv.duckdb"]


def test_entries_say_where_each_value_is_and_whether_it_expires(xcomctl: Command, here: Deployment) -> None:
    """One line a row, with the object that it references."""
    assert xcomctl("inventory", *here.options, "--older-than", "30d", "--out", "inv.duckdb").code == 0
    entries = asked(
        xcomctl.folder / "inv.duckdb",
        "SELECT dag_id, run_id, state, expires, objects, object_size, size = coalesce(object_size, row_size),"
        " uri IS NULL FROM entries ORDER BY ALL",
    )
    assert entries == [
        ("etl", "new", "live", False, 1, 11, True, False),
        ("etl", "old", "live", True, 1, 11, True, False),
        ("far", "r1", "unresolved", False, 0, None, True, False),
        ("lost", "r1", "dangling", False, 0, None, True, False),
        ("small", "r1", "inline", False, 0, None, True, True),
    ]


WORLDS = ("2.11.2-commonio-gz-sqlite", "2.11.2-naive-sqlite", "3.3.2-commonio-sqlite")


@pytest.mark.parametrize("name", WORLDS)
def test_entries_agree_with_ls(xcomctl: Command, world: Callable[..., World], name: str) -> None:
    """On what Airflow wrote, `entries` names the objects that `ls` names, with their sizes."""
    here = world(name)
    options = connection(here, str(here.root))
    listed = xcomctl("ls", *options, "--limit", "0", "--all-attempts", "-o", "ndjson")
    expected = sorted(_entries(listed.stdout), key=str)
    assert xcomctl("inventory", *options, "--out", "inv.duckdb").code == 0
    found = asked(
        xcomctl.folder / "inv.duckdb",
        "SELECT dag_id, run_id, task_id, map_index, key, size, CASE WHEN state = 'live' THEN uri END FROM entries",
    )
    assert sorted(found, key=str) == expected


def _entries(lines: str) -> Iterator[tuple[Any, ...]]:
    for line in lines.splitlines():
        row = json.loads(line)
        place = (row[name] for name in ("dag_id", "run_id", "task_id", "map_index", "key", "size"))
        yield (*place, row["uri"] if row["lives"] == "s3" else None)


def test_an_inventory_is_replaced_and_nothing_else_is(xcomctl: Command, here: Deployment) -> None:
    """A file that is no inventory is refused before anything is read, and is as it was."""
    options = ("inventory", *here.options, "--out")
    assert [xcomctl(*options, "inv.duckdb").code for _ in range(2)] == [0, 0]
    (xcomctl.folder / "notes.txt").write_text("mine")
    with duckdb.connect(str(xcomctl.folder / "other.duckdb")) as other:
        other.execute("CREATE TABLE mine AS SELECT 1 AS about")
    for name in ("notes.txt", "other.duckdb"):
        done = xcomctl(*options, name)
        assert (done.code, done.stdout) == (2, "")
        assert done.stderr == (
            f"error: {name} exists and is no inventory of xcomctl that could be replaced\n"
            "hint: give --out another path, or remove it first\n"
        )
    assert (xcomctl.folder / "notes.txt").read_text() == "mine"
    assert asked(xcomctl.folder / "other.duckdb", "FROM mine") == [(1,)]
    for name, hint in (
        ("nowhere/inv.duckdb", "mkdir -p nowhere"),
        ("s3://bucket/inv.duckdb", "--out inv.duckdb"),
    ):
        done = xcomctl(*options, name)
        assert (done.code, done.stderr.splitlines()[-1]) == (2, f"hint: {hint}")


def test_a_failure_leaves_what_was_there(xcomctl: Command, here: Deployment) -> None:
    """A store that cannot be listed is an error; the inventory of before is whole, and no part lies beside it."""
    options = ("inventory", *here.options, "--out", "inv.duckdb")
    assert xcomctl(*options).code == 0
    before = (xcomctl.folder / "inv.duckdb").read_bytes()
    failed = xcomctl(*options, "--store", f"s3://{here.bucket}-absent/x")
    assert failed.code == 7
    assert [(path.name, path.read_bytes() == before) for path in xcomctl.folder.iterdir()] == [
        ("inv.duckdb", True)
    ]


def test_without_a_store_it_says_that_it_is_not_complete(xcomctl: Command, deploy: Deploy) -> None:
    """Rows alone are an inventory too, if no reference needs a store."""
    made = deploy("sqlite", "airflow-2")
    made.add_row("small", "r1", {"text": "x"})
    done = xcomctl("inventory", "--db", made.database.url, "--out", "inv.duckdb", "-o", "json")
    document = json.loads(done.stdout)
    assert (done.code, document["complete"], document["objects_at"], document["roots"]) == (
        0,
        False,
        None,
        [],
    )
    assert [(one["what"], one["state"], one["count"]) for one in document["totals"]] == [
        ("rows", "inline", 1)
    ]


def test_the_inventories_of_all_shards_are_one(xcomctl: Command, here: Deployment) -> None:
    """Each row and each object is in just one of them, judged as in the whole."""
    options = ("inventory", *here.options, "--older-than", "30d", "--out")
    parts = [("whole.duckdb",), ("1.duckdb", "--shard", "1/2"), ("2.duckdb", "--shard", "2/2")]
    assert [xcomctl(*options, *part, "--quiet").code for part in parts] == [0, 0, 0]
    for statement in (
        "SELECT uri, state, dag_id FROM objects",
        "SELECT dag_id, run_id, key, state, expires, uri FROM entries",
        "SELECT source_table, dag_id, run_id FROM rows",
    ):
        whole, *shards = (asked(xcomctl.folder / name, statement) for name, *_ in parts)
        assert sorted(map(str, whole)) == sorted(str(one) for shard in shards for one in shard)
    assert asked(xcomctl.folder / "2.duckdb", "SELECT shard, complete FROM about") == [("2/2", False)]
