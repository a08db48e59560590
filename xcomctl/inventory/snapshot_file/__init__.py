"""Inventories in files: rows and objects joined once, to be questioned by SQL as often as one likes."""

from xcomctl.inventory.snapshot_file.query import About, Answer, KeptInventory, open_kept
from xcomctl.inventory.snapshot_file.tables import TABLES, TableColumn
from xcomctl.inventory.snapshot_file.writing import keep_inventory, require_replaceable

__all__ = [
    "TABLES",
    "About",
    "Answer",
    "KeptInventory",
    "TableColumn",
    "keep_inventory",
    "open_kept",
    "require_replaceable",
]
