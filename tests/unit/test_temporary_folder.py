from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xcomctl.files import TemporaryFolder

HOLDS_ONE = """
import sys, time
from pathlib import Path
from xcomctl.files import TemporaryFolder
folder = TemporaryFolder(Path(sys.argv[1]))
Path(folder.name, "much").write_text("of it")
print(folder.name, flush=True)
time.sleep(600)
"""


def holder(parent: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that uses a folder, and that folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE, str(parent)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_it_goes_in_the_end(tmp_path: Path) -> None:
    """With all that is in it, and with nothing beside it."""
    with TemporaryFolder(tmp_path) as name:
        Path(name, "file").write_text("x")
        assert Path(name).parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_folder(tmp_path: Path) -> None:
    """As soon as its process is dead, and not before; a folder that is nobody's own stays."""
    other = tmp_path / "xcomctl-of-somebody"
    other.mkdir()
    process, left = holder(tmp_path)
    with process, TemporaryFolder(tmp_path) as mine:
        assert (left / "much").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
        with TemporaryFolder(tmp_path) as another:
            assert {*tmp_path.iterdir()} == {other, Path(mine), Path(another)}
    assert list(tmp_path.iterdir()) == [other]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """What looks abandoned, and is elsewhere, is not removed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "in-use").touch()
    place = tmp_path / "tmp"
    place.mkdir()
    (place / "xcomctl-link").symlink_to(elsewhere)
    with TemporaryFolder(place):
        assert (elsewhere / "in-use").exists()


def test_a_place_that_is_none_is_an_error(tmp_path: Path) -> None:
    """As for any temporary folder."""
    with pytest.raises(FileNotFoundError):
        TemporaryFolder(tmp_path / "none")
