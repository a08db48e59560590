"""A folder as a place for backups."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from xcomctl.backup.folder_target import FolderTarget
from xcomctl.errors import NotFoundError, StoreError


@pytest.fixture
def backup_target(tmp_path: Path) -> FolderTarget:
    """An empty one, whose folder does not exist yet."""
    return FolderTarget(tmp_path / "backups")


def _write(backup_target: FolderTarget, name: str, content: bytes) -> None:
    backup_target.write(name, BytesIO(content), len(content))


def test_what_is_written_is_read(backup_target: FolderTarget) -> None:
    """Streams of any size, replaced when written again."""
    for content in (b"", b"x" * (3 << 20), b"again"):
        _write(backup_target, "a/b/c", content)
        assert (b"".join(backup_target.read("a/b/c")), backup_target.size_of("a/b/c")) == (
            content,
            len(content),
        )


def test_names_are_those_of_whole_files(backup_target: FolderTarget, tmp_path: Path) -> None:
    """Sorted, at any depth, without what a crash left unfinished."""
    for name in ("a/z/1", "a/b", "other/c"):
        _write(backup_target, name, b"x")
    (tmp_path / "backups" / "a" / ".unfinished-abc").write_bytes(b"half")
    assert (list(backup_target.names("a")), list(backup_target.names("nothing"))) == (["a/b", "a/z/1"], [])


def test_a_stream_that_does_not_come_whole_is_not_written(
    backup_target: FolderTarget, tmp_path: Path
) -> None:
    """What was there stays, and nothing is left behind."""
    _write(backup_target, "a", b"before")
    with pytest.raises(StoreError, match="got 3 bytes instead of 4"):
        backup_target.write("a", BytesIO(b"abc"), 4)

    class Broken(BytesIO):
        """A file that fails while it is read."""

        def read(self, size: int | None = -1, /) -> bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        backup_target.write("a", Broken(), 4)
    assert (b"".join(backup_target.read("a")), [path.name for path in (tmp_path / "backups").iterdir()]) == (
        b"before",
        ["a"],
    )


def test_what_is_not_there_is_not_found(backup_target: FolderTarget) -> None:
    """A missing file is None or an error of its own; a folder in the way is a failure."""
    assert backup_target.size_of("a") is None
    with pytest.raises(NotFoundError):
        list(backup_target.read("a"))
    _write(backup_target, "a/b", b"x")
    with pytest.raises(StoreError) as caught:
        list(backup_target.read("a"))
    assert caught.value.hint == "check the folder, its rights and its room"
