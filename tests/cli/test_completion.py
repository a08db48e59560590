from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.test_app import loaded
from tests.services.command import Command
from tests.services.worlds import World

Worlds = Callable[..., World]

PATIENT = """
import xcomctl.cli.completion
xcomctl.cli.completion._PATIENCE = 60.0
from xcomctl.cli.app import main
main()
"""
"""The command as it is, but on a machine that is busy with other tests."""

BASH = """
eval "$(xcomctl completion bash)"
complete() {
    COMP_LINE="$1" COMP_POINT=${#1} COMPREPLY=()
    _xcomctl
    printf '%s\\n' "${COMPREPLY[*]}"
}
for line in "$@"; do complete "$line"; done
"""
ZSH = """
autoload -Uz compinit && compinit -u -d "$HOME/dump"
eval "$(xcomctl completion zsh)"
compadd() { shift $@[(i)--]; (( $# )) && print -r -- $@ }
_files() { print files }
for line in "$@"; do
    words=(${(z)line}); [[ $line == *' ' ]] && words+=('')
    CURRENT=$#words
    _xcomctl
done
"""
FISH = """
xcomctl completion fish | source
for line in $argv
    echo (complete -C $line | string split -f1 \\t)
end
"""


class Typist:
    """Types command lines in a real shell, and asks for their completion."""

    def __init__(self, command: Command, database: str, folder: Path) -> None:
        programs = folder / "programs"
        programs.mkdir()
        program = programs / "xcomctl"
        code = folder / "patient.py"
        code.write_text(PATIENT)
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{code}" "$@"\n')
        program.chmod(0o755)
        path = os.pathsep.join([str(programs), os.environ["PATH"]])
        self.environment = command.environment({"PATH": path, "XCOMCTL_DB": database, "LC_ALL": "C.UTF-8"})
        self.home = command.folder

    def __call__(self, *command: str) -> list[str]:
        """The lines that the shell prints, of which one holds all completions of one line."""
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.splitlines()


@pytest.fixture
def typist(xcomctl: Command, world: Worlds, tmp_path: Path) -> Typist:
    """A shell that completes names of a database."""
    return Typist(xcomctl, world("3.3.2-commonio-sqlite", store=False).db_url, tmp_path)


def test_bash(typist: Typist) -> None:
    """bash completes verbs, options, choices, and names part by part; behind a colon only the rest of the word."""
    asked = {
        "xcomctl sh": "show",
        "xcomctl trash p": "purge",
        "xcomctl ls --map": "--map-index",
        "xcomctl completion z": "zsh",
        "xcomctl show xt_r": "xt_repush/ xt_retry/",
        "xcomctl show xt_retry/": "xt_retry/latest/ xt_retry/retry_run/",
        "xcomctl show xt_retry/latest/flaky:o": "only_try_2",
        "xcomctl show xt_repush/manual__2024-03-01T00:": "00:00+00:00/",
        "xcomctl diff xt_mapped/latest/total xt_f": "xt_fail/",
        "xcomctl ls --dag xt_m": "xt_mapped",
        "xcomctl ls --dag xt_types --run types": "types_run_2 types_run_1",
        "xcomctl ls --dag xt_types --task push_i": "push_int",
        "xcomctl ls --dag xt_repush --task twice --key s": "same",
        "xcomctl show nothing/": "",
    }
    assert dict(zip(asked, typist("bash", "-c", BASH, "bash", *asked), strict=True)) == asked
    folder = Path(typist.home, ".cache", "xcomctl", "completion")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh(typist: Typist) -> None:
    """zsh completes the same words, and files where there are none."""
    asked = ["xcomctl show xt_m", "xcomctl show xt_retry/latest/flaky:o", "xcomctl show x/"]
    assert typist("zsh", "-f", "-c", ZSH, "zsh", *asked) == [
        "xt_mapped/",
        "xt_retry/latest/flaky:only_try_2",
        "files",
    ]


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish(typist: Typist) -> None:
    """fish completes the same words."""
    asked = ["xcomctl sh", "xcomctl show xt_m", "xcomctl show xt_retry/latest/flaky:o"]
    assert typist("fish", "--no-config", "-c", FISH, *asked) == [
        "show",
        "xt_mapped/",
        "xt_retry/latest/flaky:only_try_2",
    ]


def _complete(xcomctl: Command, line: str, database: str, *program: str) -> tuple[int, str, str]:
    environment = {
        "_XCOMCTL_COMPLETE": "complete_fish",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        "_TYPER_COMPLETE_ARGS": line,
        "XCOMCTL_DB": database,
    }
    done = subprocess.run(
        [sys.executable, *(program or ("-m", "xcomctl"))],
        cwd=xcomctl.folder,
        env=xcomctl.environment(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.strip(), done.stderr


def test_a_database_that_does_not_answer(xcomctl: Command) -> None:
    """A host that takes connections and says nothing, one that refuses them and a wrong URL complete to nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"postgresql://user:secret@127.0.0.1:{silent.getsockname()[1]}/airflow"
        assert _complete(xcomctl, "xcomctl show x", url) == (0, "", "")
    for wrong in ("postgresql://127.0.0.1:1/airflow", "nonsense", "sqlite:////nowhere/airflow.db"):
        assert _complete(xcomctl, "xcomctl show x", wrong) == (0, "", "")


def test_names_are_remembered(xcomctl: Command, world: Worlds, tmp_path: Path) -> None:
    """What the database said a moment ago is not asked again; names are all that is kept."""
    here = world("3.3.2-commonio-sqlite", store=False)
    database = here.folder / "airflow.db"
    asked = (xcomctl, "xcomctl show xt_m", here.db_url, "-c", PATIENT)
    assert _complete(*asked) == (0, "xt_mapped/", "")
    database.unlink()
    assert _complete(*asked) == (0, "xt_mapped/", "")
    [kept] = Path(xcomctl.folder, ".cache", "xcomctl", "completion").iterdir()
    assert sorted(json.loads(kept.read_text())) == ["names", "until"]
    # Long ago: the database is asked again, and as it does not answer, the old names do.
    kept.write_text(json.dumps({"names": ["xt_mine"], "until": 0}))
    assert _complete(*asked) == (0, "xt_mine/", "")


def test_the_script_is_printed_without_a_database(xcomctl: Command) -> None:
    """`completion` opens nothing, so it loads nothing to open it with."""
    assert loaded(xcomctl, "completion", "bash") == set()
