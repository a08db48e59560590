-- The largest objects, and values that are in their rows.
SELECT
    left(uri, 300) AS uri, left(dag_id, 120) AS dag_id, left(run_id, 120) AS run_id, left(task_id, 120) AS task_id,
    map_index, left(key, 120) AS key, coalesce(size, 0) AS size, state, written_at, left(reason, 120) AS reason
FROM (
    SELECT uri, dag_id, run_id, task_id, map_index, key, size, state, last_modified AS written_at, reason
    FROM objects WHERE state <> 'reserved'
    UNION ALL
    SELECT NULL, dag_id, run_id, task_id, map_index, key, row_size, state, written_at, reason
    FROM entries WHERE state = 'inline'
)
ORDER BY size DESC, uri, dag_id, run_id, task_id, map_index, key
LIMIT 500
