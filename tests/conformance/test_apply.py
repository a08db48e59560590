"""Planning and applying on real servers, with the world changing in between."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa

from tests.schemas.airflow_database import SHAPES, Shape
from tests.services.deployment import DAY, Deploy, Deployment, doomed
from tests.services.object_stores import MotoServer, new_bucket, point_to, remove_bucket
from tests.services.processes import free_port
from tests.services.scripted_store import Answer, Asked, scripted_store
from xcomctl.apply import Outcome, apply_plan
from xcomctl.collect import Scope, plan_collection
from xcomctl.demo.server import SeaweedFS
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import RefusedError, SourceError, StoreError
from xcomctl.models import ObjectAddress, Root
from xcomctl.policy import Policy
from xcomctl.stores.s3 import S3Settings, S3Store

MONTH = Policy(older_than=30 * DAY)
ALL_SHAPES = [
    pytest.param(engine, shape, id=f"{engine} {shape}", marks=marks)
    for engine, marks in (("sqlite", ()), ("postgres", ()), ("mariadb", pytest.mark.mariadb))
    for shape in SHAPES
]


def two_runs(here: Deployment, **old: Any) -> tuple[str, str]:
    """An old run and a new one of `etl`; the keys of their objects."""
    gone = here.push(run="old", age=40 * DAY, **old)
    return gone, here.push(run="new")


def rows_deleted(here: Deployment, before: set[str]) -> set[str]:
    """Rows that are not there any more."""
    return before - here.refs()


@pytest.mark.parametrize(("engine", "shape"), ALL_SHAPES)
def test_retention_deletes_exactly_what_is_expired(deploy: Deploy, engine: str, shape: Shape) -> None:
    """Old rows of finished runs go with their objects; the newest run, running and cleared ones, and the young stay."""
    here = deploy(engine, shape)
    expired = {here.push(run="old", age=age * DAY, task=f"t{age}") for age in (50, 40)}
    kept = {
        here.push(run="newest", age=31 * DAY),
        here.push("running", "a", age=90 * DAY, state="running"),
        here.push("running", "b", age=31 * DAY),
        here.push("queued", "a", age=90 * DAY, state="queued"),
        here.push("queued", "b", age=31 * DAY),
    }
    cleared = here.push("cleared", "a", age=90 * DAY)
    here.push("cleared", "b", age=31 * DAY)
    here.database.execute(
        "UPDATE task_instance SET state = 'queued' WHERE dag_id = 'cleared' AND run_id = 'a'"
    )
    here.add_row("inline", "a", {"rows": 1}, age=90 * DAY)
    here.add_row("inline", "b", "text", age=80 * DAY)
    shared = here.push("shared", "a", age=90 * DAY)
    here.push("shared", "b", age=1 * DAY, key=shared)
    elsewhere = "s3://aws_default@elsewhere/xcom/far/a/load/11111111-1111-4111-8111-111111111111"
    here.add_row("far", "a", elsewhere, age=90 * DAY)
    here.add_row("far", "b", 1, age=80 * DAY)
    rows = here.refs()

    plan = here.plan(MONTH, orphans=False)
    outcome = here.apply(plan)

    assert rows_deleted(here, rows) == {
        "etl/old/t50:return_value",
        "etl/old/t40:return_value",
        "inline/a/load:return_value",
        "shared/a/load:return_value",
    }
    assert expired & here.keys() == set()
    assert (kept | {shared, cleared} <= here.keys(), here.dangling()) == (True, set())
    assert (outcome.rows, outcome.objects) == (
        {"deleted": 4, "run_active": 1},
        {"deleted": 2, "referenced": 1},
    )
    assert plan.totals["bytes_reclaimed"] == 3 * 11


def test_every_attempt_of_airflow_34_expires_with_its_run(deploy: Deploy) -> None:
    """Rows of both tables, of the current and of archived attempts, and objects that several of them name."""
    here = deploy("sqlite", "airflow-3.4")
    at = here.began_at - 40 * DAY
    here.database.add_run("etl", "old", at=at - timedelta(hours=1))
    first = here.upload("etl", "old")
    here.database.add_xcom("etl", "old", "load", here.uri(first), at=at, try_number=1, archived=True)
    attempt = f"{here.prefix}/etl/old/load/ti-{'1' * 8}-1111-7111-8111-{'1' * 12}/return_value.json"
    here.upload(key=attempt)
    here.database.add_xcom("etl", "old", "load", here.uri(attempt), at=at, try_number=2)
    legacy = here.upload("etl", "old")
    here.database.add_task("etl", "old", "legacy")
    here.database.add_legacy_xcom("etl", "old", "legacy", here.uri(legacy), at=at)
    kept = here.push(run="new")
    here.apply(here.plan(MONTH))
    assert (here.keys(), here.refs()) == ({kept}, {"etl/new/load:return_value"})


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        (Policy(older_than=30 * DAY), {"r1", "r10"}),
        (Policy(older_than=30 * DAY, keep_last=0), {"r10"}),
        (Policy(older_than=30 * DAY, keep_last=3), {"r1", "r10", "r41"}),
        (Policy(keep_last=2), {"r1", "r10"}),
        (Policy(keep_last=0), set()),
        (Policy(older_than=30 * DAY, dag="other"), {"r1", "r10", "r41", "r51"}),
    ],
    ids=["one", "none", "three", "two alone", "none alone", "other DAG"],
)
def test_the_newest_runs_are_kept(deploy: Deploy, policy: Policy, left: set[str]) -> None:
    """`keep_last` counts finished runs of each DAG, the newest first by when they were due; one is kept by default."""
    here = deploy()
    # r1 is the newest run, and yet its row is an old one.
    for due, age in ((51, 50), (41, 40), (10, 9), (1, 31)):
        here.database.add_run("etl", f"r{due}", at=here.began_at - due * DAY)
        here.database.execute("UPDATE dag_run SET end_date = NULL WHERE run_id = :run", run=f"r{due}")
        here.push(run=f"r{due}", age=age * DAY)
    here.add_row("other", "a", 1)
    here.apply(here.plan(policy, orphans=False))
    assert {ref.split("/")[1] for ref in here.refs() if ref.startswith("etl/")} == left
    assert (here.dangling(), len(here.keys())) == (set(), len(left))


def test_a_row_of_unknown_age_never_expires_by_age(deploy: Deploy) -> None:
    """A time that cannot be read is not old, even where the run ended long ago."""
    here = deploy()
    here.push(run="old", age=90 * DAY)
    here.push(run="new", age=31 * DAY)
    here.database.execute("UPDATE xcom SET timestamp = 'long ago' WHERE run_id = 'old'")
    assert here.plan(MONTH).actions.num_rows == 0


@pytest.mark.parametrize(
    ("glob", "matched"),
    [
        ("prod*", {"prod"}),
        ("[!p]*", {"ñ", "é", "x"}),
        ("?", {"ñ", "é", "x"}),
        ("[é]*", {"é"}),
        ("p[a-z]od", {"prod"}),
    ],
)
def test_a_dag_glob_means_the_same_as_everywhere_else(deploy: Deploy, glob: str, matched: set[str]) -> None:
    """As in `ls`, by characters and not by bytes: neither rows nor orphans of another DAG are taken along."""
    here = deploy()
    for dag in ("prod", "ñ", "é", "x"):
        here.push(dag, "old", age=90 * DAY)
        here.upload(dag)
    plan = here.plan(Policy(older_than=30 * DAY, keep_last=0, dag=glob))
    rows = {(action["action"], action["dag_id"]) for action in plan.records()}
    assert rows == {(kind, dag) for kind in ("delete_row", "delete_object") for dag in matched}


def test_orphans_are_judged_by_the_stores_clock(deploy: Deploy) -> None:
    """Older than the grace period is orphaned, younger is recent; objects of no dialect are foreign at any age."""
    here = deploy()
    here.push()
    old = here.upload(age=timedelta(hours=30))
    here.upload(age=timedelta(hours=20))
    here.upload(key=f"{here.prefix}/README.txt", age=90 * DAY)
    here.settle()
    plan = here.plan(min_age=timedelta(hours=24))
    assert doomed(plan) == {old}
    assert {name: plan.totals[f"objects_{name}"] for name in ("live", "orphaned", "recent", "foreign")} == {
        "live": 1,
        "orphaned": 1,
        "recent": 1,
        "foreign": 1,
    }


def test_an_open_transaction_moves_the_cutoff(deploy: Deploy) -> None:
    """The row of an upload may be written and not committed: the grace period grows by the age of that transaction."""
    here = deploy("postgres")
    here.push()
    key = here.upload()
    with here.database.connection() as writer:
        writer.execute(sa.text("SELECT pg_current_xact_id()"))
        time.sleep(3)
        info = here.store.stat(ObjectAddress(here.bucket, key))
        assert info is not None
        # The object is a second older than that, and the transaction three.
        grace = here.store.now(here.bucket) - info.last_modified - timedelta(seconds=1)
        held = here.plan(min_age=grace)
    freed = here.plan(min_age=grace)
    assert (held.totals["objects_recent"], freed.totals["objects_recent"]) == (1, 0)


@pytest.mark.parametrize("ignored", [False, True])
def test_archive_tables_keep_objects_unless_ignored(deploy: Deploy, ignored: bool) -> None:
    """What `airflow db clean` moved away still names its objects, also when it was moved between plan and apply."""
    here = deploy()
    archived, moved = here.push(run="a", age=90 * DAY), here.push(run="b", age=90 * DAY)
    here.push(run="new")
    archive = "_airflow_deleted__xcom__20261101000000"
    here.database.execute(f"CREATE TABLE {archive} AS SELECT * FROM xcom WHERE run_id = 'a'")
    here.database.execute("DELETE FROM xcom WHERE run_id = 'a'")
    plan = here.plan(MONTH, ignore_archives=ignored)
    assert doomed(plan) == ({archived, moved} if ignored else {moved})
    here.database.execute(f"INSERT INTO {archive} SELECT * FROM xcom WHERE run_id = 'b'")
    here.database.execute("DELETE FROM xcom WHERE run_id = 'b'")
    outcome = here.apply(plan, ignore_archives=ignored)
    assert outcome.rows == {"gone": 1}
    assert {archived, moved} & here.keys() == (set() if ignored else {archived, moved})


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
GONE, DELETED = {"deleted": 1}, {"deleted": 2}
RACES: list[tuple[Interference, dict[str, int], dict[str, int], set[str]]] = [
    (_row_for_an_orphan, GONE, {"referenced": 1, "deleted": 1}, {"orphan"}),
    (_mention_of_an_orphan, GONE, {"referenced": 1, "deleted": 1}, {"orphan"}),
    (_row_of_another_dag, GONE, {"referenced": 1, "deleted": 1}, {"gone"}),
    (_pushed_again, {"changed": 1}, {"referenced": 1, "deleted": 1}, {"gone"}),
    (_other_value, {"changed": 1}, DELETED, set()),
    (_running_again, {"run_active": 1}, {"referenced": 1, "deleted": 1}, {"gone"}),
    (_cleared, {"run_active": 1}, {"referenced": 1, "deleted": 1}, {"gone"}),
    (_row_deleted, {"gone": 1}, DELETED, set()),
    (_overwritten, GONE, {"changed": 2}, {"orphan", "gone"}),
    (_objects_deleted, GONE, {"gone": 2}, set()),
]


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
@pytest.mark.parametrize(
    ("interfere", "rows", "objects", "left"), RACES, ids=[race[0].__name__.strip("_") for race in RACES]
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
    assert doomed(plan) == {gone, orphan}
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


def test_an_upload_that_replaces_an_old_one_is_not_taken_for_it(deploy: Deploy) -> None:
    """Keys of Airflow 3.4 are written again by each push: a fresh object is not the one that the old row is about."""
    here = deploy()
    uuid = "01a20264-1050-75d2-8f6d-a136bd43ace7"
    key = here.upload(key=f"{here.prefix}/etl/old/load/ti-{uuid}/return_value.json")
    here.push(run="old", age=40 * DAY, key=key)
    here.push(run="new")
    plan = here.plan(MONTH, min_age=timedelta(hours=24))
    assert (doomed(plan), plan.totals["objects_recent"]) == (set(), 1)
    assert doomed(here.plan(MONTH)) == {key}


def test_the_tools_own_folder_is_never_touched(deploy: Deploy) -> None:
    """Not even if an expired row names an object in it."""
    here = deploy()
    here.push(run="new")
    trash = here.upload(key=f"{here.prefix}/.xcomctl/trash/etl/old/load/11111111-1111-4111-8111-111111111111")
    here.push(run="old", age=40 * DAY, key=trash)
    plan = here.plan(MONTH)
    assert (doomed(plan), plan.totals["objects_foreign"]) == (set(), 1)


def test_an_object_outside_of_the_roots_is_not_deleted(deploy: Deploy) -> None:
    """Whoever applies a plan under other roots cannot ask for its references there, so it stays."""
    here = deploy()
    here.push()
    here.upload()
    plan = here.plan()
    outcome = Outcome()
    apply_plan(
        plan,
        here.source,
        here.store,
        DialectRegistry(),
        roots=(Root(here.bucket, "other/"),),
        ignore_archives=False,
        outcome=outcome,
    )
    assert outcome.objects == {"referenced": 1}


def test_a_plan_for_another_database_is_refused(deploy: Deploy) -> None:
    """Rows of a table that is not there: nothing is deleted."""
    here, other = deploy(), deploy("sqlite", "airflow-3.4")
    two_runs(here)
    plan = here.plan(MONTH)
    before = here.keys()
    with pytest.raises(RefusedError, match="the plan names table xcom"):
        apply_plan(
            plan,
            other.source,
            here.store,
            DialectRegistry(),
            roots=(Root.parse(here.root),),
            ignore_archives=False,
            outcome=Outcome(),
        )
    assert here.keys() == before


def test_a_store_that_dies_before_the_apply_leaves_no_dangling_row(deploy: Deploy) -> None:
    """Rows go first: their objects are orphans then, which the next run collects."""
    here = deploy()
    _, new = two_runs(here)
    plan = here.plan(MONTH)
    dead = S3Store(S3Settings(endpoint_url=f"http://127.0.0.1:{free_port()}"))
    with closing(dead):
        outcome = here.apply(plan, store=dead)
    assert (outcome.objects, outcome.rows, len(outcome.failures)) == ({"failed": 1, "referenced": 0}, GONE, 1)
    assert "does not answer" in outcome.failures[0]
    assert here.dangling() == set()
    here.apply(here.plan(MONTH))
    assert here.keys() == {new}


def test_a_connection_that_is_lost_is_an_error(deploy: Deploy) -> None:
    """The server ends our session in the middle of the scan: no plan, and never a short one."""
    here = deploy("postgres")
    two_runs(here)
    before = here.state()

    class Killed:
        """The dialects, at whose first question every session of ours is ended."""

        def __init__(self) -> None:
            self.registry = DialectRegistry()
            self.done = False

        def references(self, raw: bytes | None, roots: Any) -> Any:
            if not self.done:
                self.done = True
                here.database.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'xcomctl'"
                )
            return self.registry.references(raw, roots)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.registry, name)

    with pytest.raises(SourceError) as caught:
        plan_collection(
            here.source,
            here.store,
            Killed(),
            Scope(roots=(Root.parse(here.root),), policy=MONTH),
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
        apply_plan(
            plan,
            here.source,
            here.store,
            DialectRegistry(),
            roots=(Root.parse(here.root),),
            ignore_archives=False,
            outcome=outcome,
            report=report,
        )
    here.database.execute(away.format("elsewhere", "xcom"))
    assert outcome.rows == ({} if phase == "rows" else GONE)
    assert ({gone, orphan} <= here.keys(), here.dangling()) == (True, set())


def test_deletions_that_the_store_denies_are_failures(
    deploy: Deploy, seaweed: SeaweedFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 403 is told with its cause, object by object, and no row is left without its object."""
    here = deploy()
    gone, _ = two_runs(here)
    orphan = here.upload()
    for name, value in seaweed.environment("reader").items():
        monkeypatch.setenv(name, value)
    with closing(S3Store(S3Settings(endpoint_url=seaweed.endpoint_url))) as reader:
        outcome = here.apply(here.plan(MONTH, store=reader), store=reader)
    assert (outcome.rows, outcome.failed, outcome.bytes_reclaimed) == (GONE, 2, 0)
    assert all("denied" in failure or "AccessDenied" in failure for failure in outcome.failures)
    assert ({gone, orphan} <= here.keys(), here.dangling()) == (True, set())


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
            return Answer(headers=(("Date", "Sun, 01 Nov 2026 06:00:00 GMT"),))
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
        assert doomed(plan) == lost
        here.apply(plan)
        assert (here.keys(), here.dangling()) == (kept, set())
    finally:
        remove_bucket(moto_server, here.bucket)
