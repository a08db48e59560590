"""What is examined, with what several checks ask for kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from xcomctl.airflow.interface import Source, SourceCondition
from xcomctl.dialects.interface import Dialects
from xcomctl.doctor.sample import Sample, take_sample
from xcomctl.errors import SourceError
from xcomctl.inventory.judging import Sides
from xcomctl.inventory.workspace import Resources
from xcomctl.models import Root
from xcomctl.policy.file import PolicyFile
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import BucketSettings, Store
from xcomctl.state.trash.entries import DEFAULT_TRASH_KEEP

_PROPOSED = 5
"""So many of the roots that references show are examined where none is given."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is to be examined, as far as it is configured. `source` is None where no database is.

    `roots` are those that are given, `airflow_backend` is the XCom backend that Airflow's own settings name, as far as they
    are seen from here.
    """

    source: Source | None
    store: Callable[[], Store]
    dialects: Dialects
    roots: tuple[Root, ...]
    resources: Resources
    airflow_backend: str | None = None
    policy: Callable[[], PolicyFile] | None = None
    trash_keep: timedelta = DEFAULT_TRASH_KEEP


class CheckContext:
    """Both sides of one set-up. `clock` is that of this machine."""

    def __init__(
        self, setup: Setup, *, clock: Callable[[], datetime], report: Progress = no_progress
    ) -> None:
        self.setup = setup
        self.clock = clock
        self.report = report
        self._settings: dict[str, BucketSettings] = {}
        self.reached: list[Root] = []
        """Roots whose bucket answers, as far as that was asked."""
        self.trash_is_overdue = False
        """Whether something is in a trash for longer than it should be, as far as that was asked."""
        self.reads_database = False
        """Whether the database answers and is one of Airflow's, as far as that was asked."""

    @property
    def source(self) -> Source:
        """The database. Raises SourceError where none is configured."""
        if self.setup.source is None:
            raise SourceError("no metadata database is configured", hint="set XCOMCTL_DB, or add --db")
        return self.setup.source

    @property
    def has_source(self) -> bool:
        """Whether a database is configured."""
        return self.setup.source is not None

    @cached_property
    def store(self) -> Store:
        """The object store. Raises UsageError for settings that cannot be."""
        return self.setup.store()

    @cached_property
    def condition(self) -> SourceCondition:
        """What the server tells of itself. Raises SourceError."""
        return self.source.condition()

    @cached_property
    def sample(self) -> Sample:
        """The newest rows. Raises SourceError."""
        return take_sample(self.source, self.setup.dialects, self.setup.roots)

    @cached_property
    def roots(self) -> tuple[Root, ...]:
        """The roots that are examined: those that are given, else those that the newest references show."""
        if self.setup.roots or not self.reads_database:
            return self.setup.roots
        return self.sample.shown_roots()[:_PROPOSED]

    def sides(self) -> Sides:
        """Rows, and the objects below the roots that answer. Raises SourceError, UsageError."""
        return Sides(
            self.source,
            self.store,
            self.setup.dialects,
            tuple(self.reached),
            resources=self.setup.resources,
            report=self.report,
        )

    def settings(self, bucket: str) -> BucketSettings:
        """What a bucket does by itself. Raises StoreError."""
        if bucket not in self._settings:
            self._settings[bucket] = self.store.settings(bucket)
        return self._settings[bucket]

    def buckets(self) -> Iterator[str]:
        """The buckets of the roots that answer, each once."""
        yield from dict.fromkeys(root.bucket for root in self.reached)
