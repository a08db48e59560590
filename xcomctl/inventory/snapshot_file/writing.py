"""Take an inventory of both sides and keep it in a file, which appears when it is whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from xcomctl import __version__
from xcomctl.airflow.interface import Source
from xcomctl.dialects.interface import Dialects
from xcomctl.errors import UnreadableError, UsageError
from xcomctl.files import require_folder, written_aside
from xcomctl.inventory import Inventory
from xcomctl.inventory.candidates import confirm_candidates
from xcomctl.inventory.classify import classify
from xcomctl.inventory.dangling import confirm_dangling
from xcomctl.inventory.resources import Resources
from xcomctl.inventory.scan import DEFAULT_MIN_AGE, Mark, fill
from xcomctl.inventory.shard_scan import Share
from xcomctl.inventory.shards import Shard
from xcomctl.inventory.snapshot_file.query import open_kept
from xcomctl.inventory.snapshot_file.tables import TABLES, VERSION
from xcomctl.models import Root
from xcomctl.policy import Policy
from xcomctl.progress import Report, silent
from xcomctl.s3.interface import Store
from xcomctl.s3.stored_listing import StoredListing

_LOG = ".wal"
"""Ending of the log that DuckDB keeps beside a database; an old one would be taken for the new one's."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What an inventory is of, and by which policy and grace period its rows and objects are judged."""

    roots: tuple[Root, ...]
    policy: Policy = field(default_factory=Policy)
    min_age: timedelta = DEFAULT_MIN_AGE
    ignore_archives: bool = False
    shard: Shard | None = None
    """Only this share of it; the inventories of all shares together are the one of all."""
    options: str | None = None
    """How policy and grace period are said on the command line, to be kept with the inventory."""


def require_replaceable(path: Path) -> None:
    """Raise UsageError where an inventory cannot be kept at `path`: what is there is none, or the folder is not."""
    require_folder(path, "inv.duckdb")
    if not path.exists():
        return
    try:
        with open_kept(path):
            pass
    except (UsageError, UnreadableError) as error:
        raise UsageError(
            f"{path} exists and is no inventory of xcomctl that could be replaced",
            hint="give --out another path, or remove it first",
        ) from error


def keep_inventory(
    path: Path,
    source: Source,
    store: Store | None,
    dialects: Dialects,
    choice: Choice,
    *,
    listing: StoredListing | None = None,
    resources: Resources | None = None,
    report: Report = silent,
) -> None:
    """Read both sides whole, judge them, and keep the result at `path`. Nothing is left there if that fails.

    With `listing` the store is asked only for what may go by it, and not listed.

    Raises UsageError where it cannot be written, SourceError and StoreError where a side does not come whole.
    """
    share = (
        None
        if choice.shard is None
        else Share(choice.shard, choice.policy, dialects, with_trash=False, resources=resources)
    )
    with Inventory(dialects, choice.roots, report=report, resources=resources) as inventory:
        mark, _ = fill(
            inventory,
            source,
            store,
            min_age=choice.min_age,
            ignore_archives=choice.ignore_archives,
            listing=listing,
            share=share,
            report=report,
        )
        classify(inventory, choice.policy, now=mark.database_at, cutoff=mark.cutoff)
        if listing is not None and store is not None:
            confirm_candidates(inventory, store, orphans=True, cutoff=mark.cutoff, report=report)
        if share is not None:
            share.settle(inventory)
        confirm_dangling(inventory, store if inventory.roots else None, dialects, report)
        with written_aside(path, beside=_LOG) as part:
            _publish(inventory, part, mark, source.info().label, choice)


def _publish(inventory: Inventory, path: Path, mark: Mark, database: str, choice: Choice) -> None:
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
        about: dict[str, object] = {
            "version": VERSION,
            "created_at": _without_zone(mark.database_at),
            "objects_at": _without_zone(mark.objects_at),
            "cutoff": _without_zone(mark.cutoff),
            "roots": [root.uri for root in inventory.roots],
            "database": database,
            "shard": None if choice.shard is None else str(choice.shard),
            "complete": bool(inventory.roots) and not choice.ignore_archives and choice.shard is None,
            "tool_version": __version__,
            "options": choice.options,
        }
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
