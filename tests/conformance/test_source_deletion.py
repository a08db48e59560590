"""What every metadata source does when rows are to go, on each engine and each generation of Airflow's tables."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest

from tests.schemas.airflow_database import NEWEST, AirflowDatabase
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.deletion import ACTIVE_TASK_STATES
from xcomctl.airflow.interface import RowTarget, Selection
from xcomctl.errors import RefusedError
from xcomctl.models import Row, digest_of

UTC = timezone.utc


def _target(row: Row) -> RowTarget:
    return RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw))


def _all(source: DatabaseSource, **options: Any) -> list[Row]:
    return list(source.rows(Selection(**options)))


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
