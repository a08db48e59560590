"""A folder for temporary files that goes in the end: if its process was killed, with the next folder of the same user."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

_PREFIX = "xcomctl-"

_CLAIM = "in-use"
"""A file in the folder on which its process holds a lock, as long as it lives."""


class TemporaryFolder(tempfile.TemporaryDirectory[str]):
    """A new folder below `parent` (the system's for temporary files if None). Raises OSError where none can be made.

    First those are removed that processes of the same user left there when they were killed. Systems without `flock`
    keep them.
    """

    def __init__(self, parent: Path | None = None) -> None:
        _remove_abandoned(Path(tempfile.gettempdir()) if parent is None else parent)
        super().__init__(prefix=_PREFIX, dir=parent, ignore_cleanup_errors=True)
        with suppress(OSError, ImportError):
            _claim(self, Path(self.name))


def _claim(owner: TemporaryFolder, folder: Path) -> None:
    import fcntl

    # It has its name only when it is locked: nobody takes the folder for abandoned in between.
    made = folder / f"{_CLAIM}.part"
    claim = os.open(made, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    weakref.finalize(owner, os.close, claim)
    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    made.rename(folder / _CLAIM)


def _remove_abandoned(parent: Path) -> None:
    with suppress(ImportError, OSError):
        import fcntl

        for folder in parent.glob(f"{_PREFIX}*"):
            with suppress(OSError):
                if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                    continue
                claim = os.open(folder / _CLAIM, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    os.close(claim)
