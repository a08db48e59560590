"""Planning and applying on real servers, with the world changing in between, and sides that fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, cast

import pytest

from tests.services.deployment import MONTH, Deploy, Deployment, deleted_keys, two_runs
from tests.services.interposed import Interposed, fails
from tests.services.object_stores import MotoServer, new_bucket, point_to, remove_bucket
from tests.services.processes import free_port
from tests.services.scripted_store import Answer, Asked, scripted_store
from tests.services.sweeps import sweep
from xcomctl.airflow.interface import Snapshot
from xcomctl.demo.server import SeaweedFS
from xcomctl.errors import RefusedError, SourceError, StoreError
from xcomctl.gc.apply import Outcome
from xcomctl.gc.collect import Scope, plan_collection
from xcomctl.models import Root
from xcomctl.s3.store import S3Settings, S3Store


def _row_for_an_orphan(here: Deployment, orphan: str, gone: str) -> None:
    here.push("late", "r1", key=orphan)


def _mention_of_an_orphan(here: Deployment, orphan: str, gone: str) -> None:
    here.add_row("late", "r1", {"log": f"see {orphan.rpartition('/')[2].upper()}, please"})


def _row_of_another_dag(here: Deployment, orphan: str, gone: str) -> None:
    here.push("other", "r1", key=gone)


def _pushed_again(here: Deployment, orphan: str, gone: str) -> None:
    here.database.execute(
        "UPDATE xcom SET timestamp = :at WHERE run_id = 'old'",
        at=here.database._time(datetime.now(timezone.utc)),
    )


def _other_value(here: Deployment, orphan: str, gone: str) -> None:
    new = here.upload()
    here.database.execute("UPDATE xcom SET value = :v WHERE run_id = 'old'", v=f'"{here.uri(new)}"')


def _running_again(here: Deployment, orphan: str, gone: str) -> None:
    here.database.execute("UPDATE dag_run SET state = 'running' WHERE run_id = 'old'")


def _cleared(here: Deployment, orphan: str, gone: str) -> None:
    here.database.execute("UPDATE task_instance SET state = 'queued' WHERE run_id = 'old'")


def _row_deleted(here: Deployment, orphan: str, gone: str) -> None:
    here.database.execute("DELETE FROM xcom WHERE run_id = 'old'")


def _overwritten(here: Deployment, orphan: str, gone: str) -> None:
    for key in (orphan, gone):
        here.client.put_object(Bucket=here.bucket, Key=key, Body=b"another value")


def _objects_deleted(here: Deployment, orphan: str, gone: str) -> None:
    here.client.delete_objects(Bucket=here.bucket, Delete={"Objects": [{"Key": orphan}, {"Key": gone}]})


Interference = Callable[[Deployment, str, str], None]
GONE, DELETED = {"deleted": 1}, {"deleted": 2, "trashed": 2}
RACES: list[tuple[Interference, dict[str, int], dict[str, int], set[str]]] = [
    (_row_for_an_orphan, GONE, {"referenced": 1, "deleted": 1, "trashed": 1}, {"orphan"}),
    (_mention_of_an_orphan, GONE, {"referenced": 1, "deleted": 1, "trashed": 1}, {"orphan"}),
    (_row_of_another_dag, GONE, {"referenced": 1, "deleted": 1, "trashed": 1}, {"gone"}),
    (_pushed_again, {"changed": 1}, {"referenced": 1, "deleted": 1, "trashed": 1}, {"gone"}),
    (_other_value, {"changed": 1}, DELETED, set()),
    (_running_again, {"run_active": 1}, {"referenced": 1, "deleted": 1, "trashed": 1}, {"gone"}),
    (_cleared, {"run_active": 1}, {"referenced": 1, "deleted": 1, "trashed": 1}, {"gone"}),
    (_row_deleted, {"gone": 1}, DELETED, set()),
    (_overwritten, GONE, {"changed": 2}, {"orphan", "gone"}),
    (_objects_deleted, GONE, {"gone": 2}, set()),
]
_ON_POSTGRES = (_pushed_again, _running_again, _row_for_an_orphan)


@pytest.mark.parametrize(
    ("engine", "interfere", "rows", "objects", "left"),
    sweep(
        [
            pytest.param(engine, *race, id=f"{race[0].__name__.strip('_')}-{engine}")
            for race in RACES
            for engine in ("sqlite", "postgres")
        ],
        # Each once by default.
        lambda engine, interfere, *_: engine == ("postgres" if interfere in _ON_POSTGRES else "sqlite"),
    ),
)
def test_what_happens_between_plan_and_apply_is_noticed(
    deploy: Deploy,
    engine: str,
    interfere: Interference,
    rows: dict[str, int],
    objects: dict[str, int],
    left: set[str],
) -> None:
    """Both sides are asked again: rows that changed stay, objects that are referenced or overwritten stay."""
    here = deploy(engine)
    gone, new = two_runs(here)
    orphan = here.upload()
    plan = here.plan(MONTH)
    assert deleted_keys(plan) == {gone, orphan}
    interfere(here, orphan, gone)
    outcome = here.apply(plan)
    assert (
        {k: v for k, v in outcome.rows.items() if v},
        {k: v for k, v in outcome.objects.items() if v},
    ) == (
        rows,
        objects,
    )
    names = {orphan: "orphan", gone: "gone"}
    assert {names[key] for key in here.keys() & names.keys()} == left
    assert ({new} <= here.keys(), here.dangling()) == (True, set())
    # Once more: nothing else happens, and nothing breaks.
    state = here.state()
    here.apply(plan)
    assert here.state() == state


def test_an_object_outside_of_the_roots_is_not_deleted(deploy: Deploy) -> None:
    """Whoever applies a plan under other roots cannot ask for its references there, so it stays."""
    here = deploy()
    here.push()
    here.upload()
    plan = here.plan()
    outcome = here.apply(plan, roots=(Root(here.bucket, "other/"),))
    assert outcome.objects == {"referenced": 1}


def test_a_plan_for_another_database_is_refused(deploy: Deploy) -> None:
    """Rows of a table that is not there: nothing is deleted."""
    here, other = deploy(), deploy("sqlite", "airflow-3.4")
    two_runs(here)
    plan = here.plan(MONTH)
    before = here.keys()
    with pytest.raises(RefusedError, match="the plan names table xcom"):
        here.apply(plan, source=other.source)
    assert here.keys() == before


def test_a_store_that_is_gone_before_the_apply_costs_nothing(deploy: Deploy) -> None:
    """Without a lock and a journal nothing begins."""
    here = deploy()
    two_runs(here)
    plan, before = here.plan(MONTH), here.state()
    dead = S3Store(S3Settings(endpoint_url=f"http://127.0.0.1:{free_port()}"))
    with closing(dead), pytest.raises(StoreError):
        here.apply(plan, store=dead)
    assert here.state() == before


def test_a_store_that_dies_after_the_rows_leaves_no_dangling_row(deploy: Deploy) -> None:
    """Rows go first: their objects are orphans then, which the next run collects."""
    here = deploy()
    _, new = two_runs(here)
    outcome = Outcome()
    dying: Any = Interposed(here.store, before={"copy": fails})
    with pytest.raises(StoreError):
        here.apply(here.plan(MONTH), store=dying, outcome=outcome)
    assert (outcome.rows, outcome.objects, here.dangling()) == (GONE, {"referenced": 0}, set())
    here.apply(here.plan(MONTH))
    assert here.keys() == {new}


def test_a_connection_that_is_lost_is_an_error(deploy: Deploy) -> None:
    """The server ends our session before all rows are read: no plan, and never a short one."""
    here = deploy("postgres")
    two_runs(here)
    before = here.state()

    class Killed(Interposed):
        """The database, which ends every session of ours as soon as its view is open."""

        @contextmanager
        def snapshot(self) -> Iterator[Snapshot]:
            """Open a view, and end the session that has it."""
            with here.source.snapshot() as opened:
                here.database.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'xcomctl'"
                )
                yield opened

    with pytest.raises(SourceError) as caught:
        plan_collection(
            replace(here.sides(), source=cast("Any", Killed(here.source))),
            Scope(policy=MONTH),
            now=here.began_at,
        )
    assert (caught.value.exit_code, here.state()) == (6, before)


@pytest.mark.parametrize("phase", ["rows", "objects"])
def test_a_database_that_is_lost_in_an_apply_stops_it(deploy: Deploy, phase: str) -> None:
    """What was not asked again is not deleted; what was deleted is counted."""
    here = deploy("postgres")
    gone, _ = two_runs(here)
    orphan = here.upload()
    plan = here.plan(MONTH)
    away = "ALTER TABLE {} RENAME TO {}"

    def report(stage: str, count: int) -> None:
        if stage == "rows deleted" and phase == "objects":
            here.database.execute(away.format("xcom", "elsewhere"))

    if phase == "rows":
        here.database.execute(away.format("xcom", "elsewhere"))
    outcome = Outcome()
    with pytest.raises(SourceError):
        here.apply(plan, outcome=outcome, report=report)
    here.database.execute(away.format("elsewhere", "xcom"))
    assert outcome.rows == ({} if phase == "rows" else GONE)
    assert ({gone, orphan} <= here.keys(), here.dangling()) == (True, set())


def test_a_store_that_may_only_be_read_is_left_alone(
    deploy: Deploy, seaweed: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it can do is tried before anything else: a 403 there ends it, and no row has gone."""
    here = deploy()
    two_runs(here)
    here.upload()
    before = here.state()
    for name, value in seaweed.environment("reader").items():
        monkeypatch.setenv(name, value)
    with closing(S3Store(S3Settings(endpoint_url=seaweed.endpoint_url))) as reader:
        plan = here.plan(MONTH, store=reader)
        with pytest.raises(StoreError, match="denied"):
            here.apply(plan, store=reader)
    assert here.state() == before


@pytest.mark.parametrize(
    "page",
    [
        Answer(b"<Error><Code>InternalError</Code></Error>", 500),
        Answer(b"<Error><Code>AccessDenied</Code></Error>", 403),
        Answer(b"<ListBucketResult><IsTruncated>true</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"),
        Answer(b"<html>Sign in</html>"),
    ],
    ids=["500", "403", "cut", "login page"],
)
def test_a_listing_that_does_not_come_whole_is_no_plan(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch, page: Answer
) -> None:
    """An error on any page ends it before the database is even asked."""
    here = deploy()
    two_runs(here)

    def script(asked: Asked) -> Answer:
        if asked.method == "HEAD":
            # The bucket is there, and no object is.
            status = 200 if asked.path.strip("/") == here.bucket else 404
            return Answer(status=status, headers=(("Date", "Sun, 01 Nov 2026 06:00:00 GMT"),))
        return page

    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with (
        scripted_store(script) as server,
        closing(S3Store(S3Settings(endpoint_url=server.endpoint_url))) as store,
        pytest.raises(StoreError),
    ):
        here.plan(MONTH, store=store)


ODD_KEYS = [
    "a+b c%20d/manual__2026-01-01T00:00:00+00:00/load/",
    "é/ü ñ/日本/",
    "a/b//c/r/load/",
    "100%/%2F/%/",
    "'quoted'/\"double\"/<&>/",
    "etl/r*?[x]/load/",
]


def test_keys_of_any_kind_are_deleted_exactly(
    deploy: Deploy, moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`+ % : // é`, spaces and quotes: the orphan goes, its referenced neighbour stays."""
    here = deploy()
    here.server, here.bucket = moto_server, new_bucket(moto_server)
    point_to(monkeypatch, moto_server)
    try:
        kept, lost = set(), set()
        for number, folder in enumerate(ODD_KEYS):
            orphan = here.upload(key=f"{here.prefix}/{folder}{number}1111111-1111-4111-8111-111111111111")
            live = here.upload(key=f"{here.prefix}/{folder}{number}2222222-2222-4222-8222-222222222222")
            here.push(run=f"r{number}", key=live)
            lost.add(orphan)
            kept.add(live)
        plan = here.plan()
        assert deleted_keys(plan) == lost
        here.apply(plan)
        assert (here.keys(), here.dangling()) == (kept, set())
    finally:
        remove_bucket(moto_server, here.bucket)
