"""Airflow 3.4 keeps the XComs of every attempt, and those that an older release wrote beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schemas.airflow_database import AirflowDatabase
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import RowTarget, Selection
from xcomctl.models import Row, digest_of


@pytest.fixture(params=["sqlite", "postgresql"])
def airflow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AirflowDatabase]:
    """A 3.4 database with a retried task and with rows that 3.3 wrote, one of which was written again since."""
    sqlite = f"sqlite:///{tmp_path / 'airflow.db'}"
    url = sqlite if request.param == "sqlite" else request.getfixturevalue("postgres_database")
    with AirflowDatabase(url, "airflow-3.4") as database:
        database.create()
        database.add_run("etl", "run")
        database.add_task("etl", "run", "load", state="failed", try_number=1, archived=True)
        database.add_task("etl", "run", "load", try_number=2)
        database.add_xcom("etl", "run", "load", "first try", try_number=1)
        database.add_xcom("etl", "run", "load", "second try", try_number=2)
        database.add_task("etl", "run", "old")
        database.add_legacy_xcom("etl", "run", "old", "written by 3.3")
        database.add_task("etl", "run", "both")
        database.add_legacy_xcom("etl", "run", "both", "shadowed")
        database.add_xcom("etl", "run", "both", "shadows")
        yield database


@pytest.fixture
def source(airflow: AirflowDatabase) -> Iterator[DatabaseSource]:
    """A source on that database."""
    opened = DatabaseSource(airflow.url)
    yield opened
    opened.close()


def _values(source: DatabaseSource, **options: bool) -> dict[str, Row]:
    return {json.loads(row.raw or b""): row for row in source.rows(Selection(**options))}  # type: ignore[arg-type]


def test_the_listing_shows_what_airflow_shows(source: DatabaseSource) -> None:
    """Without `all_attempts` there is one row for each task and key: that of the current attempt, the newer table first."""
    assert set(_values(source)) == {"second try", "written by 3.3", "shadows"}


def test_all_attempts_are_listed_on_demand(source: DatabaseSource) -> None:
    """With `all_attempts` archived tries and shadowed rows come too, and are marked as superseded."""
    rows = _values(source, all_attempts=True)
    assert {value: (row.table, row.superseded, row.try_number) for value, row in rows.items()} == {
        "first try": ("xcom_v2", True, 1),
        "second try": ("xcom_v2", False, 2),
        "written by 3.3": ("xcom_v1", False, 1),
        "shadowed": ("xcom_v1", True, 1),
        "shadows": ("xcom_v2", False, 1),
    }


def test_a_snapshot_always_has_every_attempt(source: DatabaseSource) -> None:
    """What an archived try refers to is still referenced."""
    with source.snapshot() as snapshot:
        records = [record for batch in snapshot.batches() for record in batch.to_pylist()]
    assert sorted(json.loads(record["raw"]) for record in records) == [
        *("first try", "second try", "shadowed", "shadows", "written by 3.3"),
    ]
    assert sorted(json.loads(record["raw"]) for record in records if record["superseded"]) == [
        "first try",
        "shadowed",
    ]


def test_rows_of_both_tables_have_short_ids_and_can_be_deleted(source: DatabaseSource) -> None:
    """A row of any attempt is found by its short id, and goes by its key."""
    rows = _values(source, all_attempts=True)
    assert [source.row_by_short_id(row.short_id) for row in rows.values()] == list(rows.values())
    wanted = [rows["first try"], rows["shadowed"], rows["written by 3.3"]]
    targets = [RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw)) for row in wanted]
    assert source.delete_rows(targets) == ["deleted", "deleted", "deleted"]
    assert set(_values(source, all_attempts=True)) == {"second try", "shadows"}


def test_an_archived_attempt_does_not_make_its_run_active(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """The state that an archived attempt was left in says nothing about the run of today."""
    airflow.execute("UPDATE task_instance SET state = 'up_for_retry' WHERE working_set IS NULL")
    row = _values(source)["second try"]
    assert source.delete_rows([RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw))]) == [
        "deleted"
    ]


def test_a_row_without_owner_or_task_still_counts(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """SQLite does not check foreign keys by itself: rows whose task is gone keep what they refer to."""
    if airflow.engine != "sqlite":
        pytest.skip("the foreign keys of PostgreSQL do not let it happen")
    for table in ("legacy_task_data_owner", "task_instance", "dag_run"):
        airflow.execute(f"DELETE FROM {table}")
    rows = _values(source)
    assert set(rows) == {"first try", "second try", "written by 3.3", "shadowed", "shadows"}
    lost = rows["first try"]
    assert (lost.dag_id, lost.dag_run_id, lost.run_state, lost.key) == (None, None, None, "return_value")
    assert rows["written by 3.3"].dag_id == "etl"
    assert source.row_by_short_id(lost.short_id) == lost
    assert {json.loads(row.raw or b"") for row in source.rows(Selection(dag="*"))} == {
        "written by 3.3",
        "shadowed",
    }
    targets = [RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw)) for row in rows.values()]
    assert source.delete_rows(targets) == ["deleted"] * 5
