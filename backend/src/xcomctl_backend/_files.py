"""`File`: a file of any size that one task hands to another as it is."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import IO, Any, Callable


class File:
    """A file as the value of a task: `return File("out.csv")` uploads it as it is, in parts, whatever its size.

    The task that pulls it gets a File too, and fails there if the object is gone. Its content is downloaded, and checked,
    when it is first asked for, into a temporary file that is removed when the File is no longer used or the process ends.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path: Path | None = Path(path)
        self._fetch: Callable[[Path], None] | None = None
        self.name = self._path.name
        """Name of the file, without folders."""

    @classmethod
    def fetched_by(cls, name: str, fetch: Callable[[Path], None]) -> File:
        """A File whose content `fetch` writes to a path when it is needed."""
        file = cls(_safe_name(name))
        file._path, file._fetch = None, fetch
        return file

    def path(self) -> Path:
        """Where the content is on this machine. Raises MissingObjectError, CorruptObjectError and botocore's exceptions."""
        if self._path is None:
            folder = tempfile.mkdtemp(prefix="xcomctl-")
            # The process that made the folder removes it: not a child that was forked later.
            finalizer = weakref.finalize(self, _remove, folder, os.getpid())
            try:
                assert self._fetch is not None  # noqa: S101 - a File has a path or is fetched
                self._fetch(Path(folder) / self.name)
            except BaseException:
                finalizer()
                raise
            self._path = Path(folder) / self.name
        return self._path

    def open(self, mode: str = "r", **options: Any) -> IO[Any]:
        """Open the content to read it: as text, or as bytes with `mode="rb"`. `options` are those of `open`."""
        if set(mode) - set("rbt"):
            raise ValueError(f"a File is opened to read it: mode 'r' or 'rb', not {mode!r}")
        text = {} if "b" in mode else {"encoding": "utf-8"}
        stream: IO[Any] = self.path().open(mode, **{**text, **options})
        return stream

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole content as text."""
        return self.path().read_text(encoding=encoding)

    def read_bytes(self) -> bytes:
        """The whole content."""
        return self.path().read_bytes()

    def to_pandas(self, **options: Any) -> Any:
        """The content as a pandas.DataFrame, by the name of the file: CSV, Parquet, JSON or Excel.

        `options` are those of the function of pandas that reads it. Raises ValueError for another kind of file.
        """
        import pandas as pd

        readers = {
            ".csv": pd.read_csv,
            ".tsv": pd.read_table,
            ".parquet": pd.read_parquet,
            ".json": pd.read_json,
            ".xlsx": pd.read_excel,
        }
        # `out.csv.gz` is a CSV: pandas opens what is packed by its name.
        for suffix in reversed(Path(self.name).suffixes[-2:]):
            if suffix.lower() in readers:
                reader: Any = readers[suffix.lower()]
                return reader(self.path(), **options)
        raise ValueError(f"pandas reads no file called {self.name!r}: use path() or open()")

    def __repr__(self) -> str:
        return f"File({self.name!r})"


def _safe_name(name: str) -> str:
    """The last part of a name that somebody else wrote: it becomes a path on this machine."""
    last = name.replace("\\", "/").rpartition("/")[2].replace("\0", "")
    return last if last not in ("", ".", "..") else "file"


def _remove(folder: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
