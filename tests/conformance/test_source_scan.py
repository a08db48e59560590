"""What a snapshot gives, on each engine and each generation of Airflow's tables."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.schemas.airflow_database import NEWEST, AirflowDatabase
from xcomctl.airflow import scanning
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import Selection, row_schema

UTC = timezone.utc


def _records(source: DatabaseSource, **options: Any) -> list[dict[str, Any]]:
    with source.snapshot() as snapshot:
        return [record for batch in snapshot.batches(**options) for record in batch.to_pylist()]


def test_a_snapshot_gives_the_same_rows_as_the_listing(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """The columns of a batch are the fields of a row."""
    airflow.add_xcom("etl", "r1", "load", {"a": 1}, map_index=0)
    airflow.add_xcom("etl", "r2", "load", "x", at=NEWEST - timedelta(days=1))
    airflow.add_run("live", "r3", state="running")
    airflow.add_xcom("live", "r3", "load", 3)
    if airflow.shape == "airflow-3.4":
        airflow.add_legacy_xcom("etl", "r1", "load", "old", map_index=0, key="other")
    rows = {row.row_key: row for row in source.rows(Selection(all_attempts=True))}
    records = _records(source)
    assert len(records) == len(rows)
    for record in records:
        row = rows[record.pop("row_key")]
        assert (record.pop("source_table"), record.pop("archived")) == (row.table, False)
        assert record == {name: getattr(row, name) for name in record}


def test_batches_have_the_agreed_schema(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Every batch has exactly `row_schema()`; a database without rows gives no batch."""
    with source.snapshot() as snapshot:
        assert list(snapshot.batches()) == []
    airflow.add_xcom("etl", "run", "load", 1)
    with source.snapshot() as snapshot:
        assert [batch.schema for batch in snapshot.batches()] == [row_schema()]


def test_a_snapshot_does_not_see_what_is_written_after_it(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """All batches are of one state of the database."""
    if airflow.engine == "sqlite":
        # As Airflow 3 sets it up; otherwise a writer waits for the reader.
        airflow.scalar("PRAGMA journal_mode = WAL")
    airflow.add_xcom("etl", "r1", "load", 1)
    with source.snapshot() as snapshot:
        airflow.add_xcom("etl", "r2", "load", 2)
        airflow.execute(f"DELETE FROM {airflow.table} WHERE value IS NOT NULL")
        seen = sum(batch.num_rows for batch in snapshot.batches())
    assert seen == 1
    assert _records(source) == []


def test_a_snapshot_is_dated_by_the_clock_of_the_database(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """`taken_at` is aware UTC, and now; a database on its own is no replica."""
    with source.snapshot() as snapshot:
        assert abs(snapshot.taken_at - datetime.now(UTC)) < timedelta(seconds=60)
        assert (snapshot.taken_at.tzinfo, snapshot.is_replica) == (UTC, False)


def test_archive_tables_are_scanned_and_not_listed(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Archives of every suffix are read, with NULL for columns that they lack; tables of other names are not."""
    airflow.add_xcom("etl", "run", "load", "kept")
    archives = ["_airflow_deleted__xcom__20261122082528", "_airflow_deleted__xcom_v2__0123456789abcdef__b12"]
    for name in [*archives, "xcom_backup", "_airflow_deleted__task_map__20261122082528"]:
        airflow.execute(f"CREATE TABLE {name} AS SELECT * FROM {airflow.table}")
    airflow.execute("CREATE TABLE _xcom_archive AS SELECT value FROM " + airflow.table)
    airflow.execute("CREATE TABLE airflow_deleted__xcom__1 AS SELECT id FROM dag_run")
    found = _records(source)
    assert source.info().archive_tables == (*archives, "_xcom_archive")
    assert [(record["source_table"], record["archived"]) for record in found] == [
        (airflow.table, False),
        *((name, True) for name in (*archives, "_xcom_archive")),
    ]
    assert [json.loads(record["raw"]) for record in found] == ["kept"] * 4
    assert [found[3][name] for name in ("dag_id", "run_id", "key", "written_at", "run_state")] == [None] * 5
    assert [record["source_table"] for record in _records(source, include_archives=False)] == [airflow.table]
    assert len(list(source.rows(Selection()))) == 1


def test_an_archive_that_appears_later_is_in_the_next_snapshot(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """The tables are looked up for every snapshot: `airflow db clean` may run between two of them."""
    airflow.add_xcom("etl", "run", "load", 1)
    assert len(_records(source)) == 1
    airflow.execute(f"CREATE TABLE _airflow_deleted__xcom__20261122082528 AS SELECT * FROM {airflow.table}")
    assert len(_records(source)) == 2


def test_rows_of_some_dags_are_those_and_all_that_name_no_dag(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """Names are compared exactly, also in archives; a row that names no DAG is everybody's."""
    names = ["etl", "ETL", "été's:%(x)s", 'a"b\\c', "other"]
    for name in names:
        airflow.add_xcom(name, "run", "load", name)
    if airflow.shape == "airflow-3.4":
        airflow.add_legacy_xcom("etl", "run", "load", "etl", key="old")
    else:
        airflow.execute(f"CREATE TABLE _airflow_deleted__xcom__1 AS SELECT * FROM {airflow.table}")
    airflow.execute(f"CREATE TABLE _xcom_archive AS SELECT value FROM {airflow.table}")
    for wanted in ([], ["etl"], names[1:4], [*names, "unknown"]):
        found = [record["dag_id"] for record in _records(source, dag_ids=wanted, include_archives=True)]
        twice = ["etl"] if airflow.shape == "airflow-3.4" else names
        expected = [name for name in names if name in wanted] + [name for name in twice if name in wanted]
        assert (wanted, sorted(filter(None, found))) == (wanted, sorted(expected))
        assert found.count(None) == len(names)


def test_parts_of_the_dags_are_together_every_row(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Whoever reads the DAGs in two halves has read each row, and no row of a live table twice."""
    for number in range(8):
        airflow.add_xcom(f"dag {number}", "run", "load", number)
    with source.snapshot() as snapshot:
        known = sorted(snapshot.dag_ids())
    halves = [_records(source, dag_ids=known[start::2]) for start in (0, 1)]
    whole = sorted(record["row_key"] for record in _records(source))
    assert sorted(record["row_key"] for half in halves for record in half) == whole
    assert [len(half) for half in halves] == [4, 4]


def test_a_view_can_be_asked_when_a_scan_was_closed_early(
    airflow: AirflowDatabase, source: DatabaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has seen enough closes the iterator, and the view is as it was, on every engine."""
    monkeypatch.setattr(scanning, "BATCH_ROWS", 2)
    for index in range(5):
        airflow.add_xcom("etl", "run", "load", index, map_index=index)
    with source.snapshot() as snapshot:
        with closing(snapshot.batches()) as batches:  # type: ignore[type-var]  # it is a generator
            assert next(batches).num_rows == 2
        assert snapshot.dag_ids() == {"etl"}
        assert sum(batch.num_rows for batch in snapshot.batches()) == 5
