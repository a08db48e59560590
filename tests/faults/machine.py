"""A state machine: tasks write, people delete, the database goes back in time, and the tool works in between."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.faults.killing import expire_locks
from tests.faults.oracle import Promise
from tests.faults.scene import OLD, Scene, outcome
from tests.services.command import Result
from tests.services.deployment import DAY, NO_WAIT
from tests.services.fault_proxy import Fault
from tests.services.s3_requests import is_copy, is_deletion, is_listing
from tests.services.store_faults import (
    at,
    error,
    half_a_document,
    hang_up,
    ignores_batch_conditions,
    lost_answer,
    only,
    page_out_of_order,
    small_pages,
)

DAGS = st.sampled_from(["etl", "train"])
RUNS = st.sampled_from(["r1", "r2", "r3"])
AGES = st.sampled_from([0, 20, 40, 60])
POLICIES = st.sampled_from(
    [(), OLD, (*OLD, "--keep-last", "0"), ("--keep-last", "1"), ("--no-orphans", *OLD)]
)
PLACES = st.integers(1, 60)

FAULTS: dict[str, Callable[[int], Fault]] = {
    "none": lambda place: only(lambda asked: False, hang_up),
    "busy": lambda place: only(lambda asked: True, error(503, "SlowDown"), first=place, times=1),
    "cut": lambda place: only(lambda asked: True, hang_up, first=place, times=1),
    "answer lost": lambda place: only(lambda asked: True, lost_answer, first=place, times=1),
    "gone for good": lambda place: only(lambda asked: True, error(403, "AccessDenied"), first=place),
    "no copies": lambda place: only(is_copy, error(403, "AccessDenied"), first=1 + place // 20),
    "no deletions": lambda place: only(is_deletion, error(403, "AccessDenied"), first=place // 2),
    "half a listing": lambda place: only(is_listing, half_a_document, first=1 + place // 20),
    "odd listing": lambda place: only(is_listing, page_out_of_order),
    "small pages": lambda place: small_pages(1 + place // 10),
    "no batch conditions": lambda place: ignores_batch_conditions,
}


HARMLESS = ("none", "odd listing", "small pages", "no batch conditions")
"""Faults in spite of which everything is done."""


@dataclass(frozen=True)
class Saved:
    """A backup of the database: the file, and what was promised and known when it was made."""

    file: Path
    promises: dict[str, Promise]
    run_ids: dict[tuple[str, str], int]
    task_ids: dict[tuple[Any, ...], str]
    archives: int


class World(RuleBasedStateMachine):
    """One scene on SQLite. `make` gives a new one; whoever runs the machine says how."""

    make: Callable[[], Scene]
    folder: Path
    counts: ClassVar[Counter[str]] = Counter()
    """What all machines did so far: steps, collections by exit code, what became of rows and objects."""

    _copies = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.scene = type(self).make()
        self.oracle = self.scene.oracle
        self.uncommitted: list[tuple[str, bytes]] = []
        """Uploads whose row is on its way."""
        self.late: set[str] = set()
        """Rows that came when their object was in the trash: the next collection owes it to them."""
        self.gone: dict[str, Promise] = {}
        """Rows that the tool deleted, and an undo may bring back."""
        self.saved: Saved | None = None
        self.archives = 0
        self.scene.push("etl", "r0")
        self.scene.push("train", "r0")

    def teardown(self) -> None:
        """Let go of the scene."""
        self.scene.here.__exit__()

    # --- tasks -----------------------------------------------------------------------------------------------------

    @rule(dag=DAGS, run=RUNS, age=AGES)
    def push(self, dag: str, run: str, age: int) -> None:
        """A task uploads and commits."""
        self.scene.push(dag, run, age=age * DAY)

    @rule(dag=DAGS, run=RUNS, age=AGES, attempt=st.integers(1, 3), same=st.booleans())
    def push_again(self, dag: str, run: str, age: int, attempt: int, same: bool) -> None:
        """A retry writes a key again, with the same bytes or with others; its row names it anew."""
        key = f"{self.scene.here.prefix}/{dag}/{run}/load/ti-01a20264-1050-75d2-8f6d-{attempt:012x}/return_value.json"
        self.scene.push(dag, run, key=key, age=age * DAY, body=b'"same"' if same else None)

    @rule(dag=DAGS, run=RUNS)
    def upload(self, dag: str, run: str) -> None:
        """A task uploads; its row may come later, or never."""
        body = self.scene.new_body()
        self.uncommitted.append((self.scene.upload(dag, run, body=body), body))

    @precondition(lambda self: self.uncommitted)
    @rule(data=st.data(), dag=DAGS)
    def commit_late(self, data: st.DataObject, dag: str) -> None:
        """The row of an upload comes at last."""
        key, body = data.draw(st.sampled_from(self.uncommitted))
        self.uncommitted.remove((key, body))
        there = self.scene.present(key)[0]
        ref = self.scene.commit(key, body, dag, "late")
        if not there:
            self.late.add(ref)

    @rule(run=RUNS, state=st.sampled_from(["running", "queued", "success", "failed"]))
    def change_state(self, run: str, state: str) -> None:
        """A run is cleared, or ends."""
        self.execute("UPDATE dag_run SET state = :state WHERE run_id = :run", state=state, run=run)

    @rule(run=RUNS, state=st.sampled_from([None, "queued", "success"]))
    def clear_task(self, run: str, state: str | None) -> None:
        """A task is cleared, or ends."""
        self.execute("UPDATE task_instance SET state = :state WHERE run_id = :run", state=state, run=run)

    # --- people ----------------------------------------------------------------------------------------------------

    @rule(run=RUNS)
    def delete_rows(self, run: str) -> None:
        """Rows are deleted, and nobody deletes their objects."""
        self.forget(run)
        self.execute("DELETE FROM xcom WHERE run_id = :run", run=run)

    @rule(run=RUNS)
    def archive_rows(self, run: str) -> None:
        """`airflow db clean` moves rows into an archive table."""
        self.archives += 1
        table = f"_airflow_deleted__xcom__{self.archives:014}"
        self.execute(f"CREATE TABLE {table} AS SELECT * FROM xcom WHERE run_id = '{run}'")
        # As long as the table is there their objects stay, and with it goes all that is known of them.
        for ref in self.of_run(run):
            self.oracle.archived(ref)
        self.execute("DELETE FROM xcom WHERE run_id = :run", run=run)

    @precondition(lambda self: self.archives)
    @rule()
    def drop_archives(self) -> None:
        """Somebody drops all archive tables."""
        for number in range(1, self.archives + 1):
            self.execute(f"DROP TABLE IF EXISTS _airflow_deleted__xcom__{number:014}")
        there = self.scene.here.refs()
        self.oracle.forget(*(ref for ref in self.oracle.promises() if ref not in there))

    @rule()
    def save_database(self) -> None:
        """A backup of the database is made."""
        if not self.late:
            copy = self.folder / f"copy{next(self._copies)}.db"
            shutil.copy(self.file, copy)
            database = self.scene.here.database
            self.saved = Saved(
                copy, self.oracle.promises(), dict(database.run_ids), dict(database.task_ids), self.archives
            )

    @precondition(lambda self: self.saved)
    @rule()
    def restore_database(self) -> None:
        """The database goes back to its backup: rows of then are there again, whose objects may be in the trash."""
        assert self.saved is not None
        saved, database = self.saved, self.scene.here.database
        shutil.copy(saved.file, self.file)
        database.run_ids, database.task_ids = dict(saved.run_ids), dict(saved.task_ids)
        self.oracle.forget(*self.oracle.promises())
        self.oracle.renew(saved.promises.values())
        there = self.scene.here.refs()
        self.oracle.archived(*(ref for ref in saved.promises if ref not in there))
        self.late = set(saved.promises)
        self.archives = saved.archives
        self.gone.clear()

    # --- the tool --------------------------------------------------------------------------------------------------

    @rule(policy=POLICIES, fault=st.sampled_from(sorted(FAULTS)), place=PLACES)
    def collect(self, policy: tuple[str, ...], fault: str, place: int) -> None:
        """A collection, with a fault or without."""
        self.allow_expired(policy)
        with self.scene.proxy.with_faults(FAULTS[fault](place)):
            done = self.agreed("gc", *NO_WAIT, *policy)
        self.settle(done, whole=fault in HARMLESS)

    @rule(policy=POLICIES, moment=st.sampled_from(["listing", "copy", "deletion"]), data=st.data())
    def collect_while_tasks_work(self, policy: tuple[str, ...], moment: str, data: st.DataObject) -> None:
        """At some moment of a collection a task commits the row of an upload, and another one uploads."""
        when = {"listing": is_listing, "copy": is_copy, "deletion": is_deletion}[moment]
        if not self.uncommitted:
            self.upload("etl", "r1")
        key, body = data.draw(st.sampled_from(self.uncommitted))
        self.allow_expired(policy)
        in_the_trash = not self.scene.present(key)[0]
        committed: list[str] = []

        def work() -> None:
            committed.append(self.scene.commit(key, body, "etl", "late"))
            self.scene.push("train", "late")
            # Where runs are counted, what was written a moment ago may be of one run too many.
            self.allow_expired(policy)

        with self.scene.proxy.with_faults(only(when, at(work), times=1)):
            done = self.agreed("gc", *NO_WAIT, *policy)
        self.settle(done, whole=True)
        if committed:
            self.uncommitted.remove((key, body))
        if in_the_trash:
            # It may have been planned before the row came.
            self.late.update(committed)

    @rule(fault=st.sampled_from(sorted(FAULTS)), place=PLACES)
    def undo(self, fault: str, place: int) -> None:
        """The last operation is undone, perhaps in part: each row that is back has its object."""
        operations = self.scene.log()
        if operations:
            with self.scene.proxy.with_faults(FAULTS[fault](place)):
                done = self.agreed("undo", operations[0]["id"])
            assert done.code in ((0, 3) if fault in HARMLESS else (0, 1, 3, 5, 6, 7)), done.stderr
            World.counts[f"undos that ended with {done.code}"] += 1
            there = self.scene.here.refs()
            back = [promise for ref, promise in self.gone.items() if ref in there]
            self.oracle.renew(back)
            for promise in back:
                del self.gone[promise.ref]

    @precondition(lambda self: not self.late)
    @rule(fault=st.sampled_from(sorted(FAULTS)), place=PLACES)
    def purge(self, fault: str, place: int) -> None:
        """The trash is emptied, perhaps in part: what comes too late now has lost for good."""
        with self.scene.proxy.with_faults(FAULTS[fault](place)):
            done = self.agreed("trash purge", "--older-than", "0s")
        assert done.code in ((0,) if fault in HARMLESS else (0, 3, 5, 6, 7)), done.stderr
        there = self.scene.here.keys()
        self.uncommitted = [one for one in self.uncommitted if one[0] in there]
        self.saved = None
        self.gone.clear()

    @rule()
    def restore_trash(self) -> None:
        """All of the trash comes back."""
        expire_locks(self.scene)
        done = self.scene.run("trash restore", "--dag", "*")
        # 1: there is nothing in it.
        assert done.code in (0, 1, 3), done.stderr

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every promise is kept, but for rows that still wait for the next collection."""
        World.counts["steps"] += 1
        lost = self.oracle.lost(except_of=self.late)
        assert lost == [], lost

    # --- how -------------------------------------------------------------------------------------------------------

    @property
    def file(self) -> Path:
        """The file of the database."""
        return Path(self.scene.here.database.url.removeprefix("sqlite:///"))

    def execute(self, statement: str, **parameters: str | None) -> None:
        """A statement of somebody else."""
        self.scene.here.database.execute(statement, **parameters)

    def of_run(self, run: str) -> list[str]:
        """Rows that are there, of runs of this name."""
        return [ref for ref in self.scene.here.refs() if f"/{run}/" in ref]

    def forget(self, run: str) -> None:
        """Nobody expects anything of the rows of a run."""
        refs = self.of_run(run)
        self.oracle.forget(*refs)
        self.late.difference_update(refs)

    def agreed(self, verb: str, *arguments: str) -> Result:
        """Run a verb as a person does who accepts what guards refuse, once the lock of a dead holder ran out."""
        expire_locks(self.scene)
        done = self.scene.run(verb, *arguments, "--yes", "-o", "json")
        if done.code == 5 and "add --accept" in done.stderr:
            accepted = done.stderr.rpartition("add ")[2].split()
            done = self.scene.run(verb, *arguments, "--yes", "-o", "json", *accepted)
        assert "unexpected" not in done.stderr, done.stderr
        return done

    def allow_expired(self, policy: tuple[str, ...]) -> None:
        """Rows that the policy may take: of runs that are over, and old enough or of any age."""
        if not policy:
            return
        age = "" if "--older-than" not in policy else " AND x.timestamp < :before"
        statement = (
            "SELECT x.dag_id || '/' || x.run_id || '/' || x.task_id || ':' || x.key FROM xcom x"
            " JOIN dag_run d ON d.id = x.dag_run_id WHERE d.state IN ('success', 'failed')" + age
        )
        self.oracle.may_go(self.scene.rows_where(statement, before=self.scene.here.began_at - 30 * DAY))

    def settle(self, done: Result, *, whole: bool) -> None:
        """After a collection: rows that it deleted are gone, those that it left stay; late ones have their objects."""
        assert done.code in ((0,) if whole else (0, 3, 5, 6, 7)), done.stderr
        World.counts[f"collections that ended with {done.code}"] += 1
        if done.stdout:
            for what, numbers in outcome(done).items():
                World.counts.update({f"{what} {name}": number for name, number in numbers.items()})
        there = self.scene.here.refs()
        for ref, promise in self.oracle.promises().items():
            if ref not in there and not promise.object_stays:
                self.gone[ref] = promise
                self.oracle.forget(ref)
        self.oracle.stay(there)
        if whole and done.code == 0:
            self.late.clear()
