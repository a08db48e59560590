"""Rows that leave a database and come back, on each engine and each generation of Airflow's tables."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.conformance.sources import airflow, source
from tests.schemas.airflow_database import NEWEST, AirflowDatabase
from xcomctl.airflow import insertion
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import RowRecord, RowTarget, Selection
from xcomctl.errors import RefusedError
from xcomctl.models import Row, digest_of

__all__ = ["airflow", "source"]


_VALUES: list[Any] = [
    42,
    1.5,
    0.1,
    1e300,
    True,
    None,
    "hello é 😀",
    "123",
    {"ü": [1, {"b": None}], "a": 1},
    [],
    "s3://b/k",
    "x" * 100_000,
]


def _target(row: Row) -> RowTarget:
    return RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw))


def _rows(source: DatabaseSource) -> list[Row]:
    return sorted(source.rows(Selection(all_attempts=True)), key=lambda row: (row.table, row.row_key))


def _snapshot_records(source: DatabaseSource, **selection: Any) -> list[RowRecord]:
    with source.snapshot() as snapshot:
        return list(snapshot.records(Selection(**selection)))


def _whole_table(airflow: AirflowDatabase, table: str) -> list[tuple[Any, ...]]:
    """Every column as the driver gives it: equal before and after means bit for bit."""
    exact = {"postgresql": "CAST(value AS text)", "mysql": "value", "sqlite": "hex(value) || typeof(value)"}
    # A column of SQLite can hold a value of any type.
    time = "typeof(timestamp) || timestamp" if airflow.engine == "sqlite" else "1"
    with airflow.connection() as connection:
        records = connection.execute(sa.text(f"SELECT x.*, {exact[airflow.engine]}, {time} FROM {table} x"))
        return sorted((tuple(map(_plain, record)) for record in records), key=repr)


def _plain(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview) else json.dumps(value, default=str)


def _without_rows(airflow: AirflowDatabase) -> None:
    for table in {airflow.table, airflow.legacy_table}:
        airflow.execute(f"DELETE FROM {table}")


def test_rows_come_back_bit_for_bit(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Fetched, deleted and inserted again through JSON, every column of every row is what it was."""
    for index, value in enumerate(_VALUES):
        airflow.add_xcom("etl", "run", "load", value, map_index=index, key="path/é:%?")
    if airflow.shape == "airflow-2":
        airflow.add_xcom("etl", "run", "load", None, key="pickled", raw=bytes(range(256)))
    else:
        airflow.execute(f"UPDATE {airflow.table} SET dag_result = :yes", yes=True)
    airflow.add_xcom("etl", "run", "load", 1, key="nothing", at=NEWEST + timedelta(microseconds=1))
    key = "`key`" if airflow.engine == "mysql" else '"key"'
    airflow.execute(f"UPDATE {airflow.table} SET value = NULL WHERE {key} = 'nothing'")
    before = _whole_table(airflow, airflow.table)
    rows = _rows(source)
    targets = [_target(row) for row in rows]
    records = source.records(targets)
    kept = json.loads(json.dumps([record.document() for record in records if record is not None]))
    assert source.delete_rows(targets) == ["deleted"] * len(rows)
    back = [RowRecord.of(document) for document in kept]
    assert back == records
    assert source.insert_records(back) == ["inserted"] * len(rows)
    assert (_rows(source), _whole_table(airflow, airflow.table)) == (rows, before)
    assert source.insert_records(back) == ["identical"] * len(rows)
    assert (source.insert_records([]), source.insertable([]), source.records([])) == ([], [], [])


def test_a_snapshot_gives_the_records_that_a_selection_means(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """All rows or those that the globs match exactly, the same records that targets give."""
    for dag in ("etl_1", "etl_2", "other"):
        for task in ("load", "Load"):
            airflow.add_xcom(dag, "run", task, f"{dag} {task}")
    records = _snapshot_records(source)
    assert source.records([_target(row) for row in _rows(source)]) == sorted(
        records, key=lambda record: (record.table, record.row_key)
    )
    assert {(one.dag_id, one.task_id) for one in _snapshot_records(source, dag="etl_*", task="load")} == {
        ("etl_1", "load"),
        ("etl_2", "load"),
    }
    assert [one.ref for one in _rows(source) if one.dag_id == "other"] == [
        f"{one.dag_id}/{one.run_id}/{one.task_id}:{one.key}"
        for one in sorted(_snapshot_records(source, dag="other"), key=lambda one: one.row_key)
    ]


def test_a_row_that_is_not_as_judged_has_no_record(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """What changed or went since it was judged is None, in its place."""
    for index in range(3):
        airflow.add_xcom("etl", "run", "load", index, map_index=index)
    targets = [_target(row) for row in sorted(_rows(source), key=lambda row: row.map_index or 0)]
    task = airflow.task_ids["etl", "run", "load", 1, 1]
    own = f"task_instance_id = '{task}'" if airflow.shape == "airflow-3.4" else "map_index = 1"
    airflow.execute(f"DELETE FROM {airflow.table} WHERE {own}")
    changed = RowTarget(
        targets[2].table, targets[2].row_key, NEWEST + timedelta(seconds=1), targets[2].digest
    )
    found = source.records([targets[0], targets[1], changed])
    assert [None if record is None else record.map_index for record in found] == [0, None, None]
    with pytest.raises(RefusedError):
        source.records([RowTarget("dag_run", "[1]", None, "null")])


def test_a_run_is_found_by_its_name(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """After an import the run has another number: the row goes where its coordinates say."""
    airflow.add_xcom("etl", "run", "load", 1)
    (record,) = _snapshot_records(source)
    _without_rows(airflow)
    airflow.execute("UPDATE dag_run SET id = 77")
    assert source.insert_records([record]) == ["inserted"]
    assert [(row.ref, row.dag_run_id) for row in _rows(source)] == [("etl/run/load:return_value", 77)]


def test_nothing_is_overwritten(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A row that is in the place with another value stays, and so does one that a call brings twice."""
    airflow.add_xcom("etl", "run", "load", {"a": 1})
    airflow.add_xcom("etl", "run", "other", {"a": 2})
    first, second = sorted(_snapshot_records(source), key=lambda record: record.task_id)
    task = f"task_id = '{second.task_id}'"
    if airflow.shape == "airflow-3.4":
        task = f"task_instance_id = '{airflow.task_ids['etl', 'run', 'other', -1, 1]}'"
    airflow.execute(f"DELETE FROM {airflow.table} WHERE {task}")
    new = airflow._stored({"a": 3})
    airflow.execute(f"UPDATE {airflow.table} SET value = :value", value=new)
    assert source.insertable([first, second]) == ["conflict", "inserted"]
    assert len(_rows(source)) == 1
    assert source.insert_records([first, second, second]) == ["conflict", "inserted", "identical"]
    assert sorted(json.loads(row.raw or b"")["a"] for row in _rows(source)) == [2, 3]


def test_a_row_needs_its_task_instance(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A row whose task or run is gone stays out; the others of the same call come."""
    for dag in ("gone", "here"):
        airflow.add_xcom(dag, "run", "load", dag)
    records = sorted(_snapshot_records(source), key=lambda record: record.dag_id)
    _without_rows(airflow)
    airflow.execute("DELETE FROM task_instance WHERE dag_id = 'gone'")
    assert source.insert_records(records) == ["no_task_instance", "inserted"]
    airflow.execute("DELETE FROM dag_run WHERE dag_id = 'gone'")
    assert source.insert_records(records) == ["no_task_instance", "identical"]
    assert [row.dag_id for row in _rows(source)] == ["here"]


def test_a_row_that_somebody_else_inserts_meanwhile_is_told(
    airflow: AirflowDatabase, source: DatabaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the insertion a task pushes the same key: its value stays, the others come."""
    for index in range(3):
        airflow.add_xcom("etl", "run", "load", index, map_index=index)
    records = sorted(_snapshot_records(source), key=lambda record: record.map_index)
    _without_rows(airflow)
    assert source.insert_records(records[:1]) == ["inserted"]
    look = insertion.Insertion._values_at
    seen: list[int] = []

    def blind_at_first(self: insertion.Insertion, *arguments: Any) -> Any:
        seen.append(1)
        return {} if len(seen) == 1 else look(self, *arguments)

    monkeypatch.setattr(insertion.Insertion, "_values_at", blind_at_first)
    assert source.insert_records(records) == ["identical", "inserted", "inserted"]
    assert len(_rows(source)) == 3


def test_a_row_that_does_not_take_keeps_no_other_one_out(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """A trigger alters one row of forty on its way in: it is told, and left out; the others come."""
    for index in range(40):
        airflow.add_xcom("etl", "run", "load", index, map_index=index)
    records = sorted(_snapshot_records(source), key=lambda record: record.map_index)
    odd = records[17]
    _without_rows(airflow)
    _alter_on_insert(airflow, odd.written_at)
    expected = ["misfit" if record == odd else "inserted" for record in records]
    odd_in_time = replace(odd, columns={**odd.columns, "key": "odd"}, key="odd")
    assert source.insert_records([odd_in_time if record == odd else record for record in records]) == expected
    assert [row.map_index for row in sorted(_rows(source), key=lambda row: row.map_index or 0)] == [
        index for index in range(40) if index != 17
    ]


def _alter_on_insert(airflow: AirflowDatabase, at: object) -> None:
    """From now on the value of a row whose key is `odd` becomes another one."""
    assert at is not None
    table, other = airflow.table, airflow._stored("another")
    literal = "'" + (other if isinstance(other, str) else other.decode()) + "'"
    with airflow.connection() as connection:
        if airflow.engine == "postgresql":
            kind = "bytea" if airflow.shape == "airflow-2" else "jsonb"
            connection.exec_driver_sql(
                f"CREATE FUNCTION alter_odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" NEW.value := CAST({literal} AS {kind}); RETURN NEW; END $$"
            )
            connection.exec_driver_sql(
                f"CREATE TRIGGER odd BEFORE INSERT ON {table} FOR EACH ROW WHEN (NEW.key = 'odd')"
                " EXECUTE FUNCTION alter_odd()"
            )
        elif airflow.engine == "mysql":
            connection.exec_driver_sql(
                f"CREATE TRIGGER odd BEFORE INSERT ON {table} FOR EACH ROW"
                f" SET NEW.value = IF(NEW.`key` = 'odd', {literal}, NEW.value)"
            )
        else:
            connection.exec_driver_sql(
                f"CREATE TRIGGER odd AFTER INSERT ON {table} WHEN NEW.key = 'odd'"
                f" BEGIN UPDATE {table} SET value = {literal} WHERE rowid = NEW.rowid; END"
            )


def test_rows_of_another_shape_keep_no_other_one_out(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """A table, a column or a kind of value that this generation does not have is told of the one row that has it."""
    airflow.add_xcom("etl", "run", "load", 1)
    (record,) = _snapshot_records(source)
    document = record.document()
    other = {"$json": "1"} if airflow.shape == "airflow-2" else {"$bytes": "MQ=="}
    for changes in (
        {"table": "xcom_v9"},
        {"columns": {**record.columns, "colour": "blue"}},
        {"columns": {**record.columns, "value": other}},
        {"columns": {**record.columns, "timestamp": {"$time": "yesterday"}}},
    ):
        _without_rows(airflow)
        odd = RowRecord.of({**document, **changes})
        assert source.insertable([odd, record]) == ["misfit", "inserted"]
        assert source.insert_records([odd, record]) == ["misfit", "inserted"]
        assert [row.ref for row in _rows(source)] == [record.ref]
    _without_rows(airflow)
    assert source.insert_records(
        [RowRecord.of({**document, "columns": {**record.columns, "colour": None}})]
    ) == ["inserted"]


def test_rows_of_active_runs_are_deleted_only_if_asked(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """`active_runs` gives up the check of the run, and no other."""
    airflow.add_run("etl", "run", state="running")
    airflow.add_xcom("etl", "run", "load", 1)
    (row,) = _rows(source)
    assert source.delete_rows([_target(row)]) == ["run_active"]
    changed = RowTarget(row.table, row.row_key, row.written_at, "0" * 64)
    assert source.delete_rows([changed], active_runs=True) == ["changed"]
    assert source.delete_rows([_target(row)], active_runs=True) == ["deleted"]


def test_an_identity_stays_with_its_database(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """The same database has the same identity whatever is in it; it is 16 hex digits."""
    before = source.identity()
    airflow.add_xcom("etl", "run", "load", 1)
    with closing(DatabaseSource(airflow.url)) as again:
        assert again.identity() == before
    assert (len(before), set(before) <= set("0123456789abcdef")) == (16, True)


def test_a_damaged_record_is_refused() -> None:
    """What is no record of a row is told in one line, without its content."""
    for document in ({}, {"table": "xcom"}, {"written_at": "yesterday"}, {"written_at": None, "secret": 1}):
        with pytest.raises(RefusedError, match="the record of a row is damaged") as caught:
            RowRecord.of(document)
        assert "secret" not in str(caught.value)
