"""`xcomctl ls` on databases and buckets that real Airflow releases wrote."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.services.command import Command
from tests.services.worlds import World

Worlds = Callable[..., World]

COMMONIO = "3.3.2-commonio-sqlite"
NAIVE = "2.5.0-naive-sqlite"
PLAIN = "2.11.2-default-sqlite"


@pytest.fixture
def ls(xcomctl: Command, world: Worlds) -> Callable[..., list[dict[str, Any]]]:
    """`ls -o json` of a world's database without S3, as a list; it must succeed and say nothing."""

    def run(name: str, *arguments: str) -> list[dict[str, Any]]:
        url = world(name, store=False).db_url
        done = xcomctl("ls", "--no-stat", "--limit", "0", "-o", "json", "--db", url, *arguments)
        assert (done.code, done.stderr) == (0, "")
        records: list[dict[str, Any]] = json.loads(done.stdout)
        return records

    return run


def database(url: str) -> Path:
    """The file behind the URL of a SQLite database."""
    return Path(url.removeprefix("sqlite:///"))


def execute(url: str, statement: str, *values: object) -> None:
    """Change a SQLite database as somebody else would."""
    with closing(sqlite3.connect(database(url))) as connection, connection:
        connection.execute(statement, values)


def test_every_row_is_listed_newest_first(ls: Callable[..., list[dict[str, Any]]], world: Worlds) -> None:
    """As many as the table has, by the time at which they were written."""
    records = ls(COMMONIO)
    with closing(sqlite3.connect(database(world(COMMONIO, store=False).db_url))) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM xcom")
    written = [record["written_at"] for record in records]
    assert (len(records), written) == (count, sorted(written, reverse=True))
    assert len({record["id"] for record in records}) == count


def test_a_record_has_every_member_that_machines_need(ls: Callable[..., list[dict[str, Any]]]) -> None:
    """An inline value: its size is that of the row, and it has no object."""
    (record,) = ls(COMMONIO, "--dag", "xt_mapped", "--run", "mapped_run_1", "--task", "total")
    assert record == {
        "id": "3-7f5d61",
        "dag_id": "xt_mapped",
        "run_id": "mapped_run_1",
        "task_id": "total",
        "map_index": -1,
        "key": "return_value",
        "written_at": "2026-11-22T08:09:30Z",
        "size": 4,
        "type": "int",
        "lives": "database",
        "ref": "xt_mapped/mapped_run_1/total:return_value",
        "uri": None,
        "dialect": None,
        "run_state": "success",
        "try_number": None,
        "superseded": False,
    }


def test_sizes_of_objects_are_the_stores(xcomctl: Command, world: Worlds) -> None:
    """Each as large as the object that its reference names; nothing is missing."""
    there = world(COMMONIO)
    done = xcomctl("ls", "--limit", "0", "-o", "json", "--db", there.db_url)
    records = [record for record in json.loads(done.stdout) if record["lives"] != "database"]
    found = {record["uri"]: (record["lives"], record["size"], record["type"]) for record in records}
    keys = {record["uri"]: record["uri"].removeprefix(f"s3://{there.bucket}/") for record in records}
    assert found == {uri: ("s3", len(there.payload(key)), "json") for uri, key in keys.items()}
    assert (done.code, done.stderr, len(found)) == (0, "", len(there.keys) - 2)


def test_references_without_a_bucket_need_a_store(xcomctl: Command, world: Worlds) -> None:
    """Without `--store` they are listed and told; with it they have sizes."""
    there = world(NAIVE)
    query = ("ls", "-o", "json", "--db", there.db_url, "--task", "push_df")
    without, given = xcomctl(*query), xcomctl(*query, "--store", str(there.root))
    assert [(r["lives"], r["size"], r["uri"]) for r in json.loads(without.stdout)] == [
        ("unresolved", None, None)
    ] * 2
    assert without.stderr == (
        "note: 2 references do not say in which bucket they are\nhint: --store s3://bucket/prefix\n"
    )
    records = json.loads(given.stdout)
    assert [(r["lives"], r["type"]) for r in records] == [("s3", "csv")] * 2
    assert [r["size"] for r in records] == [
        len(there.payload(r["uri"][len("s3://xcoms/") :])) for r in records
    ]


def test_an_object_that_is_gone_is_missing(xcomctl: Command, world: Worlds) -> None:
    """Only if the store says so; text that merely looks like a reference stays text."""
    there = world(COMMONIO)
    lost = "s3://aws_default@xcoms/airflow-3.3.2/d/r/t/00000000-0000-4000-8000-000000000000"
    for task, value in (("push_int", lost), ("push_str", "s3://xcoms/notes/report.txt")):
        execute(there.db_url, "UPDATE xcom SET value = ? WHERE task_id = ?", json.dumps(value), task)
    done = xcomctl("ls", "-o", "json", "--db", there.db_url, "--run", "types_run_1", "--task", "push_[is]*")
    found = {r["task_id"]: (r["lives"], r["size"], r["type"]) for r in json.loads(done.stdout)}
    assert found["push_int"] == ("missing", None, "json")
    assert found["push_str"] == ("database", len('"s3://xcoms/notes/report.txt"'), "str")


def test_a_reference_inside_a_value_leaves_the_value_in_the_database(
    ls: Callable[..., list[dict[str, Any]]], world: Worlds
) -> None:
    """A dict that mentions an object is a dict; a dict that is a reference of ours names its object and size."""
    uri = "s3://xcoms/p/d/r/t/-1/return_value/c3ca810c-6517-4eed-b55c-db45a6d67dfc.parquet"
    values = {
        "push_int": {"report": "s3://xcoms/report.csv", "rows": 3},
        "push_str": {"__xcomctl__": 1, "uri": uri, "codec": "parquet", "size": 12345, "sha256": "0" * 64},
    }
    url = world(COMMONIO, store=False).db_url
    for task, value in values.items():
        execute(url, "UPDATE xcom SET value = ? WHERE task_id = ?", json.dumps(value), task)
    records = ls(COMMONIO, "--run", "types_run_1", "--task", "push_[is]*")
    found = {r["task_id"]: (r["lives"], r["size"], r["type"], r["uri"]) for r in records}
    assert found["push_int"][::3] == ("database", None)
    assert found["push_int"][2] == "dict"
    assert found["push_str"] == ("s3", 12345, "parquet", uri)


def test_types_of_inline_values(ls: Callable[..., list[dict[str, Any]]], world: Worlds) -> None:
    """Python's names for JSON, the class of what Airflow serialised, and pickles as what they are."""
    serialised = '{"__classname__": "pandas.DataFrame", "__version__": 1, "__data__": "50415231"}'
    url = world(COMMONIO, store=False).db_url
    execute(url, "UPDATE xcom SET value = ? WHERE task_id = 'push_datetime'", serialised)
    json_types = {(r["task_id"], r["key"]): r["type"] for r in ls(COMMONIO, "--run", "types_run_1")}
    assert [
        json_types[task, "return_value"] for task in ("push_int", "push_float", "push_bool", "push_str")
    ] == [
        "int",
        "float",
        "bool",
        "str",
    ]
    assert json_types["push_datetime", "return_value"] == "pandas.DataFrame"
    assert json_types["push_none_explicit", "explicit_none"] == "None"
    assert {r["type"] for r in ls("2.5.0-pickle-sqlite")} == {"pickle"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--dag", "xt_mapped"), {"xt_mapped"}),
        (("--dag", "xt_m*"), {"xt_mapped"}),
        (("--dag", "XT_*"), set()),
        (("--state", "failed"), {"xt_fail"}),
        (("--map-index", "2"), {"xt_mapped"}),
        (("--key", "same"), {"xt_repush"}),
        (("--run", "ok_run", "--task", "push*"), {"xt_fail"}),
        (("--until", "2026-01-01"), set()),
    ],
)
def test_selections(xcomctl: Command, world: Worlds, arguments: tuple[str, ...], expected: set[str]) -> None:
    """By globs on the coordinates, state of the run, map index and time; nothing found is no error."""
    url = world(COMMONIO, store=False).db_url
    done = xcomctl("ls", "--no-stat", "--limit", "0", "-o", "ndjson", "--db", url, *arguments)
    assert {json.loads(line)["dag_id"] for line in done.stdout.splitlines()} == expected
    assert (done.code, done.stderr) == (0, "" if expected else "note: no XCom matches\n")


def test_orders(ls: Callable[..., list[dict[str, Any]]]) -> None:
    """Names from a to z, sizes from the largest, unknown ones last."""
    for sort, member in (("dag", "dag_id"), ("run", "run_id"), ("task", "task_id"), ("key", "key")):
        names = [record[member] for record in ls(COMMONIO, "--sort", sort)]
        assert (sort, names) == (sort, sorted(names))
    sizes = [-1 if r["size"] is None else r["size"] for r in ls(COMMONIO, "--sort", "size")]
    assert (sizes, sizes[-1]) == (sorted(sizes, reverse=True), -1)


def test_the_largest_of_all_come_first_with_a_limit(xcomctl: Command, world: Worlds) -> None:
    """The limit cuts after sorting, and the sizes are the store's."""
    there = world(COMMONIO)
    done = xcomctl("ls", "--sort", "size", "--limit", "2", "-o", "json", "--db", there.db_url)
    largest = sorted((len(there.payload(key)) for key in there.keys), reverse=True)
    assert [record["size"] for record in json.loads(done.stdout)] == largest[:2]
    assert "note: there are more than the 2 shown\n" in done.stderr


def test_min_size_asks_the_store_and_tells_what_it_cannot_know(xcomctl: Command, world: Worlds) -> None:
    """With S3 everything of that size is found; without, unknown ones are left out and counted."""
    there = world(COMMONIO)
    query = ("ls", "--min-size", "2KB", "--limit", "0", "-o", "json", "--db", there.db_url)
    stat, no_stat = xcomctl(*query), xcomctl(*query, "--no-stat")
    records = json.loads(stat.stdout)
    assert (min(record["size"] for record in records) >= 2000, stat.stderr) == (True, "")
    assert len(records) == sum(len(there.payload(key)) >= 2000 for key in _referenced(there))
    assert json.loads(no_stat.stdout) == []
    assert no_stat.stderr.startswith("note: no XCom matches\nnote: ")
    assert no_stat.stderr.endswith(" are left out because their size is unknown\n")


def _referenced(there: World) -> list[str]:
    orphaned = {item if isinstance(item, str) else item["key"] for item in there.truth["unreferenced_live"]}
    return [key for key in there.keys if key not in orphaned and f"{there.bucket}/{key}" not in orphaned]


def test_the_default_limit_is_told_when_it_cuts(xcomctl: Command, world: Worlds) -> None:
    """50 rows; stderr says that there are more, and how to see them; -q does not."""
    url = world(COMMONIO, store=False).db_url
    done = xcomctl("ls", "--no-stat", "--db", url)
    quiet = xcomctl("ls", "--no-stat", "--db", url, "-q")
    assert (done.code, len(done.stdout.splitlines())) == (0, 51)
    assert done.stderr == (
        "note: there are more than the 50 shown\nhint: --limit 0 for all, or narrow it down\n"
    )
    assert (quiet.stdout, quiet.stderr) == (done.stdout, "")


def test_earlier_attempts_are_listed_when_asked_for(ls: Callable[..., list[dict[str, Any]]]) -> None:
    """Airflow 3.4 keeps the XComs of every try; those of the current one are the usual listing."""
    current = ls("3.4.0b2-commonio-sqlite")
    every = ls("3.4.0b2-commonio-sqlite", "--all-attempts")
    assert {record["superseded"] for record in current} == {False}
    assert [record["id"] for record in every if not record["superseded"]] == [r["id"] for r in current]
    assert {record["dag_id"] for record in every if record["superseded"]} == {"xt_retry"}


def test_a_table_on_a_terminal_fits_it(xcomctl: Command, world: Worlds) -> None:
    """80 columns: no line is longer, ids, ages and sizes are whole, mapped tasks show their index."""
    url = world(COMMONIO, store=False).db_url
    done = xcomctl.on_terminal("ls", "--no-stat", "--dag", "xt_mapped", "--db", url, env={"NO_COLOR": "1"})
    lines = re.sub("\x1b\\[[0-9;]*m", "", done.stdout).splitlines()
    assert [line for line in lines if len(line) > 80] == []
    assert lines[0].split() == ["ID", "DAG", "RUN", "TASK", "KEY", "AGE", "SIZE", "TYPE", "LIVES"]
    ids = {line.split()[0] for line in lines[1:]}
    assert {re.fullmatch(r"\d+-[0-9a-f]{6}", short) is not None for short in ids} == {True}
    assert any("times[2]" in line for line in lines)


def test_a_table_in_a_pipe_is_whole_and_has_no_escapes(xcomctl: Command, world: Worlds) -> None:
    """What a program reads is never cut."""
    url = world(COMMONIO, store=False).db_url
    done = xcomctl("ls", "--no-stat", "--dag", "xt_repush", "--db", url, env={"COLUMNS": "40"})
    assert "manual__2024-03-01T00:00:00+00:00" in done.stdout
    assert ("…" in done.stdout, "\x1b" in done.stdout) == (False, False)


def test_terminal_escapes_in_names_are_written_out(xcomctl: Command, world: Worlds) -> None:
    """A key with an escape sequence neither clears a screen nor breaks a line."""
    url = world(PLAIN).db_url
    execute(url, "UPDATE xcom SET key = ? WHERE task_id = 'push_int'", "a\x1b[2J\nb[red]")
    for done in (
        xcomctl("ls", "--task", "push_int", "--db", url, "--columns", "key"),
        xcomctl.on_terminal("ls", "--task", "push_int", "--db", url, "--template", "{key}"),
    ):
        assert done.stdout.splitlines()[-1] == r"a\x1b[2J\nb[red]"


def test_the_formats_agree(xcomctl: Command, world: Worlds) -> None:
    """The same columns and rows as JSON, NDJSON, CSV, and by a template."""
    query = ("ls", "--db", world(PLAIN).db_url, "--dag", "xt_mapped")
    columns = ("--columns", "id,map_index,size,run_state")
    as_json = json.loads(xcomctl(*query, *columns, "-o", "json").stdout)
    as_lines = [json.loads(line) for line in xcomctl(*query, *columns, "-o", "ndjson").stdout.splitlines()]
    text = xcomctl(*query, *columns, "-o", "csv").stdout
    as_csv = list(csv.DictReader(io.StringIO(text, newline="")))
    templated = xcomctl(*query, "--template", "{id} {map_index} {size} {run_state}").stdout.splitlines()
    assert (as_json != [], as_lines) == (True, as_json)
    assert as_csv == [{name: str(value) for name, value in record.items()} for record in as_json]
    assert templated == [" ".join(record.values()) for record in as_csv]
    assert text.startswith("id,map_index,size,run_state\r\n")


def test_an_empty_listing_is_a_document_of_its_format(xcomctl: Command, world: Worlds) -> None:
    """No rows: nothing, an empty list, nothing, the head."""
    query = ("ls", "--db", world(PLAIN).db_url, "--dag", "none_*", "--columns", "id", "-q", "-o")
    written = [xcomctl(*query, output).stdout for output in ("table", "json", "ndjson", "csv")]
    assert written == ["", "[]\n", "", "id\r\n"]


def test_a_dag_that_does_not_exist_is_an_error_with_near_matches(xcomctl: Command, world: Worlds) -> None:
    """A misspelt name must not look like an empty result; a run likewise."""
    url = world(COMMONIO, store=False).db_url
    dag = xcomctl("ls", "--db", url, "--dag", "xt_maped")
    run = xcomctl("ls", "--db", url, "--dag", "xt_fail", "--run", "ok_rum")
    assert (dag.code, dag.stderr) == (
        1,
        "error: there is no DAG 'xt_maped' in the database\nhint: did you mean xt_mapped?\n",
    )
    assert (run.code, run.stderr) == (
        1,
        "error: no run 'ok_rum' of 'xt_fail' has XComs\nhint: did you mean ok_run?\n",
    )


def test_verbose_tells_the_database(xcomctl: Command, world: Worlds) -> None:
    """Which one was read, without a password."""
    url = world(PLAIN).db_url
    done = (
        xcomctl("ls", "-v", "--limit", "1", "-q", "--db", url),
        xcomctl("ls", "-v", "--limit", "0", "--db", url),
    )
    assert [run.stderr.startswith("database: sqlite:///") for run in done] == [False, True]
