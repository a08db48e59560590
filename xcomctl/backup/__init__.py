"""Backups: rows and the objects that they reference, outside of Airflow (`docs/backup.md`)."""

from xcomctl.backup.create import BackupResult, back_up
from xcomctl.backup.manifest import Manifest, backup_ids, read_manifest, split_place
from xcomctl.backup.verify import Finding, Verification, verify

__all__ = [
    "BackupResult",
    "Finding",
    "Manifest",
    "Verification",
    "back_up",
    "backup_ids",
    "read_manifest",
    "split_place",
    "verify",
]
