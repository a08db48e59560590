"""A place to back up from and to restore into, on both kinds of target."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.services.deployment import Deploy, Deployment
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import Selection
from xcomctl.backup import BackupResult, back_up, read_manifest
from xcomctl.backup.folder_target import FolderTarget
from xcomctl.backup.restore import RestoreResult, restore
from xcomctl.backup.restore_request import RestoreRequest
from xcomctl.backup.s3_target import S3Target
from xcomctl.backup.target import BackupTarget
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.store import S3Settings, S3Store
from xcomctl.state.journal import Invocation

EVERYTHING = Selection(all_attempts=True)


class Site:
    """A database, a store and a target, and what a test asks of them."""

    def __init__(
        self, source: DatabaseSource, store: S3Store, root: str, backup_target: BackupTarget
    ) -> None:
        self.source = source
        self.store = store
        self.root = Root.parse(root)
        self.backup_target = backup_target

    def back_up(self, what: Any = EVERYTHING) -> BackupResult:
        """Make a backup."""
        return back_up(
            self.source,
            self.store,
            DialectRegistry(),
            self.backup_target,
            what,
            roots=[self.root],
            now=datetime.now(timezone.utc),
        )

    def restore(
        self, selection: Selection = EVERYTHING, *, to: str | None = None, dry_run: bool = False
    ) -> RestoreResult:
        """Put the newest backup back, as one operation."""
        from xcomctl.state.operation import Operation

        result = RestoreResult()
        request = RestoreRequest.of(
            self.backup_target,
            read_manifest(self.backup_target),
            selection,
            configured=[self.root],
            to_root=None if to is None else Root.parse(to),
        )
        with ExitStack() as opened:
            operation = None
            if not dry_run:
                operation = opened.enter_context(
                    Operation.begin(
                        self.source,
                        self.store,
                        request.targets,
                        Invocation("restore", "tester", datetime.now(timezone.utc)),
                    )
                )
            restore(request, self.source, self.store, operation=operation, result=result)
        return result

    def objects(self) -> dict[str, str]:
        """Checksum of every object below the root, by key."""
        found = {}
        for batch in self.store.batches(self.root):
            for key in batch.column("key").to_pylist():
                if ".xcomctl/" not in key:
                    payload = self.store.read(ObjectAddress(self.root.bucket, key))
                    found[key] = hashlib.sha256(payload).hexdigest()
        return found

    def rows(self) -> dict[str, tuple[Any, ...]]:
        """Every row with its value and times."""
        return {row.ref + str(row.try_number): (row,) for row in self.source.rows(EVERYTHING)}

    def remove(self, keys: Any) -> None:
        """Delete objects as somebody else would."""
        addresses = [ObjectAddress(self.root.bucket, key) for key in keys]
        infos = [info for info in map(self.store.stat, addresses) if info is not None]
        assert {outcome.result for outcome in self.store.delete(infos)} <= {"deleted"}


@pytest.fixture(params=["folder", "bucket"])
def target_kind(request: pytest.FixtureRequest) -> str:
    """Where backups are kept."""
    return str(request.param)


@pytest.fixture
def site_of(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes a site of a world or a deployment."""
    with ExitStack() as opened:

        def make(url: str, endpoint_url: str, root: str, kind: str = "folder") -> Site:
            source = opened.enter_context(closing(DatabaseSource(url)))
            store = opened.enter_context(closing(S3Store(S3Settings(endpoint_url=endpoint_url))))
            bucket = Root.parse(root).bucket
            backup_target: BackupTarget = (
                FolderTarget(tmp_path / "backups")
                if kind == "folder"
                else S3Target(store, Root(bucket, "safe/place/"))
            )
            return Site(source, store, root, backup_target)

        yield make


@pytest.fixture
def deployed(deploy: Deploy) -> Deployment:
    """Rows of three DAGs, each with an object, and one inline value."""
    here = deploy()
    for dag in ("etl_1", "etl_2", "other"):
        here.push(dag)
    here.add_row("other", "r1", {"rows": 3}, name="inline")
    return here


@pytest.fixture
def site(deployed: Deployment, site_of: Callable[..., Site], target_kind: str) -> Site:
    """The same, with either kind of target."""
    return site_of(deployed.database.url, deployed.server.endpoint_url, deployed.root, target_kind)


@pytest.fixture
def plain(deployed: Deployment, site_of: Callable[..., Site]) -> Site:
    """The same with a folder."""
    return site_of(deployed.database.url, deployed.server.endpoint_url, deployed.root)
