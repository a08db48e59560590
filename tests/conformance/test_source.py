"""What every metadata source does, on each engine and each generation of Airflow's tables."""

# The names in the statements are the test's own.

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.schemas.airflow_database import NEWEST, SHAPES, AirflowDatabase
from xcomctl.errors import RefusedError, SourceError, UsageError
from xcomctl.metadata.database import DatabaseSource
from xcomctl.metadata.deletion import ACTIVE_TASK_STATES
from xcomctl.metadata.interface import RowTarget, Selection, SortField, row_schema
from xcomctl.models import Row, digest_of

UTC = timezone.utc
_DATABASES = {"sqlite": None, "postgresql": "postgres_database", "mysql": "mariadb_database"}


@pytest.fixture(
    params=[
        pytest.param(
            (engine, shape), id=f"{engine}-{shape}", marks=[pytest.mark.mariadb] if engine == "mysql" else []
        )
        for engine in _DATABASES
        for shape in SHAPES
    ]
)
def airflow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AirflowDatabase]:
    """An empty metadata database of one generation on one engine."""
    engine, shape = request.param
    fixture = _DATABASES[engine]
    url = request.getfixturevalue(fixture) if fixture else f"sqlite:///{tmp_path / 'airflow.db'}"
    with AirflowDatabase(url, shape) as database:
        yield database.create()


@pytest.fixture
def source(airflow: AirflowDatabase) -> Iterator[DatabaseSource]:
    """A source on that database."""
    opened = DatabaseSource(airflow.url)
    yield opened
    opened.close()


def _target(row: Row) -> RowTarget:
    return RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw))


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
    airflow.execute("CREATE TABLE _airflow_deleted__xcom__1 AS SELECT id FROM dag_run")
    found = _records(source)
    assert source.info().archive_tables == (*archives, "_xcom_archive")
    assert [(record["source_table"], record["archived"]) for record in found] == [
        (airflow.table, False),
        *((name, True) for name in (*archives, "_xcom_archive")),
    ]
    assert [json.loads(record["raw"]) for record in found] == ["kept"] * 4
    assert [found[3][name] for name in ("dag_id", "run_id", "key", "written_at", "run_state")] == [None] * 5
    assert [record["source_table"] for record in _records(source, include_archives=False)] == [airflow.table]
    assert len(_all(source)) == 1


def test_an_archive_that_appears_later_is_in_the_next_snapshot(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """The tables are looked up for every snapshot: `airflow db clean` may run between two of them."""
    airflow.add_xcom("etl", "run", "load", 1)
    assert len(_records(source)) == 1
    airflow.execute(f"CREATE TABLE _airflow_deleted__xcom__20261122082528 AS SELECT * FROM {airflow.table}")
    assert len(_records(source)) == 2


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


def test_rows_that_are_as_judged_are_deleted(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """One outcome per target, in order; the row that nobody named stays."""
    for index in range(3):
        airflow.add_xcom("etl", "run", "load", index, map_index=index)
    first, second, third = source.rows(Selection(), sort="key", descending=False)
    assert source.delete_rows([_target(third), _target(first)]) == ["deleted", "deleted"]
    assert _all(source) == [second]
    assert source.delete_rows([]) == []


def test_many_rows_are_deleted_in_one_call(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A batch of five hundred is as good as one."""
    airflow.add_xcom("etl", "run", "load", 0, key="k0")
    with airflow.connection() as connection:
        others = "dag_run_id, task_id, map_index, dag_id, run_id, value"
        for number in range(1, 520):
            if airflow.shape == "airflow-3.4":
                identity = f"00000000-0000-0000-0000-{number:012}"
                identity = identity if airflow.engine == "postgresql" else identity.replace("-", "")
                columns, values = "id, task_instance_id, value", f"'{identity}', task_instance_id, value"
            else:
                columns = values = others
            key, stamp = ("`key`", "`timestamp`") if airflow.engine == "mysql" else ('"key"', '"timestamp"')
            connection.exec_driver_sql(
                f"INSERT INTO {airflow.table} ({columns}, {key}, {stamp}) SELECT {values}, 'k{number}', {stamp} "
                f"FROM {airflow.table} WHERE {key} = 'k0'"
            )
    rows = _all(source)
    assert len(rows) == 520
    assert source.delete_rows([_target(row) for row in rows[:500]]) == ["deleted"] * 500
    assert _all(source) == rows[500:]


def test_a_row_that_changed_is_kept(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Another value, or the same value written at another time, is another row than the one that was judged."""
    airflow.add_xcom("etl", "run", "load", 1)
    (row,) = _all(source)
    other_value = RowTarget(row.table, row.row_key, row.written_at, digest_of(b"2"))
    other_time = RowTarget(row.table, row.row_key, NEWEST + timedelta(microseconds=1), digest_of(row.raw))
    assert source.delete_rows([other_value, other_time]) == ["changed", "changed"]
    assert _all(source) == [row]


def test_a_row_that_is_gone_is_told(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A second deletion of the same row finds nothing, in the same call and in the next."""
    airflow.add_xcom("etl", "run", "load", 1)
    (row,) = _all(source)
    assert source.delete_rows([_target(row), _target(row)]) == ["deleted", "gone"]
    assert source.delete_rows([_target(row)]) == ["gone"]


def test_rows_of_a_run_that_is_not_over_are_kept(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A run is over when it is a success or a failure; anything else may still read its XComs."""
    states = ["failed", "queued", "running", None, "success"]
    for number, state in enumerate(states):
        airflow.add_run("etl", f"run {number}", state=state)
        airflow.add_xcom("etl", f"run {number}", "load", 1)
    rows = list(source.rows(Selection(), sort="run_id", descending=False))
    outcomes = source.delete_rows([_target(row) for row in rows])
    assert outcomes == ["deleted", "run_active", "run_active", "run_active", "deleted"]
    assert list(source.rows(Selection(), sort="run_id", descending=False)) == rows[1:4]


def test_a_cleared_task_keeps_the_rows_of_its_run(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A run that says success, but has a task that will run again, is not over."""
    airflow.add_xcom("etl", "run", "load", 1)
    airflow.add_task("etl", "run", "again")
    (row,) = _all(source)
    for state in ACTIVE_TASK_STATES:
        airflow.execute("UPDATE task_instance SET state = :state WHERE task_id = 'again'", state=state)
        assert (state, source.delete_rows([_target(row)])) == (state, ["run_active"])
    airflow.execute("UPDATE task_instance SET state = 'skipped' WHERE task_id = 'again'")
    assert source.delete_rows([_target(row)]) == ["deleted"]


def test_a_target_that_the_database_cannot_have_is_refused(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """An archive, another table or a key of another form is refused as a whole: nothing is deleted."""
    airflow.add_xcom("etl", "run", "load", 1)
    airflow.execute(f"CREATE TABLE _xcom_archive AS SELECT * FROM {airflow.table}")
    (row,) = _all(source)
    for bad in (
        RowTarget("_xcom_archive", row.row_key, row.written_at, digest_of(row.raw)),
        RowTarget("dag_run", "[1]", None, "null"),
        RowTarget(row.table, '[1, "x"]', row.written_at, digest_of(row.raw)),
        RowTarget(row.table, "not json", row.written_at, digest_of(row.raw)),
    ):
        with pytest.raises(RefusedError):
            source.delete_rows([_target(row), bad])
    assert _all(source) == [row]


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
