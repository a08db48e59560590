from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import pytest

from xcomctl.errors import StoreError, UsageError
from xcomctl.files import written_aside


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    """Until then the one before is there; what fails on the way leaves it, and nothing beside it."""
    file = tmp_path / "file"
    file.write_text("before")
    with written_aside(file) as part:
        part.write_text("half")
        assert file.read_text() == "before"
        part.write_text("whole")
    assert file.read_text() == "whole"

    def break_off() -> None:
        with written_aside(file) as part:
            part.write_text("half")
            raise StoreError("the store is gone")

    with pytest.raises(StoreError):
        break_off()
    assert file.read_text() == "whole"
    assert {*tmp_path.iterdir()} == {file}


@pytest.mark.parametrize("there", [True, False], ids=["to a file", "to nothing"])
def test_a_link_is_not_followed(tmp_path: Path, there: bool) -> None:
    """Whoever put it there would say which file is written: it is told where it leads, and nothing is touched."""
    file, link = tmp_path / "file", tmp_path / "link"
    if there:
        file.write_text("before")
    link.symlink_to(file)
    with pytest.raises(UsageError) as raised, written_aside(link) as part:
        part.write_text("whole")
    assert str(raised.value) == f"{link} is a link to {file}, and is not followed"
    assert raised.value.hint == f"--out {file}, if you mean that"
    assert (link.is_symlink(), file.exists()) == (True, there)
    assert not there or file.read_text() == "before"


def test_nobody_knows_the_name_of_a_file_that_is_not_whole_yet(tmp_path: Path) -> None:
    """In a folder where others write, a link of that name could be planted before."""
    names = []
    for _ in range(2):
        with written_aside(tmp_path / "file") as part:
            part.write_text("x")
            names.append(part.name)
    assert len({*names}) == 2


def test_a_link_to_a_device_is_that_device(tmp_path: Path) -> None:
    """As /dev/stdout is one to wherever the output goes."""
    link = tmp_path / "link"
    link.symlink_to("/dev/null")
    with written_aside(link) as place:
        place.write_text("away")
    assert (link.is_symlink(), Path("/dev/null").is_char_device()) == (True, True)


def test_a_device_and_a_pipe_are_written_as_they_are(tmp_path: Path) -> None:
    """Nothing takes their place, and nothing is left beside them."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    with written_aside(pipe) as place:
        place.write_text("through")
    reader.join(timeout=30)
    assert (read, pipe.is_fifo(), [*tmp_path.iterdir()]) == (["through"], True, [pipe])
    with written_aside(Path("/dev/null")) as place:
        place.write_text("away")
    assert Path("/dev/null").is_char_device()


def test_a_folder_is_no_place_for_a_file(tmp_path: Path) -> None:
    """It is told with what to type."""
    with (
        pytest.raises(UsageError, match="cannot be written: Is a directory") as raised,
        written_aside(tmp_path) as place,
    ):
        place.write_text("x")
    assert raised.value.hint == "give --out another path"
