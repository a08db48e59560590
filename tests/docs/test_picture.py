from __future__ import annotations

from tests.docs.conftest import Shell
from tests.docs.console import steady
from tests.docs.picture import PICTURE, draw, lines_of


def test_the_picture_shows_what_the_commands_write(shell: Shell) -> None:
    """Line by line, but for what differs from day to day."""
    shown = [steady(line) for line in lines_of(PICTURE.read_text(encoding="utf-8"))]
    assert [steady(line) for line in lines_of(draw(shell))] == shown != []
