"""Composition root: puts adapters behind the ports, as configured. Nothing is imported before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from xcomctl.config.found_file import require_known_endpoint, require_own_password
from xcomctl.config.masking import mask_url
from xcomctl.config.settings import Configuration
from xcomctl.errors import UsageError
from xcomctl.models import Root

if TYPE_CHECKING:
    from xcomctl.airflow.interface import Source
    from xcomctl.backup.target import BackupTarget
    from xcomctl.dialects.interface import Dialects
    from xcomctl.inventory.workspace import Resources
    from xcomctl.s3.interface import StoredListing, TransferStore


class Session:
    """The parts of one run: source, store, dialects, roots. A context manager that closes what was opened."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration

    @cached_property
    def source(self) -> Source:
        """The metadata database. Raises UsageError where none is configured; it connects when first asked."""
        require_own_password(self.configuration)
        database = self.configuration.database()
        schema = self.configuration.db_schema().value

        from xcomctl.airflow.database import DatabaseSource

        return DatabaseSource(database.value, schema, self.configuration.ignore_places().value)

    @cached_property
    def store(self) -> TransferStore:
        """The object store. Asking for it imports botocore. Raises UsageError for an endpoint that nobody should name."""
        require_known_endpoint(self.configuration)
        from xcomctl.s3.store import S3Settings, S3Store

        return S3Store(
            S3Settings(
                endpoint_url=self.configuration.endpoint_url().value,
                region=self.configuration.region().value,
                profile=self.configuration.aws_profile().value,
            )
        )

    @cached_property
    def dialects(self) -> Dialects:
        """The built-in dialects and those of the configuration file. Raises UsageError for a bad rule."""
        from xcomctl.dialects.registry import DialectRegistry

        return DialectRegistry(self.configuration.dialect_rules())

    @cached_property
    def roots(self) -> list[Root]:
        """Roots of our objects; empty where none is configured. Raises UsageError for a bad address."""
        return list(self.configuration.stores().value)

    @cached_property
    def resources(self) -> Resources:
        """How much of the machine an inventory may take. Raises UsageError for a bad limit."""
        return self.configuration.resources()

    def backup_target(self, where: str, *, apart_from: Sequence[Root] = ()) -> BackupTarget:
        """A place for backups: a folder, or a prefix that is reached like the store.

        Raises UsageError for one inside of a root: what is there is taken for XComs, and may be collected.
        """
        if "://" not in where:
            from xcomctl.backup.folder_target import FolderTarget

            return FolderTarget(Path(where).expanduser())
        place = Root.parse(where)
        for root in apart_from:
            if root.contains(place.at("")):
                raise UsageError(
                    f"{where} lies inside of {root.uri}, where XComs are collected",
                    hint="choose a prefix outside of it, better another bucket",
                )
        from xcomctl.backup.s3_target import S3Target

        return S3Target(self.store, place)

    def inventory(self, uri: str, roots: Sequence[Root]) -> StoredListing:
        """The S3 Inventory whose manifest is at `uri`, as a listing of `roots`.

        Raises UsageError where it is none or does not fit, RefusedError, NotFoundError, UnreadableError, StoreError.
        """
        from xcomctl.s3.inventory.listing import S3Inventory

        return S3Inventory.open(self.store, uri, roots, self.resources.tmp)

    @property
    def endpoint(self) -> str | None:
        """S3 endpoint as plans name it; None where botocore is left to find it."""
        endpoint = self.configuration.endpoint_url().value
        return None if endpoint is None else mask_url(endpoint)

    def close(self) -> None:
        """Close what was opened."""
        for name in ("source", "store"):
            part = self.__dict__.pop(name, None)
            if part is not None:
                part.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
