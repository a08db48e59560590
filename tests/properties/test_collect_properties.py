"""Tasks push, push again, share and vanish, and collections run in between: no row ever loses its object."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.schemas.airflow_database import SHAPES, AirflowDatabase, Shape
from tests.services.deployment import DAY, Deployment, deleted_keys
from tests.services.object_stores import MotoServer, new_bucket, point_to, remove_bucket
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.gc.apply import Outcome, RowReading, apply_plan
from xcomctl.gc.plan import Plan
from xcomctl.policy import Policy
from xcomctl.state.journal import OperationRecord, find
from xcomctl.state.undo import Undone, undo

DAGS = st.sampled_from(["etl", "train"])
RUNS = st.sampled_from(["r1", "r2", "r3"])
TASKS = st.sampled_from(["load", "clean"])
AGES = st.sampled_from([0, 20, 40, 60])
POLICIES = st.sampled_from(
    [
        Policy(),
        Policy(older_than=30 * DAY),
        Policy(older_than=30 * DAY, keep_last=0),
        Policy(keep_last=1),
        Policy(older_than=10 * DAY, keep_last=0, dag="e*"),
    ]
)
ATTEMPT = "01a20264-1050-75d2-8f6d-{:012x}"

_prefixes = itertools.count()


class World(RuleBasedStateMachine):
    """One deployment. Objects are below a prefix of their own; every one of them is of a layout that we claim."""

    server: MotoServer
    bucket: str
    shape: Shape

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="xcomctl-test-")
        database = AirflowDatabase(f"sqlite:///{Path(self.folder.name) / 'airflow.db'}", self.shape).create()
        self.here = Deployment(database, self.server, self.bucket, f"w{next(_prefixes)}")
        self.names = itertools.count()
        self.last: OperationRecord | None = None
        self.here.add_row("etl", "r0", "a DAG that every glob of a policy finds")

    def teardown(self) -> None:
        """Close everything."""
        self.here.__exit__()
        self.folder.cleanup()

    @rule(dag=DAGS, run=RUNS, task=TASKS, age=AGES, reuse=st.booleans(), attempt=st.booleans())
    def push(self, dag: str, run: str, task: str, age: int, reuse: bool, attempt: bool) -> None:
        """A task pushes a new object, or a reference to one that was there before, if it is still there."""
        there = self.present()
        if reuse and there:
            key = there[age % len(there)]
        elif attempt:
            # A layout whose keys are written again: what the last push left there is replaced.
            name = ATTEMPT.format(age)
            key = self.here.upload(key=f"{self.here.prefix}/{dag}/{run}/{task}/ti-{name}/return_value.json")
        else:
            key = self.here.upload(dag, run)
        self.here.push(dag, run, task=task, name=f"k{next(self.names)}", age=age * DAY, key=key)

    @rule(age=AGES)
    def mention(self, age: int) -> None:
        """A row holds a key somewhere inside of something else."""
        there = self.present()
        if there:
            value = {"note": ["see", f"/mnt/{there[-1]}, please"]}
            self.here.add_row("etl", "r1", value, name=f"k{next(self.names)}", age=age * DAY)

    @rule(dag=DAGS, run=RUNS)
    def upload_without_row(self, dag: str, run: str) -> None:
        """A task died between upload and row."""
        self.here.upload(dag, run)

    @rule(run=RUNS, state=st.sampled_from(["running", "queued", "success", "failed"]))
    def change_state(self, run: str, state: str) -> None:
        """A run is cleared, or ends."""
        self.here.database.execute(
            "UPDATE dag_run SET state = :state WHERE run_id = :run", state=state, run=run
        )

    @rule(run=RUNS)
    def delete_rows(self, run: str) -> None:
        """`airflow db clean` or a person deletes rows, and nobody their objects."""
        self.database_rows(f"DELETE FROM {self.here.database.table} WHERE {{}}", run)

    @rule(run=RUNS)
    def archive_rows(self, run: str) -> None:
        """`airflow db clean` moves rows into an archive table."""
        table, archive = self.here.database.table, f"_airflow_deleted__xcom__{next(self.names):014}"
        self.database_rows(f"CREATE TABLE {archive} AS SELECT * FROM {table} WHERE {{}}", run)
        self.database_rows(f"DELETE FROM {table} WHERE {{}}", run)

    @rule(policy=POLICIES, orphans=st.booleans(), ignore_archives=st.booleans())
    def collect(self, policy: Policy, orphans: bool, ignore_archives: bool) -> None:
        """A collection, with nobody in between: nothing that it planned is left over."""
        plan = self.plan(policy, orphans=orphans, ignore_archives=ignore_archives)
        outcome = Outcome()
        with self.here.operation() as operation:
            apply_plan(plan, operation, RowReading(DialectRegistry(), ignore_archives), outcome=outcome)
        assert outcome.failed == 0
        self.last = find(self.here.store, operation.roots, operation.id)
        if orphans and policy.dag is None:
            again = self.plan(Policy(), ignore_archives=ignore_archives)
            assert deleted_keys(again) == set()

    @rule()
    def undo(self) -> None:
        """Somebody takes the last collection back, as far as it can be."""
        last = self.last
        if last is not None:
            with self.here.operation(command="undo") as operation:
                undo(last, operation, self.here.store, DialectRegistry(), Undone())

    @rule(keep=st.sampled_from([timedelta(0), timedelta(days=-1)]))
    def purge(self, keep: timedelta) -> None:
        """The trash is emptied: what a row references by now comes back first."""
        self.here.apply(self.plan(Policy(), orphans=False, trash_keep=keep))

    @rule(policy=POLICIES, late=st.sampled_from(["push", "overwrite", "running", "delete"]), data=st.data())
    def collect_while_tasks_work(self, policy: Policy, late: str, data: st.DataObject) -> None:
        """Between plan and apply tasks push references to what was to go, overwrite it, start again."""
        self.here.upload("etl", "r1")
        plan = self.plan(policy)
        targets = sorted(deleted_keys(plan))
        if targets:
            key = data.draw(st.sampled_from(targets))
            if late == "push":
                self.here.push("late", "r1", name=f"k{next(self.names)}", key=key)
            elif late == "overwrite":
                self.here.client.put_object(Bucket=self.bucket, Key=key, Body=b"a new value")
                self.here.push("late", "r1", name=f"k{next(self.names)}", key=key)
            elif late == "running":
                self.here.database.execute("UPDATE dag_run SET state = 'running'")
            else:
                self.here.client.delete_object(Bucket=self.bucket, Key=key)
                # Whoever deletes an object deletes its rows: only ours must never dangle.
                self.forget(key)
        self.here.apply(plan)

    @invariant()
    def every_row_has_its_object(self) -> None:
        """Rule 2 of the design."""
        assert self.here.dangling() == set()

    def present(self) -> list[str]:
        """Keys of this world, sorted."""
        return sorted(key for key in self.here.keys() if key.startswith(f"{self.here.prefix}/"))  # noqa: SIM118

    def plan(self, policy: Policy, **scope: Any) -> Plan:
        """Plan without a grace period."""
        return self.here.plan(policy, **scope)

    def forget(self, key: str) -> None:
        """Delete the rows that name a key."""
        table = self.here.database.table
        self.here.database.execute(f"DELETE FROM {table} WHERE value LIKE :value", value=f"%{key}%")

    def database_rows(self, statement: str, run: str) -> None:
        """Run a statement about the rows of one run."""
        condition = "run_id = :run"
        if self.shape == "airflow-3.4":
            condition = "task_instance_id IN (SELECT id FROM task_instance WHERE run_id = :run)"
        self.here.database.execute(statement.format(condition), run=run)


@pytest.fixture
def machine(moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Shape], Any]]:
    """Makes machines for a shape of the database, on one bucket."""
    point_to(monkeypatch, moto_server)
    bucket = new_bucket(moto_server)
    yield lambda shape: type("World", (World,), {"server": moto_server, "bucket": bucket, "shape": shape})
    remove_bucket(moto_server, bucket)


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_whatever_happens_no_row_loses_its_object(machine: Callable[[Shape], Any], shape: Shape) -> None:
    """After any sequence of pushes, deletions and collections every row's object exists, and no orphan is left over."""
    run_state_machine_as_test(
        cast("Any", machine(shape)),
        settings=settings(
            max_examples=4,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
