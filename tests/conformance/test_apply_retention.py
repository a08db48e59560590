"""Planning and applying on real servers: what is expired goes, and nothing else."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from tests.schemas.airflow_database import SHAPES, Shape
from tests.services.deployment import DAY, MONTH, Deploy, Deployment, deleted_keys
from tests.services.sweeps import of_each, sweep
from xcomctl.models import ObjectAddress
from xcomctl.policy import Policy

ALL_SHAPES = [
    pytest.param(engine, shape, id=f"{engine} {shape}", marks=marks)
    for engine, marks in (("sqlite", ()), ("postgres", ()), ("mariadb", pytest.mark.mariadb))
    for shape in SHAPES
]


def rows_deleted(here: Deployment, before: set[str]) -> set[str]:
    """Rows that are not there any more."""
    return before - here.refs()


@pytest.mark.parametrize(("engine", "shape"), sweep(ALL_SHAPES, of_each))
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
        {"deleted": 2, "trashed": 2, "referenced": 1},
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
    assert here.plan(MONTH).is_empty


@pytest.mark.parametrize(
    ("glob", "matched"),
    sweep(
        [
            ("prod*", {"prod"}),
            ("[!p]*", {"ñ", "é", "x"}),
            ("?", {"ñ", "é", "x"}),
            ("[é]*", {"é"}),
            ("p[a-z]od", {"prod"}),
        ],
        lambda glob, _: "[" in glob and len(glob) > 4,
    ),
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
    assert deleted_keys(plan) == {old}
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
    assert deleted_keys(plan) == ({archived, moved} if ignored else {moved})
    here.database.execute(f"INSERT INTO {archive} SELECT * FROM xcom WHERE run_id = 'b'")
    here.database.execute("DELETE FROM xcom WHERE run_id = 'b'")
    outcome = here.apply(plan, ignore_archives=ignored)
    assert outcome.rows == {"gone": 1}
    assert {archived, moved} & here.keys() == (set() if ignored else {archived, moved})


def test_an_upload_that_replaces_an_old_one_is_not_taken_for_it(deploy: Deploy) -> None:
    """Keys of Airflow 3.4 are written again by each push: a fresh object is not the one that the old row is about."""
    here = deploy()
    uuid = "01a20264-1050-75d2-8f6d-a136bd43ace7"
    key = here.upload(key=f"{here.prefix}/etl/old/load/ti-{uuid}/return_value.json")
    here.push(run="old", age=40 * DAY, key=key)
    here.push(run="new")
    plan = here.plan(MONTH, min_age=timedelta(hours=24))
    assert (deleted_keys(plan), plan.totals["objects_recent"]) == (set(), 1)
    assert deleted_keys(here.plan(MONTH)) == {key}


def test_the_tools_own_folder_is_never_touched(deploy: Deploy) -> None:
    """Not even if an expired row names an object in it; nor is it counted among the objects."""
    here = deploy()
    here.push(run="new")
    trash = here.upload(key=f"{here.prefix}/.xcomctl/notes/etl/old/load/11111111-1111-4111-8111-111111111111")
    here.push(run="old", age=40 * DAY, key=trash)
    plan = here.plan(MONTH)
    assert (deleted_keys(plan), plan.totals["objects_foreign"], plan.totals["objects_scanned"]) == (
        set(),
        0,
        1,
    )
