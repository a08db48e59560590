"""Inventories of any size, made by SQL alone: what a report is about, without a store or a database."""

from __future__ import annotations

from pathlib import Path

import duckdb

from xcomctl.inventory.snapshot_file import TABLES
from xcomctl.inventory.snapshot_file.tables import VERSION

NOW = "TIMESTAMP '2026-11-22 06:00:00'"

_ENTRIES = f"""
INSERT INTO entries BY NAME
SELECT
    n AS row_id, dag_id, 'scheduled__' || strftime(written_at, '%Y-%m-%dT%H:00:00+00:00') AS run_id,
    task_id, -1 AS map_index, key, written_at, 'success' AS run_state, written_at + INTERVAL 1 HOUR AS run_ended_at,
    CASE WHEN n % 3 = 0 THEN 'inline' WHEN n % 4001 = 1 THEN 'dangling' WHEN n % 9973 = 1 THEN 'unresolved' ELSE 'live' END
        AS state,
    written_at < {NOW} - INTERVAL 60 DAY AS expires,
    if(expires, 'expired: ' || date_diff('day', written_at, {NOW}) || 'd > 60d', NULL) AS reason,
    CASE state WHEN 'live' THEN bytes ELSE row_size END AS size, row_size,
    if(state = 'live', bytes, NULL) AS object_size, (state = 'live')::INTEGER AS objects,
    if(state = 'inline', NULL, 'common.io') AS dialect,
    if(state = 'inline', NULL, 's3://xcoms/prod/' || dag_id || '/' || n || '.parquet') AS uri
FROM (
    SELECT
        n, (ln(1 + chance(0, n) % 1000)::INTEGER * 7 + chance(1, n) % 5)::INTEGER AS dag_no,
        ['daily_sales', 'train_forecast', 'customer_360', 'etl_orders', 'ml_features', 'inventory_sync', 'ga4_export',
         'billing'][1 + dag_no % 8] || if(dag_no < 8, '', '_' || (dag_no // 8)) AS dag_id,
        ['extract', 'transform', 'load', 'score', 'report'][1 + chance(2, n) % 5] AS task_id,
        if(chance(3, n) % 5 = 0, 'row_count', 'return_value') AS key,
        {NOW} - INTERVAL 1 HOUR * (power((chance(4, n) % 10000) / 10000, 1.6) * days * 24)::INTEGER AS written_at,
        (exp((chance(5, n) % 1000) / 90) * (1 + dag_no % 4) * 20)::BIGINT AS bytes, 60 + chance(6, n) % 900 AS row_size
    FROM range(rows) r(n)
)
"""

_OBJECTS = f"""
INSERT INTO objects BY NAME
SELECT
    n AS object_id, 's3://xcoms/prod/' || object_key AS uri, 'xcoms' AS bucket, 'prod/' || object_key AS object_key,
    size, last_modified, state, dialect, dag_id, run_id, task_id, -1 AS map_index, key,
    if(state = 'expired', 'expired: ' || date_diff('day', last_modified, {NOW}) || 'd > 60d', NULL) AS reason
FROM (
    SELECT
        row_id AS n, dag_id || '/' || row_id || '.parquet' AS object_key, object_size AS size, written_at AS last_modified,
        if(expires, 'expired', 'live') AS state, dialect, dag_id, run_id, task_id, key
    FROM entries WHERE state = 'live'
    UNION ALL
    SELECT
        100_000_000 + n, dag_id || '/gone/' || n || '.parquet', size * 2, written_at,
        if(written_at > {NOW} - INTERVAL 1 DAY, 'recent', 'orphaned'), 'common.io', dag_id, run_id, task_id, NULL
    FROM (SELECT *, row_id AS n FROM entries WHERE row_id % 25 = 7)
    UNION ALL
    SELECT 200_000_000 + n, 'notes/' || n || '.txt', 1 + n * 20000, {NOW} - INTERVAL 1 DAY * n, 'foreign', NULL, NULL, NULL,
        NULL, NULL
    FROM range(3) r(n)
    UNION ALL
    SELECT 300_000_000 + n, '.xcomctl/trash/op/' || n, 50000, {NOW} - INTERVAL 3 DAY, 'reserved', NULL, NULL, NULL, NULL,
        NULL
    FROM range(12) r(n)
)
"""


def make(path: Path, rows: int = 3000, *, days: int = 140, options: str | None = "--older-than 60d") -> Path:
    """An inventory of that many rows and of nearly as many objects, of the last `days`."""
    with duckdb.connect(str(path)) as database:
        for table, columns in TABLES.items():
            declared = ", ".join(f"{column.name} {column.type}" for column in columns)
            database.execute(f"CREATE TABLE {table} ({declared})")
        # The same numbers with every release of DuckDB, unlike those of its own hash().
        database.execute(
            "CREATE TEMP MACRO chance(k, n) AS"
            " ((n + 1 + k * 7_654_321) * 48_271 % 2_147_483_647 * 16_807 % 2_147_483_647 // 64)"
        )
        database.execute(_ENTRIES.replace("range(rows)", f"range({rows})").replace("* days *", f"* {days} *"))
        database.execute(_OBJECTS)
        database.execute(
            "INSERT INTO rows BY NAME SELECT row_id, 'xcom' AS source_table, false AS archived, dag_id, row_size AS size"
            " FROM entries UNION ALL SELECT -n, '_airflow_deleted__xcom__20261001', true, 'old', 400 FROM range(9) r(n)"
        )
        database.execute(
            f"INSERT INTO about BY NAME SELECT {VERSION} AS version, {NOW} AS created_at, {NOW} AS objects_at,"
            f" {NOW} - INTERVAL 1 DAY AS cutoff, ['s3://xcoms/prod'] AS roots, true AS complete, '0.1.0' AS tool_version,"
            " 'postgresql://airflow@db.internal/airflow' AS database, ? AS options",
            [options],
        )
    return path
