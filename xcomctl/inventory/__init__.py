"""The mark: rows and objects joined in DuckDB, so that what grows with the bucket never becomes Python objects."""

from xcomctl.inventory.build import Inventory

__all__ = ["Inventory"]
