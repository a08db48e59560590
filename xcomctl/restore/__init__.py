"""Put a backup back: objects first, then the rows that reference them, and nothing over what is there."""

from xcomctl.restore.course import RestoreResult, restore

__all__ = ["RestoreResult", "restore"]
