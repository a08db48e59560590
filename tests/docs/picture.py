"""Draws the README's picture of a terminal from what the commands write: `python -m tests.docs.picture`.

It goes to `docs/terminal.svg`. A test draws it anew and compares what is to be read on it.
"""

from __future__ import annotations

import io
import re
import tempfile
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.docs.conftest import Shell
from tests.docs.console import REPOSITORY, WIDTH
from xcomctl.demo.server import SeaweedFS

PICTURE = REPOSITORY / "docs" / "terminal.svg"

COMMANDS = (
    "xcomctl ls --dag daily_sales --limit 4",
    "xcomctl du",
    "xcomctl fsck --samples 0",
)


def draw(shell: Shell) -> str:
    """The picture, as SVG, of the commands in the demonstration's world."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, highlight=False)
    for command in COMMANDS:
        _, written = shell.in_colour(command)
        console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
        console.print(Text.from_ansi(written.rstrip("\n")))
        console.print()
    drawn = console.export_svg(title="xcomctl", unique_id="terminal")
    # The font that rich names is on another host, which no page of ours asks.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    return drawn.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")


def lines_of(drawn: str) -> list[str]:
    """What is to be read on a picture, line by line."""
    lines: dict[float, list[tuple[float, str]]] = defaultdict(list)
    for text in ET.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text"):  # noqa: S314 - drawn by ourselves
        if "x" in text.attrib and "terminal" in text.get("clip-path", ""):
            lines[float(text.attrib["y"])].append((float(text.attrib["x"]), "".join(text.itertext())))
    return ["".join(part for _, part in sorted(lines[y])).replace("\xa0", " ") for y in sorted(lines)]


if __name__ == "__main__":
    with (
        SeaweedFS() as server,
        tempfile.TemporaryDirectory() as name,
        Shell(server, Path(name)) as shell,
    ):
        shell.make_world()
        PICTURE.write_text(draw(shell), encoding="utf-8")
