"""Every fault that is planted in a healthy deployment is found, by the check that is for it, and by no other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.engine import make_url

from tests.schemas.airflow_database import AirflowDatabase
from tests.services.deployment import DAY, MONTH, Deploy, Deployment
from tests.services.fault_proxy import Fault, fault_proxy
from tests.services.s3_requests import is_listing, is_of_settings
from tests.services.scripted_store import Answer
from tests.services.store_faults import clock_shifted, error, only
from xcomctl.airflow.database import DatabaseSource
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.doctor import CheckContext, CheckResult, Setup, examine
from xcomctl.inventory.workspace import Resources
from xcomctl.models import Root
from xcomctl.s3.store import S3Settings, S3Store
from xcomctl.state.lock import lock_address
from xcomctl.state.owner import Owner, write_owner

Found = dict[str, tuple[str, str]]
"""Check -> status and why, of those that are not ok."""


def examined(
    here: Deployment,
    *,
    roots: Sequence[str] | None = None,
    source: DatabaseSource | None = None,
    store: S3Store | None = None,
    quick: bool = False,
    **options: Any,
) -> list[CheckResult]:
    """Every check on a deployment, in this process."""
    setup = Setup(
        source or here.source,
        lambda: store or here.store,
        DialectRegistry(),
        tuple(Root.parse(uri) for uri in ([here.root] if roots is None else roots)),
        Resources(),
        **options,
    )
    return list(examine(CheckContext(setup, clock=lambda: datetime.now(timezone.utc)), quick=quick))


def faults(results: Sequence[CheckResult]) -> Found:
    """What is not as it should be. What was skipped is not."""
    return {one.check: (one.status, one.why) for one in results if one.status in ("warn", "fail")}


@contextmanager
def behind(here: Deployment, *planted: Fault) -> Iterator[S3Store]:
    """The store through a proxy with faults."""
    with (
        fault_proxy(here.server, *planted) as proxy,
        closing(S3Store(S3Settings(endpoint_url=proxy.endpoint_url))) as store,
    ):
        yield store


@pytest.fixture
def healthy(deploy: Deploy) -> Deployment:
    """Rows with their objects, inline rows, and nothing wrong."""
    here = deploy()
    for number in range(3):
        here.push(run=f"r{number}", age=number * DAY, object_age=number * DAY)
        here.add_row("etl", f"r{number}", {"rows": number}, task="count", age=number * DAY)
    return here


def test_a_healthy_deployment_has_no_fault_and_is_left_as_it_was(healthy: Deployment) -> None:
    """Every check is ok, also after a collection; no object, no row and no version is touched."""
    before = healthy.all_keys(), healthy.refs()
    assert faults(examined(healthy)) == {}
    assert (healthy.all_keys(), healthy.refs()) == before
    healthy.upload()
    healthy.apply(healthy.plan(MONTH, accepted=("orphan_share=0.25",)))
    told = {one.check: one for one in examined(healthy)}
    assert faults(list(told.values())) == {}
    assert told["schedule.gc"].why.startswith("the last collection that found something ended well")
    assert told["store.trash"].facts["objects"] == 1
    assert {one.status for one in told.values()} <= {"ok", "skipped"}


def test_what_does_not_answer_leaves_the_rest_to_be_examined(healthy: Deployment) -> None:
    """One failed check with cause and hint for each; what needs it is skipped, all else is made. No secret is told."""
    with closing(DatabaseSource("postgresql://airflow:hush@127.0.0.1:1/airflow")) as dead:
        found = examined(healthy, source=dead)
    assert faults(found) == {
        "database.reachable": ("fail", "postgresql://airflow@127.0.0.1:1/airflow: Connection refused")
    }
    by_check = {one.check: one.status for one in found}
    assert (by_check["database.rights"], by_check["store.rights"]) == ("skipped", "ok")
    assert "hush" not in json.dumps([one.document() for one in found])

    with closing(S3Store(S3Settings(endpoint_url="http://127.0.0.1:1"))) as dead_store:
        found = examined(healthy, store=dead_store)
    assert list(faults(found)) == ["store.reachable"]
    assert {one.check: one.status for one in found}["backend.references"] == "ok"

    for table, column in (("xcom", "value"), ("dag_run", "state")):
        healthy.database.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO other")
        with closing(DatabaseSource(healthy.database.url)) as source:
            assert list(faults(examined(healthy, source=source, quick=True))) == ["database.shape"]
        healthy.database.execute(f"ALTER TABLE {table} RENAME COLUMN other TO {column}")
    assert faults(examined(healthy)) == {}


def test_a_wrong_password_and_missing_rights_are_told(postgres_database: str, healthy: Deployment) -> None:
    """PostgreSQL: the server's word for the first, the table and the right for the second."""
    url = make_url(postgres_database)
    with AirflowDatabase(postgres_database, "airflow-3") as database:
        database.create()
        database.execute("CREATE USER doctored PASSWORD 'secret'")
        try:

            def found(password: str) -> Found:
                named = url.set(username="doctored", password=password).render_as_string(hide_password=False)
                with closing(DatabaseSource(named)) as source:
                    return faults(examined(healthy, source=source))

            assert found("wrong")["database.reachable"][0] == "fail"
            assert "authentication failed" in found("wrong")["database.reachable"][1]
            assert found("secret") == {
                "database.rights": ("fail", "the user may not read dag, dag_run, task_instance, xcom")
            }
            database.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO doctored")
            status, why = found("secret")["database.rights"]
            assert (status, "gc, rm, undo and restore cannot work" in why) == ("warn", True)
        finally:
            database.execute("DROP OWNED BY doctored")
            database.execute("DROP USER doctored")


def test_faults_of_the_database_are_told(healthy: Deployment) -> None:
    """Archives that pile up, a lost index, references of an unknown backend, settings of another one."""

    def warning() -> CheckResult:
        [found] = [one for one in examined(healthy, quick=True) if one.status in ("warn", "fail")]
        return found

    new = f"_airflow_deleted__xcom__{datetime.now(timezone.utc) - DAY:%Y%m%d%H%M%S}"
    healthy.database.execute(f"CREATE TABLE {new} AS SELECT * FROM xcom")
    assert faults(examined(healthy, quick=True)) == {}
    old = "_airflow_deleted__xcom__20240101000000"
    healthy.database.execute(f"CREATE TABLE {old} AS SELECT * FROM xcom")
    told = warning()
    assert (told.check, told.facts["tables"], told.facts["rows"]) == ("database.archives", 2, 12)
    assert "2 archive tables, the oldest of 2024-01-01" in told.why
    assert "airflow db drop-archived" in str(told.hint)
    healthy.database.execute(f"DROP TABLE {old}")

    healthy.database.execute("DROP INDEX idx_xcom_task_instance")
    told = warning()
    assert told.check == "database.indexes"
    healthy.database.execute(str(told.hint))

    theirs = (
        "xcomctl_backend.S3XComBackend",
        "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
    )
    names = [list(faults(examined(healthy, quick=True, airflow_backend=name))) for name in theirs]
    assert names == [["backend.setting"], []]

    healthy.add_row("etl", "r0", "ours://secret-place/x", task="other")
    healthy.add_row("etl", "r0", "https://example.com/x", task="page")
    told = warning()
    assert (told.check, told.facts["dialects"], told.facts["unknown"]) == (
        "backend.references",
        {"common-io": 3},
        1,
    )
    assert "75% common-io" in told.why
    assert "xcomctl show etl/r0/other:return_value" in str(told.hint)
    assert "secret-place" not in json.dumps(told.document())


def test_roots_that_do_not_fit_are_told(healthy: Deployment) -> None:
    """None, where those that references show are examined; one that reaches nothing; a bucket that is not there."""
    found = examined(healthy, roots=[])
    assert list(faults(found)) == ["roots.given"]
    assert {one.check: one.status for one in found}["store.rights"] == "ok"
    [hint] = [one.hint for one in found if one.check == "roots.given"]
    assert f"add --store {healthy.root}" in str(hint)

    wrong = faults(examined(healthy, roots=[f"s3://{healthy.bucket}/elsewhere"]))
    assert (list(wrong), wrong["roots.given"][0]) == (["roots.given"], "fail")
    wrong = faults(examined(healthy, roots=["s3://no-such-bucket/x", healthy.root]))
    assert list(wrong) == ["store.reachable"]
    assert "'no-such-bucket' does not exist" in wrong["store.reachable"][1]

    healthy.push("lost", key=f"{healthy.prefix}/lost/r1/load/{uuid4()}")
    wrong = faults(examined(healthy))
    assert wrong == {"backend.objects": ("warn", "of 4 objects that the newest rows reference, 1 is gone")}


DENIED = error(403, "AccessDenied")

PLANTED: dict[str, tuple[Fault, dict[str, str]]] = {
    "no list": (
        only(is_listing, DENIED),
        {"store.rights": "fail", "store.owner": "fail", "store.trash": "fail"},
    ),
    "no write": (only(lambda asked: asked.method in ("POST", "DELETE"), DENIED), {"store.rights": "warn"}),
    "no read": (
        only(lambda asked: asked.method == "HEAD" and asked.path.count("/") > 3, DENIED),
        {"backend.objects": "fail"},
    ),
    "no settings": (only(is_of_settings, DENIED), {"store.versions": "warn", "store.lifecycle": "warn"}),
    "clock": (clock_shifted(600), {"store.clock": "fail"}),
}


def test_faults_of_the_store_are_told(healthy: Deployment) -> None:
    """Each right that is missing, and a clock that is off, with what it means."""
    for name, (fault, expected) in PLANTED.items():
        with behind(healthy, fault) as store:
            found = {check: status for check, (status, _) in faults(examined(healthy, store=store)).items()}
        assert {check: found.get(check) for check in expected} == expected, name


def test_others_on_the_root_are_told(healthy: Deployment) -> None:
    """The marker of another database in it, above it, or in a folder of it; a damaged lock; a dead holder."""
    now = datetime.now(timezone.utc)
    other = Owner("0123456789abcdef", "sqlite:///other.db", 1, 1, now, now, "0")
    for prefix, words in {"xcom/": "belongs to", "": "overlaps with", "xcom/etl/": "overlaps with"}.items():
        write_owner(healthy.store, Root(healthy.bucket, prefix), other, None)
        found = faults(examined(healthy, quick=True))
        assert (found["store.owner"][0], words in found["store.owner"][1]) == ("fail", True), prefix
        healthy.client.delete_object(Bucket=healthy.bucket, Key=f"{prefix}.xcomctl/owner.json")

    address = lock_address(Root.parse(healthy.root))
    healthy.client.put_object(Bucket=address.bucket, Key=address.key, Body=b"{")
    found = faults(examined(healthy, quick=True))
    assert (list(found), found["store.lock"][0]) == (["store.lock"], "fail")
    held = {
        "schema": "xcomctl.lock/1",
        "holder": "kim@worker",
        "pid": 1,
        "operation_id": "20261101T000000Z-00000000",
        "acquired_at": "2026-11-01T00:00:00+00:00",
        "expires_at": "2026-11-01T00:05:00+00:00",
        "token": "t",
    }
    healthy.client.put_object(Bucket=address.bucket, Key=address.key, Body=json.dumps(held).encode())
    found = faults(examined(healthy, quick=True))
    assert (list(found), found["store.lock"][0]) == (["store.lock"], "warn")


def test_collections_that_stopped_are_told(healthy: Deployment) -> None:
    """A success long ago is asked about; where the trash was not emptied since, or later ones failed, it is a fault."""
    healthy.upload()
    healthy.apply(healthy.plan(MONTH, accepted=("orphan_share=0.25",)))
    [ended] = [key for key in healthy.all_keys() if key.endswith("/ended.json")]
    body = json.loads(healthy.client.get_object(Bucket=healthy.bucket, Key=ended)["Body"].read())

    def success(age: timedelta) -> Found:
        body["ended_at"] = (datetime.now(timezone.utc) - age).isoformat()
        healthy.client.put_object(Bucket=healthy.bucket, Key=ended, Body=json.dumps(body).encode())
        return faults(examined(healthy))

    assert success(DAY) == {}
    assert success(8 * DAY)["schedule.gc"][0] == "warn"
    [trashed] = [key for key in healthy.all_keys() if "/.xcomctl/trash/" in key]
    healthy._ages[healthy.bucket, trashed] = datetime.now(timezone.utc) - 20 * DAY
    healthy.settle()
    found = success(20 * DAY)
    assert {check: status for check, (status, _) in found.items()} == {
        "store.trash": "warn",
        "schedule.gc": "fail",
    }
    healthy.client.delete_object(Bucket=healthy.bucket, Key=trashed)
    healthy.client.delete_object(Bucket=healthy.bucket, Key=ended)
    assert success(20 * DAY)["schedule.gc"][0] == "warn"
    healthy.client.delete_object(Bucket=healthy.bucket, Key=ended)
    assert faults(examined(healthy))["schedule.journal"][0] == "warn"


def rules(*told: str) -> Fault:
    """The bucket has these lifecycle rules, as AWS tells them."""
    each = "".join(f"<Rule><Status>Enabled</Status>{one}</Rule>" for one in told)
    body = f"<LifecycleConfiguration>{each}</LifecycleConfiguration>".encode()
    return only(
        lambda asked: "lifecycle" in asked.query,
        lambda asked, forward: Answer(body, 200, (("Content-Type", "application/xml"),)),
    )


def expires(days: int, prefix: str = "", more: str = "") -> str:
    """A rule that deletes after so many days."""
    where = f"<Filter><And><Prefix>{prefix}</Prefix>{more}</And></Filter>"
    return f"<ID>tidy</ID>{where}<Expiration><Days>{days}</Days></Expiration>"


def test_lifecycle_rules_are_held_against_what_rows_need(healthy: Deployment) -> None:
    """How many objects a rule deletes that rows need, by prefix, size and age; what it may not see is said."""
    old = healthy.push("slow", "r9", age=40 * DAY, object_age=40 * DAY)
    healthy.upload("slow", "gone", age=40 * DAY)
    healthy.settle()
    size = healthy.client.head_object(Bucket=healthy.bucket, Key=old)["ContentLength"]

    def verdict(*told: str) -> list[CheckResult]:
        with behind(healthy, rules(*told)) as store:
            found = examined(healthy, store=store)
        return [
            one
            for one in found
            if one.check.startswith("store.lifecycle") and one.check != "store.lifecycle.own"
        ]

    def numbers(one: CheckResult) -> tuple[str, int, int]:
        return one.status, one.facts["needed"], one.facts["overdue"]

    [month, half_a_year, tagged, small, elsewhere] = verdict(
        expires(30),
        expires(180, "xcom/"),
        expires(30, "xcom/slow/", "<Tag><Key>a</Key><Value>b</Value></Tag>"),
        expires(1, "xcom/slow/", f"<ObjectSizeGreaterThan>{size}</ObjectSizeGreaterThan>"),
        expires(1, "xcom/etl/r2/"),
    )
    assert numbers(month) == ("fail", 4, 1)
    assert "will delete 1 object that rows still need" in month.why
    assert numbers(half_a_year) == ("warn", 4, 0)
    assert numbers(tagged) == ("warn", 1, 1)
    assert "up to 1 object" in tagged.why
    assert numbers(small) == ("warn", 0, 0)
    assert numbers(elsewhere) == ("fail", 1, 1)
    assert [one.status for one in verdict(expires(1, "other/"))] == ["ok"]

    healthy.client.delete_object(Bucket=healthy.bucket, Key=old)
    [month] = verdict(expires(30))
    assert (month.status, month.facts["rows_lost"]) == ("fail", 1)
    [moved] = verdict(
        "<ID>cold</ID><Prefix>xcom/</Prefix><Transition><Days>1</Days><StorageClass>GLACIER</StorageClass></Transition>"
    )
    assert numbers(moved) == ("warn", 3, 2)


def test_rules_that_take_what_undo_needs_are_told(healthy: Deployment) -> None:
    """Older versions that go before the trash is emptied, and the tool's own folder; with --quick no rule is weighed."""
    healthy.client.put_bucket_versioning(Bucket=healthy.bucket, VersioningConfiguration={"Status": "Enabled"})
    days = "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>"
    late = expires(14, "xcom/.xcomctl/trash/")
    planted = rules(f"<ID>v</ID><Prefix></Prefix>{days}", expires(30, "xcom/.xcomctl/"), late)
    with behind(healthy, planted) as store:
        found = faults(examined(healthy, store=store))
        quick = {one.check: one.status for one in examined(healthy, store=store, quick=True)}
    assert {"store.lifecycle.versions", "store.lifecycle.own"} <= set(found)
    assert found["store.lifecycle.own"][1].startswith(
        "rule 'tidy' deletes objects below xcom/.xcomctl/ after 30"
    )
    assert "for so long only, not for 14d" in found["store.lifecycle.versions"][1]
    assert (quick["store.lifecycle"], quick["store.trash"], quick["store.rights"]) == (
        "skipped",
        "skipped",
        "ok",
    )
