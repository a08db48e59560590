-- Bytes, rows and objects by DAG, task and key. Beyond the largest of each level all others are one record, whose name is
-- NULL and whose `others` is how many they are. Bytes of an object are in S3, bytes of a row in the database.
WITH limits AS (
    SELECT 40 AS dags, 20 AS tasks, 8 AS keys, 120 AS letters
), weights AS (
    SELECT
        dag_id, task_id, key, coalesce(size, 0) AS object_bytes, 0 AS row_bytes, 1 AS objects, 0 AS rows,
        if(state IN ('expired', 'orphaned'), object_bytes, 0) AS freed_bytes
    FROM objects WHERE state <> 'reserved'
    UNION ALL
    SELECT dag_id, task_id, key, 0, coalesce(row_size, 0), 0, 1, if(expires, coalesce(row_size, 0), 0) FROM entries
), leaves AS (
    SELECT
        dag_id, task_id, key, sum(object_bytes) AS object_bytes, sum(row_bytes) AS row_bytes,
        sum(objects) AS objects, sum(rows) AS rows, sum(freed_bytes) AS freed_bytes
    FROM weights GROUP BY ALL
), summed AS (
    SELECT
        *, object_bytes + row_bytes AS bytes,
        sum(bytes) OVER (PARTITION BY dag_id) AS dag_bytes,
        sum(bytes) OVER (PARTITION BY dag_id, task_id) AS task_bytes
    FROM leaves
), numbered AS (
    SELECT
        *,
        dense_rank() OVER (ORDER BY dag_bytes DESC, dag_id NULLS LAST) AS dag_no,
        dense_rank() OVER (PARTITION BY dag_id ORDER BY task_bytes DESC, task_id NULLS LAST) AS task_no,
        row_number() OVER (PARTITION BY dag_id, task_id ORDER BY bytes DESC, key NULLS LAST) AS key_no
    FROM summed
)
SELECT
    least(n.dag_no, l.dags + 1) AS dag_place,
    any_value(left(dag_id, letters)) FILTER (n.dag_no <= l.dags) AS dag_id,
    greatest(max(n.dag_no) - l.dags, 0) AS other_dags,
    if(n.dag_no > l.dags, 0, least(n.task_no, l.tasks + 1)) AS task_place,
    any_value(left(task_id, letters)) FILTER (n.task_no <= l.tasks) AS task_id,
    greatest(max(n.task_no) - l.tasks, 0) AS other_tasks,
    if(n.dag_no > l.dags OR n.task_no > l.tasks, 0, least(n.key_no, l.keys + 1)) AS key_place,
    any_value(left(key, letters)) FILTER (n.key_no <= l.keys) AS key,
    greatest(max(n.key_no) - l.keys, 0) AS other_keys,
    sum(object_bytes)::BIGINT AS object_bytes, sum(row_bytes)::BIGINT AS row_bytes,
    sum(objects)::BIGINT AS objects, sum(rows)::BIGINT AS rows, sum(freed_bytes)::BIGINT AS freed_bytes
FROM numbered n, limits l
GROUP BY dag_place, task_place, key_place, l.dags, l.tasks, l.keys
ORDER BY dag_place, task_place, key_place
