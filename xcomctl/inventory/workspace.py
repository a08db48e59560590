"""Where an inventory works: a DuckDB database that keeps to its limits, and the temporary folder in which it is."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources as package_files
from pathlib import Path
from typing import TYPE_CHECKING

from xcomctl.errors import UsageError, XcomctlError
from xcomctl.files import TemporaryFolder
from xcomctl.units import format_size

if TYPE_CHECKING:
    import duckdb

# Bytes of an object or a row, measured at 10 million of each: in the database, and to find it again.
_RECORD = 500
_BESIDES = 1

# Until there are that many that they are compressed half of the limit is as fast: the rest would only hold pages that
# nobody reads again.
_LEAST = 256 << 20

_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of <malloc.h>
_LARGE = 128 << 10

_OTHER_FOLDER = "--tmp DIR names a folder with more room"


def sql_text(name: str) -> str:
    """The text of a file of `inventory/sql/`."""
    return package_files.files("xcomctl.inventory").joinpath("sql", name).read_text(encoding="utf-8")


class Workspace:
    """An empty database in a temporary folder. Raises UsageError for a folder in which nothing can be written."""

    def __init__(self, resources: Resources) -> None:
        import duckdb
        import pyarrow as pa

        self._resources = resources
        self._records = 0
        _return_what_is_freed()
        # What Arrow's own allocator was once given it keeps for itself, beside all that is in the database: 200 MB.
        pa.set_memory_pool(pa.system_memory_pool())
        try:
            self._folder = TemporaryFolder(resources.tmp)
        except OSError as error:
            place = tempfile.gettempdir() if resources.tmp is None else resources.tmp
            raise UsageError(
                f"nothing can be written to {place}: {error.strerror}", hint="--tmp DIR names another folder"
            ) from error
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{min(resources.memory, max(resources.memory // 2, _LEAST))}B",
            "temp_directory": self._folder.name,
            "autoinstall_known_extensions": "false",
            "preserve_insertion_order": "false",
            # Nobody else reads the file; the compression below is not in the first form of it.
            "storage_compatibility_version": "latest",
        }
        if resources.threads is not None:
            settings["threads"] = resources.threads
        try:
            # Of tables that are in memory alone some part has to stay there, which grows with them.
            self.connection: duckdb.DuckDBPyConnection = duckdb.connect(
                Path(self._folder.name, "inventory.duckdb"), config=settings
            )
            self.connection.execute("PRAGMA disable_checkpoint_on_shutdown")
            self.connection.execute("SET force_compression = 'uncompressed'")
        except BaseException as error:
            self._folder.cleanup()
            self._translate(error)
            raise

    def grown(self, records: int) -> None:
        """Be told of that many more records: what does not fit into memory is compressed, which takes longer.

        What the database needs to find them again is not in its own count: it is taken off its limit.
        """
        step = self._resources.memory // _RECORD
        before, self._records = self._records, self._records + records
        if before < step <= self._records:
            self.connection.execute("SET force_compression = 'dict_fsst'")
        if before // step < self._records // step:
            limit = max(self._resources.memory - _BESIDES * self._records, self._resources.memory // 2)
            self.connection.execute(f"SET memory_limit = '{limit}B'")

    def close(self, error: BaseException | None = None) -> None:
        """Drop the database. With the error that ended the work, raises in its place one that says what to type."""
        self.connection.close()
        self._folder.cleanup()
        self._translate(error)

    def _translate(self, error: BaseException | None) -> None:
        import duckdb

        memory = format_size(self._resources.memory)
        if isinstance(error, duckdb.OutOfMemoryException):
            raise XcomctlError(
                f"{memory} of memory, and what fits into the folder for temporary files, are too little for this inventory",
                hint=f"--memory {self._resources.memory >> 19}MiB allows more, --threads 1 needs less;"
                f" {_OTHER_FOLDER}",
            ) from error
        # What cannot be written when a transaction ends is an error of the transaction.
        if isinstance(error, duckdb.Error) and self._folder.name in str(error):
            place = tempfile.gettempdir() if self._resources.tmp is None else self._resources.tmp
            raise XcomctlError(
                f"the inventory cannot use its temporary files in {place}: {str(error).splitlines()[0]}",
                hint=_OTHER_FOLDER,
            ) from error


def _return_what_is_freed() -> None:
    """Have glibc give back each large block that is freed.

    By itself it learns from the blocks of Arrow to keep up to 32 MiB of each size: 60 MB, at ten million rows. Other
    libraries of C have no such function.
    """
    import ctypes

    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE)


DEFAULT_MEMORY = 1 << 30


@dataclass(frozen=True, slots=True)
class Resources:
    """Limits of one inventory.

    `memory` is in bytes, and what the database inside of the inventory may hold there; all of it is in `tmp` (the
    system's folder for temporary files if None). `threads` are those that judge; None takes one per core.
    """

    memory: int = DEFAULT_MEMORY
    threads: int | None = None
    tmp: Path | None = None
