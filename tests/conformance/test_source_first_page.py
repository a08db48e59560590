"""The first page of `ls` on large tables of PostgreSQL: the same rows in the same order, without reading the table."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from tests.schemas.airflow_database import NEWEST, SHAPES, AirflowDatabase
from tests.services.database_proxy import database_proxy
from tests.services.sweeps import sweep
from xcomctl.airflow import first_page
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import Selection, SortField
from xcomctl.models import Row

DAGS, RUNS, TASKS = 20, 2_000, 10

_PAGES: list[tuple[dict[str, Any], SortField, bool]] = [
    ({}, "written_at", True),
    ({"dag": "dag_7"}, "written_at", True),
    ({"dag": "dag_7", "state": "success"}, "written_at", True),
    ({"state": "failed"}, "written_at", True),
    ({"all_attempts": True}, "written_at", True),
    ({}, "run_id", False),
    ({"dag": "dag_7"}, "run_id", False),
    ({}, "dag_id", False),
]


@pytest.fixture(params=sweep(SHAPES, lambda shape: shape == "airflow-3.4"))
def airflow(request: pytest.FixtureRequest, postgres_database: str) -> Iterator[AirflowDatabase]:
    """A database with runs that start every minute and take an hour, each of ten tasks; the newest are not over."""
    with AirflowDatabase(postgres_database, request.param) as database:
        _fill(database.create())
        yield database


def _fill(airflow: AirflowDatabase) -> None:
    dates = "execution_date" if airflow.shape == "airflow-2" else "logical_date, run_after"
    began = "at" if airflow.shape == "airflow-2" else "at, at"
    airflow.execute(
        f"INSERT INTO dag_run (id, dag_id, run_id, state, end_date, {dates})"
        f" SELECT n, 'dag_' || n % {DAGS}, 'run_' || n * 7919 % {RUNS},"
        f" CASE WHEN n > {RUNS - 30} THEN 'running' WHEN n % 11 = 0 THEN 'failed' ELSE 'success' END,"
        f" CASE WHEN n <= {RUNS - 30} THEN at + interval '1 hour' END, {began} FROM (SELECT n,"
        f" timestamptz '{NEWEST.isoformat()}' - ({RUNS} - n) * interval '1 minute' AS at"
        f" FROM generate_series(1, {RUNS}) n) q"
    )
    identity, owner = ("", "") if airflow.shape == "airflow-2" else ("id, ", "md5(r.id || '-' || t)::uuid, ")
    index = "region_index" if airflow.shape == "airflow-3.4" else "map_index"
    airflow.execute(
        f"INSERT INTO task_instance ({identity}dag_id, run_id, task_id, {index}, state, try_number)"
        f" SELECT {owner}r.dag_id, r.run_id, 't' || t, -1, 'success', 1 FROM dag_run r, generate_series(1, {TASKS}) t"
    )
    value = "convert_to('1', 'UTF8')" if airflow.shape == "airflow-2" else "'1'::jsonb"
    at = "r.execution_date" if airflow.shape == "airflow-2" else "r.run_after"
    if airflow.shape == "airflow-3.4":
        columns = "id, task_instance_id"
        values = "md5(r.id || '+' || t)::uuid, md5(r.id || '-' || t)::uuid"
    else:
        columns = "dag_run_id, dag_id, run_id, task_id, map_index"
        values = "r.id, r.dag_id, r.run_id, 't' || t, -1"
    airflow.execute(
        f"INSERT INTO {airflow.table} ({columns}, key, value, timestamp) SELECT {values}, 'k', {value},"
        # Each task writes five minutes after the one before: pages go across runs.
        f" {at} + t * interval '5 minutes' FROM dag_run r, generate_series(1, {TASKS}) t"
    )
    airflow.execute("ANALYZE")


def _page(source: DatabaseSource, chosen: dict[str, Any], sort: SortField, *, descending: bool) -> list[Row]:
    return list(source.rows(Selection(**chosen), sort=sort, descending=descending, limit=51))


def test_the_first_page_is_the_same_by_way_of_the_runs(
    airflow: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever order and selection the runs can bound; a selection of nothing gives nothing."""
    with closing(DatabaseSource(airflow.url)) as source:
        for chosen, sort, descending in [*_PAGES, ({"dag": "nothing"}, "written_at", True)]:
            pages = []
            for dear in (-1.0, float("inf")):
                monkeypatch.setattr(first_page, "DEAR", dear)
                pages.append(_page(source, chosen, sort, descending=descending))
            assert (chosen, sort, pages[0]) == (chosen, sort, pages[1])
            assert len(pages[0]) == (0 if chosen == {"dag": "nothing"} else 51)


def test_the_first_page_does_not_read_the_table(
    airflow: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan of every statement that gives rows: no table of XComs that has rows is read from end to end."""
    monkeypatch.setattr(first_page, "DEAR", -1.0)
    # A share of the table that is as small as on a large one.
    monkeypatch.setattr(first_page, "_RUNS", (20, 130, 2_000))
    asked: list[str] = []
    with database_proxy(airflow.url) as proxy, closing(DatabaseSource(proxy.url)) as source:
        proxy.before = lambda _, statement: asked.append(statement)
        for chosen, sort, descending in _PAGES:
            _page(source, chosen, sort, descending=descending)
    lists = [statement for statement in asked if "= ANY(ARRAY[" in statement]
    assert len(lists) >= len(_PAGES)
    for statement in lists:
        with airflow.connection() as connection:
            plan = [line for (line,) in connection.exec_driver_sql(f"EXPLAIN {statement}".replace("%", "%%"))]
        assert not [line for line in plan if f"Seq Scan on {airflow.table} " in line], "\n".join(plan)


_NOT_BY_RUNS: list[tuple[dict[str, Any], SortField, bool]] = [
    ({"task": "t1"}, "written_at", True),
    ({"since": NEWEST - timedelta(days=1)}, "written_at", True),
    ({"dag": "dag_*"}, "written_at", True),
    ({}, "written_at", False),
    ({}, "key", False),
]


def test_a_list_that_is_cheap_is_asked_for_as_it_is(airflow: AirflowDatabase) -> None:
    """Small tables, and DAGs of few rows, need no detour; options that choose rows and not runs have none."""
    with closing(DatabaseSource(airflow.url)) as source, source._reading() as (connection, queries):
        for selection in (Selection(), Selection(dag="dag_7")):
            page = first_page.FirstPage(queries, selection, "written_at", True, 51)
            assert not page.pays_off(connection)
        for chosen, sort, descending in _NOT_BY_RUNS:
            page = first_page.FirstPage(queries, Selection(**chosen), sort, descending, 51)
            assert (chosen, sort, page._possible()) == (chosen, sort, False)


def test_a_row_written_late_is_on_the_first_page(
    airflow: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that goes on while its run was ended is found, and so is one in a run that never ended."""
    monkeypatch.setattr(first_page, "DEAR", -1.0)
    monkeypatch.setattr(first_page, "_RUNS", (40, 400, 4_000))
    if airflow.shape == "airflow-3.4":
        change = (
            "UPDATE xcom_v2 SET timestamp = :at WHERE task_instance_id = (SELECT ti.id FROM task_instance ti"
            " JOIN dag_run r USING (dag_id, run_id) WHERE r.id = :run AND ti.task_id = 't1')"
        )
    else:
        change = "UPDATE xcom SET timestamp = :at WHERE dag_run_id = :run AND task_id = 't1'"
    airflow.execute("UPDATE dag_run SET state = 'failed', end_date = NULL WHERE id = 3")
    airflow.execute(change, at=NEWEST + timedelta(hours=3), run=3)
    # Its run ended at 05:00 minus a minute, 31 minutes before the first row of the page would be written otherwise.
    airflow.execute(change, at=NEWEST + timedelta(minutes=49), run=RUNS - 61)
    with closing(DatabaseSource(airflow.url)) as source:
        found = [row.dag_run_id for row in _page(source, {}, "written_at", descending=True)]
    assert (found[0], RUNS - 61 in found) == (3, True)
