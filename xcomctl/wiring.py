"""Composition root: puts adapters behind the ports, as configured. Nothing is imported before it is used."""

from __future__ import annotations

from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING

from xcomctl.config import Configuration
from xcomctl.models import Root

if TYPE_CHECKING:
    from xcomctl.dialects.interface import Dialects
    from xcomctl.metadata.interface import Source
    from xcomctl.stores.interface import Store


class Session:
    """The parts of one run: source, store, dialects, roots. A context manager that closes what was opened."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration

    @cached_property
    def source(self) -> Source:
        """The metadata database. Raises UsageError where none is configured; it connects when first asked."""
        database = self.configuration.database()
        schema = self.configuration.db_schema().value

        from xcomctl.metadata.database import DatabaseSource

        return DatabaseSource(database.value, schema)

    @cached_property
    def store(self) -> Store:
        """The object store. Asking for it imports boto3."""
        from xcomctl.stores.s3 import S3Settings, S3Store

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
