"""Backups: rows and the objects that they reference, outside of Airflow (`docs/backup.md`)."""

from xcomctl.backup.create import BackupResult, back_up
from xcomctl.backup.manifest import BackupManifest, backup_ids, read_manifest, split_place
from xcomctl.backup.verify import BackupFinding, BackupVerification, verify

__all__ = [
    "BackupFinding",
    "BackupManifest",
    "BackupResult",
    "BackupVerification",
    "back_up",
    "backup_ids",
    "read_manifest",
    "split_place",
    "verify",
]
