"""Inventories in files: rows and objects joined once, to be questioned by SQL as often as one likes."""

from xcomctl.kept_inventory.asking import About, Answer, KeptInventory, open_kept
from xcomctl.kept_inventory.tables import TABLES, TableColumn
from xcomctl.kept_inventory.taking import Choice, keep_inventory, require_replaceable

__all__ = [
    "TABLES",
    "About",
    "Answer",
    "Choice",
    "KeptInventory",
    "TableColumn",
    "keep_inventory",
    "open_kept",
    "require_replaceable",
]
