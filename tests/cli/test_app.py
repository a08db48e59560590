"""The frame of the command line: help, versions, errors, exit codes, and what a start may load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from tests.services.command import COMMAND, Command
from tests.services.worlds import World
from xcomctl import __version__, errors
from xcomctl.cli.app import EXIT_CODES, app

VERBS = (
    *(
        "ls",
        "show",
        "diff",
        "fsck",
        "du",
        "explain",
        "inventory",
        "sql",
        "gc",
        "rm",
        "plan",
        "plan show",
        "apply",
        "policy check",
        "log",
        "undo",
    ),
    *(
        "trash",
        "trash ls",
        "backup",
        "backup verify",
        "restore",
        "demo",
        "doctor",
        "completion",
        "config",
        "config show",
    ),
)
HEAVY = frozenset(
    {
        *("pandas", "pyarrow", "duckdb", "boto3", "botocore", "sqlalchemy", "numpy", "pydantic"),
        "adbc_driver_manager",
    }
)

Worlds = Callable[..., World]


def test_version(xcomctl: Command) -> None:
    """`--version` names the program and its version."""
    done = xcomctl("--version")
    assert (done.code, done.stdout, done.stderr) == (0, f"xcomctl {__version__}\n", "")


def test_help_lists_the_verbs_and_no_shell_completion(xcomctl: Command) -> None:
    """Completion is a verb of its own; typer's options for it are gone."""
    done = xcomctl("--help")
    assert done.code == 0
    assert [verb for verb in VERBS if f" {verb.split()[0]} " not in done.stdout] == []
    assert "-completion" not in done.stdout
    assert xcomctl("--show-completion", "bash").code == 2


def test_a_line_of_the_list_is_what_the_verb_says_of_itself() -> None:
    """The list is known without importing a verb: it says what the help of the verb begins with."""
    root: Any = get_command(app)
    context = typer.Context(root)
    lines = {name: command.short_help for name, command in root.commands.items()}
    # These do something alone, too, and say so in their help.
    del lines["plan"], lines["backup"]
    said = {name: root.resolve_command(context, [name])[1].help.partition("\n\n")[0] for name in lines}
    assert lines == said


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_every_help_lists_every_exit_code(xcomctl: Command, verb: str) -> None:
    """With their meaning, from the one mapping."""
    done = xcomctl(*verb.split(), "--help", env={"COLUMNS": "300"})
    assert [code for code, meaning in EXIT_CODES.items() if f"{code} {meaning}" not in done.stdout] == []


@pytest.mark.parametrize("words", [(), ("config",)])
def test_a_missing_verb_shows_the_help_and_is_a_usage_error(xcomctl: Command, words: tuple[str, ...]) -> None:
    """A script with an empty verb must not go on."""
    done = xcomctl(*words)
    assert (done.code, "Usage: xcomctl" in done.stdout, done.stderr) == (2, True, "")


@pytest.mark.parametrize(
    ("words", "cause", "hint"),
    [
        (("frobnicate",), "No such command 'frobnicate'.", "xcomctl --help"),
        (("ls", "--frobnicate"), "No such option: --frobnicate", "xcomctl ls --help"),
        (("ls", "--limit", "x"), "Invalid value for '--limit'", "xcomctl ls --help"),
        (("ls", "-o", "yaml"), "Invalid value for '-o' / '--output': 'yaml' is not one", "xcomctl ls --help"),
        (("--db", "x", "ls"), "No such option: --db", "xcomctl --help"),
    ],
)
def test_a_wrong_word_is_a_usage_error_in_two_lines(
    xcomctl: Command, words: tuple[str, ...], cause: str, hint: str
) -> None:
    """Exit 2, the cause, and where the right words are listed."""
    done = xcomctl(*words)
    lines = done.stderr.splitlines()
    assert (done.code, done.stdout, len(lines)) == (2, "", 2)
    assert lines[0].startswith(f"error: {cause}")
    assert lines[1] == f"hint: {hint}"


def ending(raised: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with a verb `boom` that ends with the exception `raised`."""
    program = (
        "import sys; from xcomctl import errors; from xcomctl.cli.app import app, main\n"
        f"def boom(debug: bool = False) -> None: raise {raised}\n"
        "app.command('boom')(boom); main(sys.argv[1:])"
    )
    return subprocess.run(
        [sys.executable, "-c", program, "boom", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kind", [errors.XcomctlError, *errors.XcomctlError.__subclasses__()])
def test_every_error_ends_with_its_documented_code(kind: type[errors.XcomctlError]) -> None:
    """Cause and hint on a line each, whatever they contain, and a code that the help lists."""
    done = ending(f"errors.{kind.__name__}('the \\x1b[31m cause\\nof it', hint='type this')")
    assert kind.exit_code in EXIT_CODES
    assert (done.returncode, done.stdout) == (kind.exit_code, "")
    assert done.stderr == "error: the \\x1b[31m cause of it\nhint: type this\n"


def test_the_codes_of_the_errors_are_the_documented_ones() -> None:
    """1 failed, 2 usage, 3 in part, 5 refused, 6 database, 7 store."""
    found = {kind.__name__: kind.exit_code for kind in errors.XcomctlError.__subclasses__()}
    assert found == {
        "UsageError": 2,
        "NotFoundError": 1,
        "UnreadableError": 1,
        "PartialError": 3,
        "RefusedError": 5,
        "SourceError": 6,
        "StoreError": 7,
    }


def test_a_traceback_needs_debug() -> None:
    """An error of ours is a line without it, and comes with the traceback with it."""
    plain, debug = ending("errors.UsageError('no')"), ending("errors.UsageError('no')", "--debug")
    assert plain.stderr == "error: no\n"
    assert debug.stderr.startswith("Traceback")
    assert debug.stderr.endswith("error: no\n")
    hostile = ending("KeyError('\\x1b]0;owned\\x07\\u202e')", "--debug").stderr
    assert hostile.startswith("Traceback (most recent call last):\n  File ")
    assert [char for char in "\x1b\x07\u202e" if char in hostile] == []
    text = ending("errors.UsageError('line\\x1b[2Knothing happened')", "--debug").stderr
    assert "xcomctl.errors.UsageError: line\\x1b[2Knothing happened\n" in text


def test_an_unexpected_exception_is_one_line_too() -> None:
    """Exit 1, what it was, and how to see more."""
    done = ending("KeyError('x')")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "error: unexpected KeyError: 'x'",
        "hint: run it again with --debug for the traceback, and please report it",
    ]


def test_a_reader_who_leaves_ends_the_listing_quietly(xcomctl: Command, world: Worlds) -> None:
    """As in `xcomctl ls | head`: nothing on stderr."""
    ours, theirs = os.pipe()
    os.close(ours)
    done = subprocess.run(
        [*COMMAND, "ls", "--no-stat", "-o", "ndjson", "--db", world("2.5.0-default-sqlite").db_url],
        cwd=xcomctl.folder,
        env=xcomctl.environment(),
        stdout=theirs,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, b"")


def test_an_interrupt_ends_with_130(xcomctl: Command) -> None:
    """Control-C while a command of Airflow's settings runs: no traceback."""
    started = xcomctl.folder / "started"
    wait = f"{sys.executable} -c 'import pathlib, time; pathlib.Path(\"{started}\").touch(); time.sleep(60)'"
    with subprocess.Popen(
        [*COMMAND, "ls"],
        cwd=xcomctl.folder,
        env=xcomctl.environment({"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": wait}),
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 30
        while not started.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, b"Traceback" in stderr) == (130, False)


def loaded(xcomctl: Command, *arguments: str) -> set[str]:
    """The heavy packages that a run of the command loads."""
    program = (
        "import sys; from xcomctl.cli.app import main\n"
        "try: main(sys.argv[1:])\n"
        f"finally: print('loaded', *({set(HEAVY)!r} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=xcomctl.folder,
        env=xcomctl.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.splitlines()[-1].split()
    assert (done.returncode, last[:1]) == (0, ["loaded"]), done.stderr
    return set(last[1:])


LIGHT = ("--help", *(f"{verb} --help" for verb in VERBS), "config show")

_LOADED_BY_EACH = f"""
import io, json, os, sys
from xcomctl.cli.app import main
assert not {set(HEAVY)!r} & set(sys.modules)
for words in json.loads(sys.argv[1]):
    reader, writer = os.pipe()
    if os.fork() == 0:
        sys.stdout = io.StringIO()
        try: main(words.split())
        except SystemExit as ended: code = ended.code
        os.write(writer, json.dumps([words, code, *({set(HEAVY)!r} & set(sys.modules))]).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as said: print(said.read(), flush=True)
    os.wait()
"""
"""One process for all: each run begins in a child where a start would have come to the words."""


@pytest.fixture(scope="module")
def loaded_by_each(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    """For each of the LIGHT words: the exit code, and the heavy packages that were loaded."""
    command = Command(tmp_path_factory.mktemp("home"))
    done = subprocess.run(
        [sys.executable, "-c", _LOADED_BY_EACH, json.dumps(LIGHT)],
        cwd=command.folder,
        env=command.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return {words: found for words, *found in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("words", LIGHT)
def test_help_loads_nothing_heavy(loaded_by_each: dict[str, list[object]], words: str) -> None:
    """No help, and not `config show`, loads a package of data or a client."""
    assert loaded_by_each[words] == [0]


def test_ls_loads_what_it_asks(xcomctl: Command, world: Worlds) -> None:
    """The database's driver; botocore only where the size of an object is asked for."""
    inline = ("ls", "--db", world("2.5.0-default-sqlite").db_url)
    objects = ("ls", "--db", world("3.3.2-commonio-sqlite").db_url)
    assert loaded(xcomctl, *inline) == {"sqlalchemy"}
    assert loaded(xcomctl, *objects, "--no-stat") == {"sqlalchemy"}
    assert loaded(xcomctl, *objects) == {"sqlalchemy", "botocore"}


def test_encodings_without_a_character_do_not_end_the_output(xcomctl: Command, tmp_path: Path) -> None:
    """On a terminal that only has ASCII, what it lacks is written as an escape."""
    settings = tmp_path / "é.toml"
    settings.write_text("")
    done = xcomctl("config", "show", "--config", str(settings), env={"PYTHONIOENCODING": "ascii"})
    assert (done.code, "\\xe9.toml" in done.stdout) == (0, True)
