"""The command for tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Command


@pytest.fixture
def xcomctl(tmp_path: Path) -> Command:
    """The command `xcomctl`, run in an empty folder."""
    folder = tmp_path / "home"
    folder.mkdir()
    return Command(folder)
