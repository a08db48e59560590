"""An Airflow with its bucket, as small or as odd as a test wants it: what tasks push, and what became of it."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.schemas.airflow_database import AirflowDatabase, Shape
from tests.services.object_stores import ObjectServer
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import Selection, Source
from xcomctl.demo.server import SeaweedFS
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.gc.apply import Outcome, RowReading, apply_plan
from xcomctl.gc.collect import Scope, plan_collection
from xcomctl.gc.plan import Plan
from xcomctl.inventory.judging import Sides
from xcomctl.models import RESERVED_FOLDER, Root
from xcomctl.policy import Policy
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import Store, StoredListing
from xcomctl.s3.store import S3Settings, S3Store
from xcomctl.state.journal import Invocation
from xcomctl.state.operation import Operation
from xcomctl.state.trash.contents import contents

DAY = timedelta(days=1)

MONTH = Policy(older_than=30 * DAY)

NO_WAIT = ("--min-age", "0s", "--unsafe-min-age")
"""Options without which no object of a test is old enough."""

_REFERENCE = re.compile(r"s3://(?:[^@/]*@)?([^/]+)/(.+)", re.DOTALL)


class Deployment:
    """A database and a prefix of a bucket. Close it by `with`; the database and the bucket are the caller's."""

    def __init__(
        self, database: AirflowDatabase, server: ObjectServer, bucket: str, prefix: str = "xcom"
    ) -> None:
        self.database = database
        self.server = server
        self.bucket = bucket
        self.prefix = prefix
        self.began_at = datetime.now(timezone.utc)
        self._ages: dict[tuple[str, str], datetime] = {}
        self._open = ExitStack()

    def __enter__(self) -> Deployment:
        self._open.enter_context(self.database)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def root(self) -> str:
        """The root as the command line takes it."""
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def options(self) -> tuple[str, ...]:
        """Options that point the command here."""
        return ("--db", self.database.url, "--store", self.root, "--endpoint-url", self.server.endpoint_url)

    @cached_property
    def client(self) -> Any:
        """A client of the server."""
        return self._open.enter_context(closing(self.server.client()))

    @cached_property
    def source(self) -> DatabaseSource:
        """The database as a source."""
        return self._open.enter_context(closing(DatabaseSource(self.database.url)))

    @cached_property
    def store(self) -> S3Store:
        """The server as a store, with the credentials of the environment."""
        return self._open.enter_context(closing(S3Store(S3Settings(endpoint_url=self.server.endpoint_url))))

    def upload(
        self, dag: str = "etl", run: str = "gone", *, key: str | None = None, age: timedelta | None = None
    ) -> str:
        """Put an object, by default one of a run of its own, and give its key. It is `age` old after `settle`."""
        chosen = f"{self.prefix}/{dag}/{run}/load/{uuid.uuid4()}" if key is None else key
        self.client.put_object(Bucket=self.bucket, Key=chosen, Body=b'{"rows": 3}')
        if age is not None:
            self._ages[self.bucket, chosen] = self.began_at - age
        return chosen

    def settle(self) -> None:
        """Give the objects their ages."""
        assert isinstance(self.server, SeaweedFS)
        self.server.backdate(self._ages)
        self._ages.clear()

    def push(
        self,
        dag: str = "etl",
        run: str = "r1",
        *,
        task: str = "load",
        name: str = "return_value",
        age: timedelta = timedelta(0),
        state: str = "success",
        key: str | None = None,
        object_age: timedelta | None = None,
    ) -> str:
        """A task's push, `age` ago, of a run that ended then; the key of its object, which is uploaded unless given."""
        if key is None:
            key = self.upload(dag, run, age=object_age)
        self.add_row(dag, run, self.uri(key), task=task, name=name, age=age, state=state)
        return key

    def add_row(
        self,
        dag: str,
        run: str,
        value: Any,
        *,
        task: str = "load",
        name: str = "return_value",
        age: timedelta = timedelta(0),
        state: str = "success",
    ) -> None:
        """A row of any value."""
        at = self.began_at - age
        if (dag, run) not in self.database.run_ids:
            self.database.add_run(dag, run, state=state, at=at - timedelta(hours=1))
        self.database.add_xcom(dag, run, task, value, key=name, at=at)

    def uri(self, key: str) -> str:
        """The reference that `XComObjectStorageBackend` stores."""
        return f"s3://aws_default@{self.bucket}/{key}"

    def upload_many(self, keys: Sequence[str]) -> None:
        """Put many small objects."""
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda key: self.upload(key=key), keys))

    def all_keys(self) -> set[str]:
        """Every key of the bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return {item["Key"] for page in pages for item in page.get("Contents", [])}

    def keys(self) -> set[str]:
        """Every key of the bucket but those of the tool's own folder."""
        return {key for key in self.all_keys() if f"/{RESERVED_FOLDER}" not in f"/{key}"}

    def trashed(self) -> set[str]:
        """The keys that the objects in the trash had."""
        return {entry.original.key for entry in contents(self.store, (Root.parse(self.root),))}

    def refs(self) -> set[str]:
        """Every row, as `dag/run/task:key`."""
        return {row.ref for row in self.source.rows(Selection(all_attempts=True))}

    def named(self) -> set[str]:
        """Every key of this bucket that a row names."""
        found = set()
        for row in self.source.rows(Selection(all_attempts=True)):
            value = json.loads(row.raw or b"null")
            match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if match and match[1] == self.bucket:
                found.add(match[2])
        return found

    def dangling(self) -> set[str]:
        """Keys that a row names and the bucket does not have."""
        return self.named() - self.keys()

    def state(self) -> tuple[set[str], set[str]]:
        """All keys and all rows: equal before and after means that nothing was deleted."""
        return self.keys(), self.refs()

    def plan(
        self,
        policy: Policy | None = None,
        *,
        min_age: timedelta = timedelta(hours=-1),
        accepted: Sequence[str] = (),
        store: Store | None = None,
        listing: StoredListing | None = None,
        **scope: Any,
    ) -> Plan:
        """Plan in this process; the grace period is negative, so that what was uploaded this second counts."""
        return plan_collection(
            replace(self.sides(), store=store or self.store, listing=listing),
            Scope(policy=policy or Policy(), min_age=min_age, **scope),
            now=datetime.now(timezone.utc),
            accepted=accepted,
        )

    def sides(self) -> Sides:
        """Its rows, and the objects below its root."""
        return Sides(self.source, self.store, DialectRegistry(), (Root.parse(self.root),))

    @contextmanager
    def operation(
        self,
        *,
        store: Store | None = None,
        source: Source | None = None,
        roots: Sequence[Root] = (),
        command: str = "gc",
        plan_id: str | None = None,
        **options: Any,
    ) -> Iterator[Operation]:
        """An operation in this process."""
        with Operation.begin(
            source or self.source,
            store or self.store,
            roots or (Root.parse(self.root),),
            Invocation(command, "kim@worker", datetime.now(timezone.utc), plan_id),
            **options,
        ) as operation:
            yield operation

    def apply(
        self,
        plan: Plan,
        *,
        ignore_archives: bool = False,
        store: Store | None = None,
        source: Source | None = None,
        outcome: Outcome | None = None,
        report: Progress = no_progress,
        **options: Any,
    ) -> Outcome:
        """Apply in this process; `options` are those of an operation."""
        outcome = Outcome() if outcome is None else outcome
        with self.operation(store=store, source=source, plan_id=plan.plan_id, **options) as operation:
            apply_plan(
                plan,
                operation,
                RowReading(DialectRegistry(), ignore_archives, report=report),
                outcome=outcome,
            )
        return outcome


def deleted_keys(plan: Plan) -> set[str]:
    """Keys of the objects that leave their place by a plan."""
    return {action["object_key"] for action in plan.actions.records("delete_object")}


def two_runs(here: Deployment, **old: Any) -> tuple[str, str]:
    """An old run and a new one of `etl`; the keys of their objects."""
    gone = here.push(run="old", age=40 * DAY, **old)
    return gone, here.push(run="new")


Deploy = Callable[..., Deployment]


@pytest.fixture
def deploy(
    request: pytest.FixtureRequest, tmp_path: Path, seaweed: SeaweedFS, seaweed_bucket: str
) -> Iterator[Deploy]:
    """Makes deployments on one new bucket: `deploy(engine, shape, prefix=...)`, each with a database of its own."""
    with ExitStack() as opened:
        numbers = iter(range(100))

        def make(engine: str = "sqlite", shape: Shape = "airflow-3", prefix: str = "xcom") -> Deployment:
            if engine == "sqlite":
                url = f"sqlite:///{tmp_path / f'airflow{next(numbers)}.db'}"
            else:
                url = request.getfixturevalue(f"{engine}_database")
            database = AirflowDatabase(url, shape).create()
            return opened.enter_context(Deployment(database, seaweed, seaweed_bucket, prefix))

        yield make
