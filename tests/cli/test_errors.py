"""What a user's mistake, or the world's, looks like: one line, a hint, the right exit code."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from tests.services.command import Command
from tests.services.processes import free_port
from tests.services.worlds import World

Worlds = Callable[..., World]


@pytest.mark.parametrize(
    ("arguments", "cause", "hint"),
    [
        (("--older-than", "30"), "'30' is not a duration", "write 30d for days or 30h for hours"),
        (("--older-than", "0d"), "--older-than 0d selects everything", "--older-than 30d"),
        (("--older-than", "-3d"), "'-3d' is not a duration", "write 30d, 12h or 90m"),
        (("--older-than", "999999999d"), "--older-than 999999999d is too long ago", "write 30d"),
        (("--since", "2999-01-01"), "'2999-01-01' lies in the future", "it is "),
        (("--since", "tomorrow"), "'tomorrow' is not a time", "write 2026-11-01"),
        (("--since", "1d", "--until", "2d"), "the times leave no room", "swap them"),
        (("--since", "1d", "--older-than", "2d"), "the times leave no room", "swap them"),
        (("--min-size", "big"), "'big' is not a size", "write 512, 10MB or 1.5GiB"),
        (("--columns", "dag,nope"), "there is no column 'nope'", "columns: id, dag_id, "),
        (("--template", "{nope}"), "there is no column 'nope'", "columns: id, dag_id, "),
        (
            ("--template", "{id.real}"),
            "the template's field {id.real} is not a plain name",
            "write --template",
        ),
        (("--template", "{id}", "-o", "json"), "--template goes with neither", "give one of them"),
        (("--store", "bucket/prefix"), "'bucket/prefix' is not an S3 address (--store)", "write s3://"),
        (("--limit", "-1"), "Invalid value for '--limit'", "xcomctl ls --help"),
        (("--map-index", "-2"), "Invalid value for '--map-index'", "xcomctl ls --help"),
        (("--state", "done"), "Invalid value for '--state'", "xcomctl ls --help"),
        (("--sort", "name"), "Invalid value for '--sort'", "xcomctl ls --help"),
        (("--profile", "prod"), "profile 'prod' (--profile) needs a configuration file", "--config FILE"),
        (("--config", "none.toml"), "none.toml cannot be read: No such file or directory", "give --config"),
    ],
)
def test_a_bad_option_is_a_usage_error(
    xcomctl: Command, world: Worlds, arguments: tuple[str, ...], cause: str, hint: str
) -> None:
    """Exit 2, nothing on stdout, the cause and what to write."""
    done = xcomctl("ls", "--db", world("2.11.2-default-sqlite").db_url, *arguments)
    lines = done.stderr.splitlines()
    assert (done.code, done.stdout, len(lines)) == (2, "", 2)
    assert (lines[0][: len("error: " + cause)], lines[1][: len("hint: " + hint)]) == (
        "error: " + cause,
        "hint: " + hint,
    )


def test_no_database_is_a_usage_error(xcomctl: Command) -> None:
    """The hint is a command that would work."""
    done = xcomctl("ls")
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr == (
        "error: no metadata database is given, and Airflow's settings name none\n"
        "hint: xcomctl ls --db postgresql://user@host/airflow, or set XCOMCTL_DB\n"
    )


def test_in_a_task_of_airflow_3_the_missing_database_is_explained(xcomctl: Command) -> None:
    """Airflow puts a URL there that says no."""
    done = xcomctl("ls", env={"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "airflow-db-not-allowed:///"})
    assert (done.code, "which Airflow 3 sets where tasks run" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("nonsense", 2),
        ("oracle://u:hush@h/a", 2),
        ("sqlite:////no/such/airflow.db", 6),
        ("postgresql://u:hush@127.0.0.1:{port}/a", 6),
    ],
)
def test_a_database_that_cannot_be_reached(xcomctl: Command, url: str, code: int) -> None:
    """2 for a URL that is none, 6 for one that leads nowhere; two lines, no password, no file made."""
    done = xcomctl("ls", "--db", url.format(port=free_port()))
    assert (done.code, done.stdout, len(done.stderr.splitlines())) == (code, "", 2)
    assert ("hush" in done.stderr, "Traceback" in done.stderr) == (False, False)


def test_a_database_that_is_not_airflows(xcomctl: Command) -> None:
    """Exit 6."""
    with closing(sqlite3.connect(xcomctl.folder / "other.db")) as connection, connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    done = xcomctl("ls", "--db", f"sqlite:///{xcomctl.folder / 'other.db'}")
    assert (done.code, done.stdout, done.stderr.startswith("error: ")) == (6, "", True)


def test_a_wrong_password(xcomctl: Command, postgres_database: str) -> None:
    """Exit 6, and it is not repeated. (A server that trusts everybody lets it pass.)"""
    scheme, _, rest = postgres_database.partition("://")
    done = xcomctl("ls", "--db", f"{scheme}://nobody-there:hush@{rest.rpartition('@')[2]}")
    assert (done.code, "hush" in done.stderr, "Traceback" in done.stderr) == (6, False, False)


@pytest.mark.parametrize("place", ["dead endpoint", "no such bucket", "wrong secret"])
def test_without_s3_ls_still_lists_and_says_what_is_missing(
    xcomctl: Command, world: Worlds, place: str
) -> None:
    """Exit 0: all rows, no sizes of objects, and the cause once."""
    there = world("3.3.2-commonio-sqlite")
    env = {"AWS_MAX_ATTEMPTS": "1"}
    if place == "dead endpoint":
        env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{free_port()}"
    elif place == "wrong secret":
        env["AWS_SECRET_ACCESS_KEY"] = "wrong"  # noqa: S105 - a wrong one
    else:
        path = there.db_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE xcom SET value = replace(value, '@xcoms/', '@gone/')")
    done = xcomctl("ls", "--db", there.db_url, "--limit", "0", "-o", "json", env=env)
    objects = [record for record in json.loads(done.stdout) if record["lives"] != "database"]
    assert (done.code, len(objects) > 20) == (0, True)
    assert {(record["lives"], record["size"]) for record in objects} == {("s3", None)}
    assert done.stderr.startswith("note: sizes are incomplete: ")
    assert done.stderr.count("note: ") == 1
