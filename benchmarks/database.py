"""Airflow's tables on PostgreSQL, filled by the server itself with rows that fit the buckets of `benchmarks.bucket`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from benchmarks.bucket import NAME, PREFIX, TASKS
from tests.services.postgres import running_postgres

_SCHEMA = Path(__file__).parents[1] / "tests" / "schemas" / "airflow-3.postgresql.sql"

LOST = 100
"""One row of so many names an object that is not there; the object that was meant has no row."""

_RUNS = """
    INSERT INTO dag_run (id, dag_id, run_id, state, logical_date, run_after, start_date, end_date)
    SELECT dag * %(runs)s + run + 1, 'team_etl_pipeline_' || lpad(dag::text, 5, '0'),
           'scheduled__' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') || '+00:00', 'success',
           at, at, at, at + interval '10 minutes'
    FROM generate_series(0, %(dags)s - 1) AS dag, generate_series(0, %(runs)s - 1) AS run,
         LATERAL (SELECT timestamptz '2025-01-01 00:00+00' + run * interval '1 hour' AS at) AS time
"""

_ROWS = f"""
    INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp)
    SELECT d.id, task_id, -1, 'return_value', d.dag_id, d.run_id,
           to_jsonb('s3://{NAME}/{PREFIX}' || d.dag_id || '/' || d.run_id || '/' || task_id || '/' || unique_id),
           d.end_date
    FROM dag_run d, generate_series(0, {TASKS - 1}) AS task,
         LATERAL (SELECT ((d.id - 1) / %(runs)s) * %(runs)s * {TASKS} + (d.id - 1) %% %(runs)s * {TASKS} + task AS n) AS n,
         LATERAL (
             SELECT 'transform_' || lpad(task::text, 2, '0') AS task_id,
                    md5(CASE WHEN n %% {LOST} = 7 THEN 'lost' ELSE '' END || n)::uuid AS unique_id
         ) AS names
    ORDER BY d.id
"""  # noqa: S608 - constants of ours

_SMALL = f"""
    INSERT INTO xcom (dag_run_id, task_id, map_index, key, dag_id, run_id, value, timestamp)
    SELECT dag_run_id, task_id, map_index, 'rows_written', dag_id, run_id, to_jsonb(dag_run_id), timestamp
    FROM xcom WHERE right(task_id, 1)::integer < {TASKS // 2}
"""  # noqa: S608


@contextmanager
def filled(dags: int, runs: int, *, small: bool = False) -> Iterator[str]:
    """URL of a database with so many DAGs, runs of each and ten references a run; half as many `small` values more."""
    with running_postgres() as server:
        url = server.url(server.create_database())
        engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(_SCHEMA.read_text(encoding="utf-8"))
            # No task instance is made.
            connection.exec_driver_sql("ALTER TABLE xcom DROP CONSTRAINT xcom_task_instance_fkey")
            for statement in (_RUNS, _ROWS, *([_SMALL] if small else [])):
                connection.exec_driver_sql(statement, {"dags": dags, "runs": runs})
            connection.exec_driver_sql("VACUUM ANALYZE")
        engine.dispose()
        yield url
