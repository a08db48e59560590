"""A folder as a place for backups. Only its owner can read what is in it: there are values in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

from xcomctl.errors import NotFoundError, StoreError

_CHUNK = 1 << 20
_UNFINISHED = ".unfinished-"


class FolderTarget:
    """A folder (`backup.target.BackupTarget`); it is made when something is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def label(self) -> str:
        """The path as it was given."""
        return str(self._folder)

    def write(self, name: str, body: BinaryIO, size: int) -> None:
        """Write beside, flush to the disk, then rename: a crash leaves the whole file or none."""
        target = self._folder / name
        with _told(target):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with NamedTemporaryFile(dir=target.parent, prefix=_UNFINISHED, delete=False) as file:
                unfinished = Path(file.name)
                try:
                    shutil.copyfileobj(body, file, _CHUNK)
                    written = file.tell()
                    if written != size:
                        raise StoreError(
                            f"{target} got {written} bytes instead of {size}", hint="run it again"
                        )
                    file.flush()
                    os.fsync(file.fileno())
                    unfinished.replace(target)
                except BaseException:
                    with suppress(OSError):
                        unfinished.unlink()
                    raise
            _flush_folder(target.parent)

    def read(self, name: str) -> Iterator[bytes]:
        """The file, in chunks. Raises NotFoundError, StoreError."""
        path = self._folder / name
        with _told(path), path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk

    def size_of(self, name: str) -> int | None:
        """Bytes of a file, None if there is none. Raises StoreError."""
        path = self._folder / name
        try:
            with _told(path):
                return path.stat().st_size
        except NotFoundError:
            return None

    def names(self, folder: str) -> Iterator[str]:
        """Names of all finished files below a folder, sorted. Raises StoreError."""
        top = self._folder / folder
        with _told(top):
            if not top.exists():
                return
            paths = sorted(path for path in top.rglob("*") if path.is_file())
        for path in paths:
            if not path.name.startswith(_UNFINISHED):
                yield path.relative_to(self._folder).as_posix()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise NotFoundError(f"{path} does not exist") from error
    except OSError as error:
        raise StoreError(
            f"{path}: {error.strerror or error}", hint="check the folder, its rights and its room"
        ) from error
