"""Inventories in files: rows and objects joined once, to be questioned by SQL as often as one likes."""

from xcomctl.inventory.snapshot_file.query import About, Answer, SnapshotFile, open_snapshot_file
from xcomctl.inventory.snapshot_file.tables import TABLES, TableColumn
from xcomctl.inventory.snapshot_file.writing import require_replaceable, write_snapshot_file

__all__ = [
    "TABLES",
    "About",
    "Answer",
    "SnapshotFile",
    "TableColumn",
    "open_snapshot_file",
    "require_replaceable",
    "write_snapshot_file",
]
