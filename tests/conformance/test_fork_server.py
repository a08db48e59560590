"""A command that the fork server runs is what a new process is: each verb once in both ways, and the process itself."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from tests.docs.commands import verbs
from tests.services.command import Command, Result
from tests.services.deployment import DAY, NO_WAIT, Deploy, Deployment
from tests.services.fork_client import ForkServer
from tests.services.processes import alive, until
from tests.services.sweeps import sweep

GC = ("gc", *NO_WAIT, "--older-than", "30d", "--yes")
PLAN = ("plan", *NO_WAIT, "--older-than", "30d", "--out", "plan.json")

VERB_LINES: dict[str, tuple[tuple[str, ...], ...]] = {
    "ls": (("ls",),),
    "show": (("show", "etl/new/load"),),
    "diff": (("diff", "etl/old/load", "etl/new/load"),),
    "fsck": (("fsck", *NO_WAIT),),
    "du": (("du",),),
    "explain": (("explain", "etl/old/load", "--older-than", "30d"),),
    "inventory": (("inventory", "--out", "inventory.duckdb"),),
    "sql": (("sql", "select count(*), sum(size) from objects"),),
    "report": (("report", "--out", "report.html"),),
    "gc": (GC,),
    "rm": (("rm", "etl/old/load", "--yes"),),
    "plan": (PLAN,),
    "plan show": (PLAN, ("plan", "show", "plan.json")),
    "apply": (PLAN, ("apply", "plan.json", "--yes")),
    "policy check": (("policy", "check", "policy.toml"),),
    "log": (GC, ("log",)),
    "undo": (GC, ("undo", "OPERATION", "--yes")),
    "trash ls": (GC, ("trash", "ls")),
    "trash restore": (GC, ("trash", "restore", "--operation", "OPERATION")),
    "trash purge": (GC, ("trash", "purge", "--older-than", "0s", "--yes")),
    "backup": (("backup", "--to", "backups"),),
    "backup ls": (("backup", "--to", "backups"), ("backup", "ls", "backups")),
    "backup verify": (("backup", "--to", "backups"), ("backup", "verify", "backups")),
    "restore": (("backup", "--to", "backups"), GC, ("restore", "backups", "--yes")),
    "doctor": (("doctor",),),
    "completion": (("completion", "bash"),),
    "config show": (("config", "show"),),
    "--help": (("--help",),),
    "--version": (("--version",),),
    "frobnicate": (("frobnicate",),),
}
"""What is run for each verb: the last line is compared, those before it make what it needs.

The tour of `demo` starts commands of its own and is run as a new process by tests/e2e/test_demo.py.
"""

WITHOUT_CONNECTION = ("--help", "--version", "frobnicate", "completion", "plan show")

CHANGING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}|\d{8}T\d{6}Z-[0-9a-f]+|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?"
    r"|\b\d+-[0-9a-f]{6}\b|\b[0-9a-f]{12,}\b|\b\d+(\.\d+)? ?m?s\b|\b\d+(\.\d+)? (MB|KiB|MiB)(/s)?"
)
"""What two runs never have in common: ids, times, digests and speeds, and the size of a file of DuckDB's."""


def test_every_verb_is_compared() -> None:
    """A new verb needs a line here."""
    alone = {"policy", "trash", "config"}
    assert set(VERB_LINES) - {"--help", "--version", "frobnicate"} == set(verbs()) - alone - {"demo"}


@pytest.mark.parametrize("verb", sweep(VERB_LINES, lambda verb: verb in ("ls", "gc", "frobnicate")))
def test_a_verb_is_the_same_in_a_new_process(
    verb: str, deploy: Deploy, fork_server: ForkServer, tmp_path: Path
) -> None:
    """The same code, the same words on stdout and stderr, in equal worlds."""
    ended = []
    for name in ("forked", "newish"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "policy.toml").write_text('[[rules]]\nname = "all"\nolder_than = "30d"\n')
        here = world(deploy(prefix=f"xcom-{name}"))
        command = Command(folder, fork_server)
        *before, last = VERB_LINES[verb]
        for line in before:
            done = command(*line, *here.options)
            assert done.code == 0, done.stderr
        options = () if verb in WITHOUT_CONNECTION else here.options
        if verb == "backup ls":
            options = here.options[2:]
        words = [operation_of(command, here) if word == "OPERATION" else word for word in (*last, *options)]
        result = command(*words) if name == "forked" else command.in_new_process(*words)
        ended.append(Result(result.code, steady(result.stdout, here), steady(result.stderr, here)))
    assert ended[0] == ended[1]
    assert (ended[0].code in (0, 2, 4), "Traceback" in ended[0].stderr) == (True, False)


def world(here: Deployment) -> Deployment:
    """An expired row with its object, a live one, an orphan and a dangling row."""
    here.push(run="old", age=40 * DAY)
    here.push(run="new")
    here.push("lost", key=f"{here.prefix}/lost/r1/load/{uuid4()}")
    here.upload()
    return here


def operation_of(command: Command, here: Deployment) -> str:
    """The id of the one operation of this world."""
    [entry] = json.loads(command("log", *here.options, "-o", "json").stdout)
    return str(entry["id"])


def steady(text: str, here: Deployment) -> str:
    """A text without what differs from world to world."""
    for own, common in ((here.database.url, "DATABASE"), (here.prefix, "PREFIX")):
        text = text.replace(own, common)
    text = re.sub(r"airflow\d\.db", "airflow.db", text)
    return "\n".join(" ".join(CHANGING.sub("…", line).split()) for line in text.splitlines())


def asking(program: str) -> dict[str, str]:
    """An environment in which the command runs a program of the shell, when it wants to know its database."""
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD": shlex.join(["sh", "-c", program])}


def test_a_process_has_what_a_new_one_has(xcomctl: Command) -> None:
    """The same signals ignored and caught, the same open files, one thread, its folder, and its own group."""
    program = (
        "exec >>found; grep -E '^(SigIgn|SigCgt|Threads|Umask)' /proc/$PPID/status; ls /proc/$PPID/fd; "
        "readlink /proc/$PPID/fd/0; readlink /proc/$PPID/cwd; readlink /proc/$PPID/fd/1 | cut -d: -f1"
    )
    found = []
    for run in (xcomctl, xcomctl.in_new_process):
        assert run("ls", env=asking(program)).code == 2
        text = (xcomctl.folder / "found").read_text()
        # Of signals those that have a name: a C library with threads catches others.
        found.append(re.sub(r"(?<=:\t)\w{8}(?=\w{8}\n)", "", text).splitlines())
        (xcomctl.folder / "found").unlink()
    assert found[0] == found[1] != []
    assert "/dev/null" in found[0]


def test_a_signal_ends_it_as_it_ends_a_new_process(xcomctl: Command) -> None:
    """With the negative code that a shell would show as 128 and more; Ctrl-C is told and has a code of its own."""
    for number, code in ((signal.SIGKILL, -9), (signal.SIGTERM, -15), (signal.SIGINT, 130)):
        environment = asking(f"kill -{number} $PPID; sleep 1")
        assert [run("ls", env=environment).code for run in (xcomctl, xcomctl.in_new_process)] == [code, code]


def test_commands_run_at_the_same_time(xcomctl: Command) -> None:
    """Each waits for what the other one does."""

    def run(own: str, other: str) -> int:
        program = f"touch {own}; while [ ! -e {other} ]; do sleep 0.05; done"
        return xcomctl("ls", env=asking(program)).code

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(run, ("a", "b"), ("b", "a"))) == [2, 2]


def test_a_command_that_takes_too_long_is_killed(xcomctl: Command, fork_server: ForkServer) -> None:
    """With what it started, as far as that is of its group; the next command runs."""
    environment = xcomctl.environment(asking("echo $$ $PPID >pids; exec sleep 60"))
    with pytest.raises(subprocess.TimeoutExpired):
        fork_server.run(["ls"], folder=xcomctl.folder, environment=environment, seconds=3)
    for pid in (xcomctl.folder / "pids").read_text().split():
        wait_for_the_end_of(int(pid))
    assert xcomctl("--version").code == 0


@pytest.mark.parametrize(
    "name", ["PYTHONIOENCODING", "PYTHONWARNINGS", "PYTHONPATH", "LC_ALL", "TZ", "MALLOC_ARENA_MAX"]
)
def test_what_was_read_before_the_fork_needs_a_new_process(
    xcomctl: Command, fork_server: ForkServer, name: str
) -> None:
    """By the interpreter, the C library, or whoever else is not known to read it late."""
    assert fork_server.suits(xcomctl.environment({"XCOMCTL_DB": "sqlite:///x.db", "AWS_PROFILE": "me"}))
    assert not fork_server.suits(xcomctl.environment({name: "other"}))


def test_the_server_ends_with_its_worker_and_its_commands_with_it(xcomctl: Command) -> None:
    """Although the worker is killed in the middle of a command."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom tests.services.fork_client import ForkServer\n"
        "with ForkServer(os.environ, Path('log')) as server:\n"
        "    server.run(['ls'], folder=Path.cwd(), environment=os.environ, seconds=60)\n"
    )
    environment = xcomctl.environment(
        asking("ps -o ppid= -p $PPID >pids; echo $$ $PPID >>pids; touch up; exec sleep 60")
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=xcomctl.folder, env=environment) as worker:
        until(lambda: (xcomctl.folder / "up").exists())
        worker.kill()
    for pid in (xcomctl.folder / "pids").read_text().split():
        wait_for_the_end_of(int(pid))


def wait_for_the_end_of(pid: int) -> None:
    """Wait until a process that is no child of ours is gone."""
    until(lambda: not alive(pid))
