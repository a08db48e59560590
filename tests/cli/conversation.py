"""What the command says on stderr, and how a person answers it on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess

from tests.services.command import COMMAND, Command, Result


def told(result: Result) -> list[str]:
    """The lines of stderr, none of which is a traceback."""
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()


def answered(xcomctl: Command, answer: str, *arguments: str) -> tuple[int, str]:
    """Run it on a terminal and answer its question; how it ended, and everything that the terminal showed."""
    code, shown, asked = _on_terminal(xcomctl, answer, *arguments)
    assert asked, shown
    return code, shown


def unasked(xcomctl: Command, *arguments: str) -> tuple[int, str]:
    """Run it on a terminal, where it may ask, and does not."""
    code, shown, asked = _on_terminal(xcomctl, "n", *arguments)
    assert not asked, shown
    return code, shown


def _on_terminal(xcomctl: Command, answer: str, *arguments: str) -> tuple[int, str, bool]:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=xcomctl.folder,
        env=xcomctl.environment({"TERM": "xterm"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown, replied = b"", False
        while True:
            try:
                shown += os.read(ours, 1 << 16)
            except OSError:
                break
            if b"[y/N]" in shown and not replied:
                os.write(ours, f"{answer}\n".encode())
                replied = True
    os.close(ours)
    return process.returncode, shown.decode(), replied
