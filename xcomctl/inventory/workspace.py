"""Where an inventory works: a DuckDB database that keeps to its limits, and the folder to which it spills."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

from xcomctl.errors import UsageError, XcomctlError
from xcomctl.inventory.resources import Resources
from xcomctl.units import format_size

if TYPE_CHECKING:
    import duckdb

_OTHER_FOLDER = "--tmp DIR names a folder with more room"


class Workspace:
    """An empty database in memory. Raises UsageError for a folder in which nothing can be written."""

    def __init__(self, resources: Resources) -> None:
        import duckdb
        import pyarrow as pa

        self._resources = resources
        # What Arrow's own allocator was once given it keeps for itself, beside all that is in the database: 200 MB.
        pa.set_memory_pool(pa.system_memory_pool())
        try:
            self._folder = tempfile.TemporaryDirectory(
                prefix="xcomctl-", dir=resources.tmp, ignore_cleanup_errors=True
            )
        except OSError as error:
            place = tempfile.gettempdir() if resources.tmp is None else resources.tmp
            raise UsageError(
                f"nothing can be written to {place}: {error.strerror}", hint="--tmp DIR names another folder"
            ) from error
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{resources.memory}B",
            "temp_directory": self._folder.name,
            "autoinstall_known_extensions": "false",
            "preserve_insertion_order": "false",
        }
        if resources.threads is not None:
            settings["threads"] = resources.threads
        try:
            self.connection: duckdb.DuckDBPyConnection = duckdb.connect(config=settings)
        except BaseException as error:
            self._folder.cleanup()
            self._translate(error)
            raise

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
        if isinstance(error, duckdb.IOException):
            place = tempfile.gettempdir() if self._resources.tmp is None else self._resources.tmp
            raise XcomctlError(
                f"the inventory cannot use its temporary files in {place}: {str(error).splitlines()[0]}",
                hint=_OTHER_FOLDER,
            ) from error
