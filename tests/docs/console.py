"""Examples of the documentation: `console` blocks, read from a page, run in a shell, compared with what they show.

A line that begins with `$ ` is a command (a backslash at its end continues it), the lines below it are its output;
without any, only the exit code counts. A command must exit with 0 unless a comment behind it says otherwise, as in
`$ xcomctl fsck   # exits with 4`. In an output a line `...` stands for any lines, and `…` for any text within a line.
Times, ages, sizes, bars, ids, and all numbers but 0 differ from day to day: only their place is compared.
"""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import termios
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

from xcomctl.demo import payloads

REPOSITORY = Path(__file__).parents[2]

PAGES = (
    *(REPOSITORY / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
)
"""All pages of the documentation, but the backend's own."""

WIDTH = 100
"""Columns of the terminal on which the examples run."""

_SECONDS = 120


@dataclass(frozen=True)
class Example:
    """One command of a page, and what the page says of it."""

    place: str
    """`page:line`."""
    command: str
    exit_code: int
    output: tuple[str, ...]
    """Lines that are shown below the command; none, if the page does not show them."""


@dataclass(frozen=True)
class Run:
    """How a command ended, and what it wrote: stdout, then stderr."""

    exit_code: int
    output: str


def blocks(page: Path, language: str) -> Iterator[tuple[int, list[str]]]:
    """The fenced blocks of one language: the number of the first line inside, and the lines."""
    inside: list[str] | None = None
    opened = ""
    begin = 0
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if inside is None:
            if line.startswith("```"):
                opened, inside, begin = line[3:].strip(), [], number + 1
        elif line.startswith("```"):
            if opened == language:
                yield begin, inside
            inside = None
        else:
            inside.append(line)


def examples(page: Path) -> list[Example]:
    """The commands of all console blocks of a page, in order."""
    found = []
    for begin, lines in blocks(page, "console"):
        commands = [at for at, line in enumerate(lines) if line.startswith("$ ")]
        assert commands, f"{page.name}:{begin}: a console block without a command"
        for at, following in zip(commands, [*commands[1:], len(lines)], strict=True):
            end = at + 1
            while lines[end - 1].endswith("\\"):
                end += 1
            command = "\n".join(lines[at:end]).removeprefix("$ ")
            said = re.search(r"# exits with (\d+)", command)
            output = "\n".join(lines[end:following]).strip("\n")
            found.append(
                Example(
                    place=f"{page.relative_to(REPOSITORY)}:{begin + at}",
                    command=command,
                    exit_code=int(said[1]) if said else 0,
                    output=tuple(output.splitlines()),
                )
            )
    return found


def run(command: str, environment: Mapping[str, str], folder: Path, inherited: Sequence[int] = ()) -> Run:
    """Run a command line in bash, with stdout on a terminal of `WIDTH` columns and nothing to read.

    The descriptors `inherited` stay open in it.
    """
    code, text = in_colour(command, environment, folder, inherited)
    return Run(code, re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text))


def in_colour(
    command: str, environment: Mapping[str, str], folder: Path, inherited: Sequence[int] = ()
) -> tuple[int, str]:
    """The same: the exit code, and what was written as the terminal takes it."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
    with subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        pass_fds=inherited,
    ) as process:
        os.close(theirs)
        written = b""
        while chunk := _read(ours):
            written += chunk
        _, errors = process.communicate(timeout=_SECONDS)
    os.close(ours)
    return process.returncode, written.decode().replace("\r\n", "\n") + errors.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        # What Linux says when the other side of a terminal is closed.
        return b""


def shows(example: Example, output: str) -> bool:
    """Whether `output` is what the example shows, apart from what differs from day to day."""
    actual = "".join(f"{steady(line)}\n" for line in output.strip("\n").splitlines())
    pattern = "".join(
        r"(?:.*\n)*?"
        if line.strip() == "..."
        else ".*".join(re.escape(part) for part in steady(line).split("…")) + "\n"
        for line in example.output
    )
    return re.fullmatch(pattern, actual) is not None


_COLON = "(?::|%3A)"
_CHANGING = re.compile(
    "|".join(
        (
            r"(?P<kept>xcomctl\.\w+/\d+)",
            r"(?P<uuid>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",
            rf"(?P<time>\d{{4}}-\d\d-\d\d(?:[T ]\d\d{_COLON}\d\d(?:{_COLON}\d\d)?(?:Z|(?:[+]|%2B)00{_COLON}00)?)?)",
            r"(?P<id>\b\d+-[0-9a-f]{6}\b)",
            r"(?P<digest>\b[0-9a-f]{16,64}\b)",
            r"(?P<size>\b\d+(?:\.\d)? (?:B|[KMG]iB)(?!\w))",
            r"(?P<age>\b\d+(?:\.\d)?[dhms]\b)",
            r"(?P<number>\d[\d,]*(?:\.\d+)?)",
            r"(?P<bar>[▁▂▃▄▅▆▇█▉▊▋▌▍▎▏]+)",
            rf"(?P<name>\b(?:{'|'.join((*payloads._SHOPS, *payloads._PRODUCTS))})\b)",
        )
    )
)


def steady(line: str) -> str:
    """A line of output with what differs from day to day replaced by what it is."""

    def replaced(match: re.Match[str]) -> str:
        kind = str(match.lastgroup)
        return match[0] if kind == "kept" or match[0] == "0" else f"<{kind}>"

    return " ".join(_CHANGING.sub(replaced, line).split())
