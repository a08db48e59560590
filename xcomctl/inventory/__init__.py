"""Both sides joined: rows and objects in DuckDB, and questions to them. What grows with the bucket is no Python object."""

from xcomctl.inventory.build import Inventory

__all__ = ["Inventory"]
