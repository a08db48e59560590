"""What is to be restored, and where objects may go. A manifest says where they were, which is no leave to write there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xcomctl.airflow.interface import Selection
from xcomctl.backup.manifest import BackupManifest
from xcomctl.backup.relocation import target_of
from xcomctl.backup.target import BackupTarget
from xcomctl.dialects.reach import Reach, common_roots
from xcomctl.errors import UsageError
from xcomctl.models import ObjectAddress, Root, outermost


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """The rows of a backup that a selection means, with their objects. Made by `of`."""

    backup_target: BackupTarget
    manifest: BackupManifest
    selection: Selection
    targets: tuple[Root, ...]
    """Below these objects are written, and nowhere else."""
    to_root: Root | None = None
    """Another root in the place of the backup's own; None puts objects back where they were."""

    @classmethod
    def of(
        cls,
        backup_target: BackupTarget,
        manifest: BackupManifest,
        selection: Selection,
        *,
        configured: Sequence[Root],
        to_root: Root | None = None,
    ) -> RestoreRequest:
        """A restore below the roots of the backup that are configured, or below `to_root`, which the user names.

        Raises UsageError where the configured roots and those of the backup have nothing in common.
        """
        if to_root is not None:
            return cls(backup_target, manifest, selection, (to_root,), to_root)
        request = cls(backup_target, manifest, selection, ())
        targets = tuple(outermost(common_roots(request.roots, configured)))
        if request.roots and not targets:
            named = ", ".join(root.uri for root in request.roots)
            here = ", ".join(root.uri for root in configured)
            raise UsageError(
                f"the backup is of {named}, "
                + (f"and the stores are {here}" if here else "and no store is given"),
                hint=f"--store {request.roots[0].uri} to put objects back there, or --to-store to put them elsewhere",
            )
        return cls(backup_target, manifest, selection, targets)

    @property
    def roots(self) -> tuple[Root, ...]:
        """The roots that the backup is of."""
        return tuple(Root.parse(uri) for uri in self.manifest.roots)

    def target_of(self, uri: str) -> ObjectAddress | None:
        """Where the object of the backup goes; None where that is none of the targets, or not an object's place."""
        try:
            if self.to_root is None:
                target = ObjectAddress.parse(uri)
            elif (relocated := target_of(uri, self.roots, self.to_root)) is not None:
                target = relocated
            else:
                return None
        except UsageError:
            return None
        return target if Reach(self.targets).allows(target) else None
