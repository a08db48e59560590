"""Take an inventory of both sides and keep it in a file, which appears when it is whole."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from xcomctl import __version__
from xcomctl.errors import UnreadableError, UsageError
from xcomctl.files import require_folder, written_aside
from xcomctl.inventory import Inventory
from xcomctl.inventory.judging import Judged, Question, Sides, judged
from xcomctl.inventory.snapshot_file.query import open_snapshot_file
from xcomctl.inventory.snapshot_file.tables import TABLES, VERSION

_LOG = ".wal"
"""Ending of the log that DuckDB keeps beside a database; an old one would be taken for the new one's."""


def require_replaceable(path: Path) -> None:
    """Raise UsageError where an inventory cannot be kept at `path`: what is there is none, or the folder is not."""
    require_folder(path, "inv.duckdb")
    if not path.exists():
        return
    try:
        with open_snapshot_file(path):
            pass
    except (UsageError, UnreadableError) as error:
        raise UsageError(
            f"{path} exists and is no inventory of xcomctl that could be replaced",
            hint="give --out another path, or remove it first",
        ) from error


def write_snapshot_file(path: Path, sides: Sides, question: Question, *, options: str | None = None) -> None:
    """Read both sides whole, judge them, and keep the result at `path`. Nothing is left there if that fails.

    `options` says policy and grace period as on the command line, and is kept with the inventory.

    Raises UsageError where it cannot be written, and as `judged` does, SourceError and StoreError where a side does not
    come whole.
    """
    with judged(sides, question) as found, written_aside(path, beside=_LOG) as part:
        about = _about(found, sides, question)
        _publish(found.inventory, part, about | {"options": options})


def _about(found: Judged, sides: Sides, question: Question) -> dict[str, object]:
    """What the inventory is of, as the table `about` has it."""
    roots = [root.uri for root in found.inventory.roots]
    return {
        "version": VERSION,
        "created_at": _without_zone(found.scan.database_at),
        "objects_at": _without_zone(found.scan.objects_at),
        "cutoff": _without_zone(found.scan.cutoff),
        "roots": roots,
        "database": sides.source.info().label,
        "shard": None if question.shard is None else str(question.shard),
        "complete": bool(roots) and not question.ignore_archives and question.shard is None,
        "tool_version": __version__,
    }


def _publish(inventory: Inventory, path: Path, about: dict[str, object]) -> None:
    """Write the tables into a new database at `path`."""
    import duckdb

    place = str(path).replace("'", "''")
    try:
        inventory.run("SET force_compression = 'auto'")
        # As any DuckDB since 1.2 reads it.
        inventory.run(f"ATTACH '{place}' AS kept (STORAGE_VERSION 'v1.2.0')")
        for table, columns in TABLES.items():
            declared = ", ".join(f"{column.name} {column.type}" for column in columns)
            inventory.run(f"CREATE TABLE kept.{table} ({declared})")
        inventory.run_script("published.sql")
        inventory.run(
            f"INSERT INTO kept.about VALUES ({', '.join(f'${name}' for name in about)})",  # noqa: S608 - our own names
            about,
        )
        # The database of the inventory itself is not worth that at its end, so it is not done by itself.
        inventory.run("CHECKPOINT kept")
        inventory.run("DETACH kept")
    except (duckdb.IOException, duckdb.TransactionException) as error:
        # No space left, mostly; the first line says it.
        raise UsageError(
            f"the inventory cannot be written: {str(error).splitlines()[0]}",
            hint="give --out and --tmp places with more room",
        ) from error


def _without_zone(at: datetime | None) -> datetime | None:
    return None if at is None else at.replace(tzinfo=None)
