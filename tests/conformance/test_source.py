"""What every metadata source does, on each engine and each generation of Airflow's tables."""

# The names in the statements are the test's own.

from __future__ import annotations

import json
from datetime import timedelta, timezone
from typing import Any, get_args

import pytest

from tests.schemas.airflow_database import NEWEST, AirflowDatabase
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import Selection, SortField
from xcomctl.errors import SourceError, UsageError
from xcomctl.models import Row

UTC = timezone.utc


def _records(source: DatabaseSource, *, include_archives: bool = True) -> list[dict[str, Any]]:
    with source.snapshot() as snapshot:
        return [
            record
            for batch in snapshot.batches(include_archives=include_archives)
            for record in batch.to_pylist()
        ]


def _all(source: DatabaseSource, **options: Any) -> list[Row]:
    return list(source.rows(Selection(**options)))


def test_info_names_engine_shape_and_tables_without_the_password(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """`info` tells what the database is; the label has no password."""
    info = source.info()
    live = ("xcom_v2", "xcom_v1") if airflow.shape == "airflow-3.4" else ("xcom",)
    assert (info.engine, info.shape, info.tables, info.archive_tables) == (
        airflow.engine,
        airflow.shape,
        live,
        (),
    )
    password = airflow.url.partition("://")[2].partition("@")[0].partition(":")[2]
    assert info.label.startswith(f"{airflow.engine}://")
    assert not password or password not in info.label


def test_a_row_has_all_that_the_database_knows_of_it(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """Coordinates, times in UTC to the microsecond, the state of the run and the raw value come out of every shape."""
    run_at = NEWEST - timedelta(days=2)
    airflow.add_run("etl", "run 1", at=run_at)
    airflow.add_xcom("etl", "run 1", "load", {"a": 1}, key="path/é:%?", map_index=3, try_number=2)
    (row,) = _all(source)
    assert (row.table, row.dag_run_id, row.dag_id, row.run_id, row.task_id, row.map_index, row.key) == (
        *(airflow.table, 1, "etl", "run 1", "load", 3, "path/é:%?"),
    )
    assert (row.written_at, row.run_state, row.run_at, row.run_ended_at) == (
        *(NEWEST, "success", run_at, run_at + timedelta(hours=1)),
    )
    assert (json.loads(row.raw or b""), row.superseded) == ({"a": 1}, False)
    assert row.try_number == (2 if airflow.shape == "airflow-3.4" else None)
    assert row.ref == "etl/run 1/load[3]:path/é:%?"


def test_a_run_without_a_logical_date_is_dated_by_run_after(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """Airflow 3 allows runs without a logical date."""
    airflow.add_run("etl", "manual", dated=False)
    airflow.add_xcom("etl", "manual", "load", 1)
    assert [row.run_at for row in _all(source)] == [NEWEST]


def test_a_value_reads_back_as_json(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Whatever type a column turned a JSON value into, `raw` is JSON again; JSON null is not SQL NULL."""
    values: list[Any] = [
        42,
        -7,
        1.5,
        0.1,
        True,
        None,
        "hello é",
        "123",
        '{"a": 1}',
        {"ü": [1, {"b": None}]},
        [],
        "s3://b/k",
    ]
    for index, value in enumerate(values):
        airflow.add_xcom("etl", "run", "load", value, map_index=index)
    rows = sorted(_all(source), key=lambda row: row.map_index or 0)
    read = [json.loads(row.raw or b"") for row in rows]
    assert [(type(value), value) for value in read] == [(type(value), value) for value in values]


def test_sql_null_is_none(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A row without a value has raw None, in the listing and in the scan."""
    airflow.add_xcom("etl", "run", "load", 1)
    airflow.execute(f"UPDATE {airflow.table} SET value = NULL")
    assert [row.raw for row in _all(source)] == [None]
    assert [record["raw"] for record in _records(source)] == [None]


@pytest.fixture
def zoo(airflow: AirflowDatabase) -> AirflowDatabase:
    """Rows whose names are hard for globs and for LIKE."""
    names = ["etl", "ETL", "etl_daily", "etlxdaily", "etl%", "etl[1]", "etl!", "été"]
    for days, dag in enumerate(names):
        airflow.add_xcom(dag, f"run {days}", "load", dag, at=NEWEST - timedelta(days=days))
    airflow.add_run("failed", "f", state="failed", at=NEWEST - timedelta(days=20))
    airflow.add_xcom("failed", "f", "a", 1, key="k1", at=NEWEST - timedelta(days=20))
    airflow.add_xcom("failed", "f", "a", 2, key="k2", map_index=2, at=NEWEST - timedelta(days=21))
    return airflow


_SELECTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"dag": "etl"}, ["etl"]),
    ({"dag": "etl_daily"}, ["etl_daily"]),
    ({"dag": "etl_*"}, ["etl_daily"]),
    ({"dag": "etl?"}, ["etl%", "etl!"]),
    ({"dag": "etl%"}, ["etl%"]),
    ({"dag": "etl[[]1]"}, ["etl[1]"]),
    ({"dag": "[!e]*"}, ["ETL", "failed", "failed", "été"]),
    ({"dag": "[eE][tT]*"}, ["ETL", "etl", "etl_daily", "etlxdaily", "etl%", "etl[1]", "etl!"]),
    ({"dag": "?t?"}, ["etl", "été"]),
    ({"dag": "nothing"}, []),
    ({"run": "f"}, ["failed", "failed"]),
    ({"task": "lo*", "dag": "ET?"}, ["ETL"]),
    ({"key": "k[12]"}, ["failed", "failed"]),
    ({"map_index": 2}, ["failed"]),
    ({"state": "failed"}, ["failed", "failed"]),
    ({"state": "running"}, []),
    ({"since": NEWEST - timedelta(days=1)}, ["etl", "ETL"]),
    ({"since": NEWEST - timedelta(days=1) + timedelta(microseconds=1)}, ["etl"]),
    ({"until": NEWEST - timedelta(days=20)}, ["failed"]),
    ({"until": NEWEST - timedelta(days=20) + timedelta(microseconds=1)}, ["failed", "failed"]),
]


def test_a_selection_is_exact(zoo: AirflowDatabase, source: DatabaseSource) -> None:
    """Globs are those of fnmatch and tell case apart; `since` is inclusive, `until` exclusive, to the microsecond."""
    for chosen, expected in _SELECTIONS:
        found = sorted(str(row.dag_id) for row in _all(source, **chosen))
        assert (chosen, found) == (chosen, sorted(expected))


def test_a_limit_counts_rows_that_match(zoo: AirflowDatabase, source: DatabaseSource) -> None:
    """The limit comes after the exact filter, also where the database sees more than what matches."""
    limited = [row.dag_id for row in source.rows(Selection(dag="etl?"), limit=1)]
    newest = [row.dag_id for row in source.rows(Selection(), limit=2)]
    assert (limited, newest) == (["etl%"], ["etl", "ETL"])


def test_the_order_is_total(zoo: AirflowDatabase, source: DatabaseSource) -> None:
    """Rising is falling reversed, for any field: ties are broken by the primary key."""
    for sort in get_args(SortField):
        falling = [row.row_key for row in source.rows(Selection(), sort=sort)]
        rising = [row.row_key for row in source.rows(Selection(), sort=sort, descending=False)]
        assert (sort, rising, len(set(rising))) == (sort, falling[::-1], 10)


def test_a_short_id_finds_its_row(zoo: AirflowDatabase, source: DatabaseSource) -> None:
    """`row_by_short_id` finds every row by what `Row.short_id` prints; an unknown one is None, a malformed one refused."""
    rows = _all(source)
    assert [source.row_by_short_id(row.short_id) for row in rows] == rows
    assert source.row_by_short_id("99-abcdef") is None
    with pytest.raises(UsageError, match="not a short id"):
        source.row_by_short_id("etl")


def test_runs_of_a_dag_are_newest_first(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """`run_ids` gives the runs that have XComs, the newest first, as many as are wanted."""
    for days in (2, 1, 3):
        airflow.add_xcom("etl", f"run {days}", "load", 1, at=NEWEST - timedelta(days=days))
    airflow.add_run("etl", "without", at=NEWEST)
    airflow.add_xcom("other", "run 0", "load", 1)
    assert source.run_ids("etl") == ["run 1", "run 2", "run 3"]
    assert source.run_ids("etl", limit=1) == ["run 1"]
    assert source.run_ids("nothing") == []


def test_dag_ids_come_from_dags_runs_and_rows(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A DAG is known if it is listed, has a run or has XComs."""
    airflow.execute("INSERT INTO dag (dag_id) VALUES ('listed')")
    airflow.add_run("ran", "r")
    airflow.add_xcom("wrote", "r", "load", 1)
    with source.snapshot() as snapshot:
        assert snapshot.dag_ids() == {"listed", "ran", "wrote"}
    assert source.dag_ids() == {"listed", "ran", "wrote"}


def test_the_newest_run_is_that_of_the_runs_table(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Its number counts whether or not the run has XComs; a database without runs has none."""
    with source.snapshot() as snapshot:
        assert snapshot.newest_run() is None
    for run in ("r1", "r2", "r3"):
        airflow.add_run("etl", run)
    airflow.add_xcom("etl", "r1", "load", 1)
    with source.snapshot() as snapshot:
        assert snapshot.newest_run() == airflow.run_ids["etl", "r3"]


def test_reading_does_not_write(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """The connection that reads cannot write, whatever it is asked."""
    airflow.add_xcom("etl", "run", "load", 1)
    with pytest.raises(SourceError, match=r"(?i)read.?only"), source._connections.reading() as connection:
        connection.exec_driver_sql("DELETE FROM dag_run")
    assert len(_all(source)) == 1


def test_a_table_of_xcoms_that_is_not_known_is_an_error(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """A release that puts rows into a new table must not make their objects look orphaned."""
    airflow.execute("CREATE TABLE xcom_v3 (id INTEGER, value TEXT)")
    with pytest.raises(SourceError, match="xcom_v3") as caught:
        source.info()
    assert caught.value.hint is not None
    assert "pip install -U xcomctl" in caught.value.hint


def test_a_database_that_is_not_airflows_is_named(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """The error says what was found and what was expected."""
    for name in ("xcom_v2", "xcom_v1", "xcom"):
        airflow.execute(f"DROP TABLE IF EXISTS {name}")
    with pytest.raises(SourceError, match=r"expected a table xcom.*found alembic_version, dag, dag_run"):
        source.info()


def test_a_missing_column_is_named(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A table that lacks what is needed is an unknown shape, not a guess."""
    table, column = airflow.table, "task_instance_id" if airflow.shape == "airflow-3.4" else "dag_run_id"
    airflow.execute(f"DROP TABLE {table}")
    airflow.execute(f"CREATE TABLE {table} (id INTEGER, dag_id TEXT, execution_date TEXT, value TEXT)")
    with pytest.raises(SourceError, match=f"{table} has no .*{column}.*found id, dag_id"):
        source.info()
