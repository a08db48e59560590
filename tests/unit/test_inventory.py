from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from xcomctl.airflow.interface import row_schema
from xcomctl.dialects.configured import DialectRule
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import StoreError
from xcomctl.inventory import Inventory
from xcomctl.inventory.classify import classify
from xcomctl.models import Root, outermost, uuids_in
from xcomctl.policy import Policy, expiring_rows_sql
from xcomctl.s3.interface import object_schema

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
OLD = NOW - timedelta(days=40)
ROOT = Root("xcoms", "prod/")
ONE = "11111111-1111-4111-8111-111111111111"
TWO = "22222222-2222-4222-8222-222222222222"
ATTEMPT = "01a20264-1050-75d2-8f6d-a136bd43ace7"


def objects(*keys: str, at: datetime = OLD) -> pa.RecordBatch:
    """A listing of objects of 10 bytes."""
    listed = [{"bucket": "xcoms", "key": k, "size": 10, "etag": "e", "last_modified": at} for k in keys]
    return pa.RecordBatch.from_pylist(listed, schema=object_schema())


def row(value: object, **changes: Any) -> dict[str, Any]:
    """A row of a finished run, 40 days old, that holds `value` (bytes as they are, else as JSON)."""
    return {
        "source_table": "xcom",
        "archived": False,
        "row_key": "[1]",
        "dag_run_id": 1,
        "dag_id": "etl",
        "run_id": "r1",
        "task_id": "load",
        "map_index": -1,
        "key": "return_value",
        "written_at": OLD,
        "raw": value if isinstance(value, bytes) else json.dumps(value).encode(),
        "run_state": "success",
        "run_at": OLD,
        "run_ended_at": OLD,
        "try_number": None,
        "superseded": False,
    } | changes


def rows(*given: dict[str, Any]) -> pa.RecordBatch:
    """A batch of rows."""
    return pa.RecordBatch.from_pylist(list(given), schema=row_schema())


@pytest.fixture
def inventory() -> Iterator[Inventory]:
    """An empty inventory of s3://xcoms/prod with the built-in dialects."""
    with Inventory(DialectRegistry(), [ROOT]) as made:
        yield made


def states(
    inventory: Inventory, policy: Policy | None = None, min_age: timedelta = timedelta(hours=24)
) -> dict[str, str]:
    """State of every object by key."""
    classify(inventory, policy or Policy(), now=NOW, cutoff=NOW - min_age)
    found = inventory.sql.execute(
        "SELECT key, state FROM object_states JOIN objects USING (object_id)"
    ).fetchall()
    return dict(found)


def test_referenced_unreferenced_young_and_alien_objects_are_told_apart(inventory: Inventory) -> None:
    """An object is live, orphaned, recent or foreign by what references it, its age, and whether a dialect claims it."""
    live, orphan, foreign = f"prod/etl/r1/load/{ONE}", f"prod/etl/r1/load/{TWO}", "prod/README.txt"
    inventory.add_objects(ROOT, [objects(live, orphan, foreign)])
    young = f"prod/etl/r2/load/{ONE.replace('1', '3')}"
    inventory.add_objects(ROOT, [objects(young, at=NOW - timedelta(hours=1))])
    inventory.add_rows([rows(row(f"s3://aws_default@xcoms/{live}"))])
    assert states(inventory) == {live: "live", orphan: "orphaned", foreign: "foreign", young: "recent"}


@pytest.mark.parametrize(
    "raw",
    [
        f"some text around {ONE} and more".encode(),
        json.dumps(json.dumps(json.dumps({"deep": [ONE]}))).encode(),
        b"\x80\x04\x95\x00\x00\x8c\x24" + ONE.encode() + b"\x94.",
        b"\xff\xfe broken " + ONE.encode(),
        json.dumps({"path": f"s3://elsewhere/copy/{ONE.upper()}"}).encode(),
    ],
    ids=["text", "json in json in json", "pickle", "not utf-8", "other bucket, upper case"],
)
def test_a_uuid_anywhere_in_any_value_keeps_its_object(inventory: Inventory, raw: bytes) -> None:
    """Whatever a value is, an object whose uuid occurs in it is live."""
    key = f"prod/etl/r1/load/{ONE}"
    inventory.add_objects(ROOT, [objects(key)])
    inventory.add_rows([rows(row(raw))])
    assert states(inventory) == {key: "live"}


def test_the_uuid_of_an_attempt_keeps_only_the_keys_that_are_named_with_it(inventory: Inventory) -> None:
    """In Airflow 3.4's layout the uuid is shared by all keys of an attempt, so the key counts as well."""
    named = f"prod/etl/r1/load/ti-{ATTEMPT}/return_value.json"
    other = f"prod/etl/r1/load/ti-{ATTEMPT}/stats.json"
    inventory.add_objects(ROOT, [objects(named, other)])
    inventory.add_rows([rows(row(f"s3://c@xcoms/{named}"))])
    assert states(inventory) == {named: "live", other: "orphaned"}


def test_a_key_without_a_uuid_is_kept_by_its_whole_text() -> None:
    """A configured layout without uuids: the key itself, also escaped, keeps the object."""
    rule = DialectRule(name="house", key=r"house/(?P<dag_id>[^/]+)/(?P<key>[^/]+)\.json$")
    kept, gone = "prod/house/etl/é.json", "prod/house/etl/b.json"
    with Inventory(DialectRegistry([rule]), [ROOT]) as inventory:
        inventory.add_objects(ROOT, [objects(kept, gone)])
        inventory.add_rows([rows(row({"see": "house/etl/é.json"}))])
        assert states(inventory) == {kept: "live", gone: "orphaned"}


def test_keys_with_dots_and_the_tools_own_folder_are_never_candidates(inventory: Inventory) -> None:
    """Segments that programs resolve are foreign, and `.xcomctl/` is reserved."""
    dots, own = f"prod/etl/../load/{ONE}", f"prod/.xcomctl/trash/x/etl/r1/load/{TWO}"
    inventory.add_objects(ROOT, [objects(dots, own)])
    inventory.add_rows([])
    assert states(inventory) == {dots: "foreign", own: "reserved"}


def test_an_object_expires_only_with_the_last_row_that_names_it(inventory: Inventory) -> None:
    """An old row and a young row name one object: it stays. An object of an old row alone goes with it."""
    shared, alone = f"prod/etl/r1/load/{ONE}", f"prod/etl/r1/load/{TWO}"
    inventory.add_objects(ROOT, [objects(shared, alone)])
    inventory.add_rows(
        [
            rows(
                row(f"s3://xcoms/{shared}"),
                row(f"s3://xcoms/{alone}", key="b"),
                row(
                    f"s3://xcoms/{shared}",
                    dag_run_id=2,
                    run_id="r2",
                    written_at=NOW,
                    run_ended_at=NOW,
                    run_at=NOW,
                ),
            )
        ]
    )
    assert states(inventory, Policy(older_than=timedelta(days=30))) == {shared: "live", alone: "expired"}


def test_what_an_archive_table_names_is_live_and_never_expires(inventory: Inventory) -> None:
    """Rows that db clean moved away still keep their objects."""
    key = f"prod/etl/r1/load/{ONE}"
    inventory.add_objects(ROOT, [objects(key)])
    inventory.add_rows(
        [rows(row(f"s3://xcoms/{key}", archived=True, source_table="_airflow_deleted__xcom__1"))]
    )
    assert states(inventory, Policy(older_than=timedelta(days=30), keep_last=0)) == {key: "live"}


def expiring(inventory: Inventory, policy: Policy) -> list[tuple[str, str]]:
    """Run and reason of each row that the policy lets go."""
    query, parameters = expiring_rows_sql(policy, NOW)
    return inventory.sql.execute(
        f"SELECT run_id, e.reason FROM ({query}) e JOIN rows USING (row_id) ORDER BY run_id", parameters
    ).fetchall()


def runs(*ages: float, state: str = "success", dag: str = "etl") -> list[dict[str, Any]]:
    """One row per run that ended so many days ago."""
    return [
        row(
            number,
            dag_id=dag,
            run_id=f"{dag}{number}",
            dag_run_id=number,
            run_state=state,
            written_at=NOW - timedelta(days=age),
            run_at=NOW - timedelta(days=age),
            run_ended_at=NOW - timedelta(days=age),
        )
        for number, age in enumerate(ages)
    ]


CASES: Sequence[tuple[str, Policy, list[dict[str, Any]], list[tuple[str, str]]]] = (
    ("nothing asked", Policy(), runs(50, 40), []),
    (
        "older than, and the newest run stays",
        Policy(older_than=timedelta(days=30)),
        runs(50, 41, 40),
        [("etl0", "expired: 50.0d > 30d"), ("etl1", "expired: 41.0d > 30d")],
    ),
    (
        "the newest run goes when told so",
        Policy(older_than=timedelta(days=30), keep_last=0),
        runs(40),
        [("etl0", "expired: 40.0d > 30d")],
    ),
    ("exactly as old is not older", Policy(older_than=timedelta(days=40), keep_last=0), runs(40), []),
    (
        "keep last alone",
        Policy(keep_last=2),
        runs(3, 2, 1),
        [("etl0", "expired: beyond the newest 2 finished runs of etl")],
    ),
    ("running runs never", Policy(older_than=timedelta(days=1), keep_last=0), runs(40, state="running"), []),
    ("queued runs never", Policy(older_than=timedelta(days=1), keep_last=0), runs(40, state="queued"), []),
    (
        "one DAG",
        Policy(older_than=timedelta(days=1), keep_last=0, dag="b*"),
        runs(40) + runs(40, dag="beta"),
        [("beta0", "expired: 40.0d > 1d")],
    ),
    (
        "a run that ended later than its row was written",
        Policy(older_than=timedelta(days=30), keep_last=0),
        [row(1, run_ended_at=NOW - timedelta(days=5))],
        [],
    ),
    (
        "a reference that no root reaches keeps its row",
        Policy(older_than=timedelta(days=30), keep_last=0),
        [row(f"s3://c@elsewhere/base/etl/r1/load/{ONE}")],
        [],
    ),
)


@pytest.mark.parametrize(("policy", "given", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_retention(
    inventory: Inventory, policy: Policy, given: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    """Which rows a policy lets go, and why."""
    inventory.add_rows([rows(*given)])
    assert expiring(inventory, policy) == expected


def test_roots_inside_other_roots_are_listed_once() -> None:
    """Nested roots would count objects twice."""
    given = [Root("a", "x/y/"), Root("a", "x/"), Root("a", "xy/"), Root("b")]
    assert outermost(given) == [Root("a", "x/"), Root("a", "xy/"), Root("b")]


def test_sql_claims_what_the_dialects_claim(inventory: Inventory) -> None:
    """The patterns mean the same inside DuckDB as in Python: dialect and coordinates agree for every kind of key."""
    registry = DialectRegistry()
    keys = [
        f"prod/etl/manual__2024-01-01T00:00:00+00:00/load/{ONE}",
        f"prod/etl/r/load/{ONE}.gz",
        f"prod/etl/r/load/ti-{ATTEMPT}/path%2Fwith%20%C3%A9.json",
        f"prod/e%C3%A9/r%2B1/load/3/return_value/{ONE}.parquet",
        f"prod/data_csv_{ONE}",
        f"prod/r1/load/data_{ONE}.json",
        f"prod/s3_xcom_{ONE}_dataframe.gz",
        "prod/logs/a.txt",
        "prod/a//b",
        "prod/",
    ]
    inventory.add_objects(ROOT, [objects(*keys)])
    found = inventory.sql.execute(
        "SELECT key, dialect, dag_id, run_id, task_id, map_index, xcom_key FROM objects ORDER BY object_id"
    ).fetchall()
    expected = []
    for key in keys:
        claim = registry.claim(key)
        expected.append(
            (key, None, None, None, None, None, None)
            if claim is None
            else (key, claim.dialect, claim.dag_id, claim.run_id, claim.task_id, claim.map_index, claim.key)
        )
    assert found == expected


def test_references_of_our_own_backend_are_told_by_sql() -> None:
    """As the backend writes them and in JSONB's order: one by one they would take a hundred times as long."""
    golden = Path(__file__).parent.parent / "corpus" / "references" / "xcomctl"
    documents = [
        json.loads(path.read_text(encoding="utf-8"))["reference"] for path in sorted(golden.glob("*.json"))
    ]
    by_length = [
        dict(sorted(one.items(), key=lambda member: (len(member[0]), member[0]))) for one in documents
    ]
    values = [row(one, row_key=f"[{number}]") for number, one in enumerate((*documents, *by_length))]
    with Inventory(DialectRegistry(), [Root("company-xcoms")]) as inventory:
        inventory.add_rows([rows(*values)])
        found = inventory.run("SELECT row_id, dialect, confidence, text FROM plain_refs ORDER BY row_id")
        careful = inventory.run("SELECT DISTINCT text FROM careful_refs")
    left = {text for (text,) in careful}
    assert found == [
        (number, "xcomctl", "exact", one["uri"])
        for number, one in enumerate((*documents, *by_length))
        if one["uri"] not in left
    ]
    # A component that was cut ends in a digest, which might be a uuid; prefixes and file names may hold anything.
    odd = {
        one["uri"]
        for one in documents
        if len(uuids_in(one["uri"])) > 1
        or not one["uri"].isascii()
        or not re.fullmatch("[a-z.]*", one.get("name", ""))
    }
    assert left == odd


def test_what_a_broken_listing_gave_is_not_there(inventory: Inventory) -> None:
    """An error of the source comes through as it is, and the inventory stays as it was."""
    one, two = f"prod/etl/r1/load/{ONE}", f"prod/etl/r1/load/{TWO}"

    def breaking_off() -> Iterator[pa.RecordBatch]:
        yield pa.Table.from_batches([objects(two)] * 100_000).combine_chunks().to_batches()[0]
        raise StoreError("the connection broke off")

    inventory.add_objects(ROOT, [objects(one)])
    with pytest.raises(StoreError, match="the connection broke off"):
        inventory.add_objects(ROOT, breaking_off())
    inventory.add_rows([rows(row(f"s3://xcoms/{one}"))])
    assert states(inventory) == {one: "live"}
