"""Both sides of a mark as Parquet files: what a store lists and what a database holds, with the columns of the ports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.bucket import NAME, PREFIX, TASKS

if TYPE_CHECKING:
    import pyarrow as pa

NOW = "2026-09-01T00:00:00+00:00"
"""The time of the mark: months after the last run."""

LOST = 100
"""One row of so many names an object that is not there; the object that was meant has no row."""

_BATCH = 100_000

_PARTS = """
    SELECT n, dag, run,
           'team_etl_pipeline_' || lpad(dag::VARCHAR, 5, '0') AS dag_id,
           'scheduled__' || strftime(began, '%Y-%m-%dT%H:%M:%S') || '+00:00' AS run_id,
           'transform_' || lpad((n % {tasks})::VARCHAR, 2, '0') AS task_id,
           began,
           md5({seed} || n::VARCHAR) AS hex,
           substr(hex, 1, 8) || '-' || substr(hex, 9, 4) || '-' || substr(hex, 13, 4) || '-' || substr(hex, 17, 4)
               || '-' || substr(hex, 21) AS named
    FROM (SELECT range AS n, n // {a_dag} AS dag, n % {a_dag} // {tasks} AS run,
                 TIMESTAMP '2025-01-01' + to_hours(run) AS began
          FROM range({count}))
"""

_OBJECTS = """
    SELECT '{bucket}' AS bucket, '{prefix}' || dag_id || '/' || run_id || '/' || task_id || '/' || named AS key,
           1024 + n % 60000 AS size, hex AS etag, began AS last_modified
    FROM ({parts}) ORDER BY n
"""

_ROWS = """
    SELECT 'xcom' AS source_table, false AS archived,
           '[' || number || ',"' || task_id || '",-1,"return_value"]' AS row_key,
           number AS dag_run_id, dag_id, run_id, task_id, -1 AS map_index, 'return_value' AS key,
           began + INTERVAL 10 MINUTE AS written_at,
           encode('"s3://{bucket}/{prefix}' || dag_id || '/' || run_id || '/' || task_id || '/' || named || '"') AS raw,
           'success' AS run_state, began AS run_at, began + INTERVAL 10 MINUTE AS run_ended_at,
           NULL::BIGINT AS try_number, false AS superseded
    FROM (SELECT *, run * {dags} + dag + 1 AS number FROM ({parts})) ORDER BY number, n
"""


def write_both(folder: Path, count: int, dags: int) -> Path:
    """Write objects.parquet and rows.parquet of about `count` each, once; the folder in which they are."""
    target = folder / f"mark-{count}-{dags}"
    if (target / "whole").exists():
        return target
    target.mkdir(parents=True, exist_ok=True)
    from xcomctl.airflow.interface import row_schema
    from xcomctl.s3.interface import object_schema

    a_dag = max(count // dags // TASKS, 1) * TASKS
    places = {"tasks": TASKS, "a_dag": a_dag, "count": a_dag * dags}
    words = {"bucket": NAME, "prefix": PREFIX, "dags": dags}
    _write(
        target / "objects.parquet",
        _OBJECTS.format(parts=_PARTS.format(seed="''", **places), **words),
        object_schema(),
    )
    seed = f"CASE WHEN n % {LOST} = 7 THEN 'lost' ELSE '' END"
    _write(
        target / "rows.parquet", _ROWS.format(parts=_PARTS.format(seed=seed, **places), **words), row_schema()
    )
    (target / "whole").touch()
    return target


def _write(path: Path, query: str, schema: pa.Schema) -> None:
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": "4GiB",
        "temp_directory": str(path.with_suffix(".tmp")),
    }
    with (
        duckdb.connect(config=config) as database,
        pq.ParquetWriter(path, schema, compression="zstd") as writer,
    ):
        for batch in database.sql(query).to_arrow_reader(_BATCH):
            table = pa.Table.from_batches([batch])
            writer.write_table(
                pa.table({name: table[name].cast(schema.field(name).type) for name in schema.names})
            )
