-- What is kept of an inventory, in the database `kept`, whose tables are there and empty. Parameters: none.

INSERT INTO kept.rows BY NAME
SELECT
    row_id, source_table, archived, dag_id, run_id, task_id, map_index, key, written_at, run_state, run_at,
    run_ended_at, try_number, superseded, size
FROM rows;

INSERT INTO kept.refs BY NAME
SELECT
    r.row_id, r.reference_no, r.dialect, r.confidence, 's3://' || r.bucket || '/' || r.key AS uri, o.object_id,
    r.under_root
FROM refs r
SEMI JOIN rows w ON w.row_id = r.row_id
LEFT JOIN (
    SELECT object_id, bucket, key FROM listed_objects SEMI JOIN object_states USING (object_id)
) o ON o.bucket = r.bucket AND o.key = r.key;

INSERT INTO kept.objects BY NAME
WITH speaking AS (
    -- The row that tells whose the object is: the first of those that mean it, else of those that mention it.
    SELECT object_id, min(row_id + if(exact, 0, 1::BIGINT << 61)) & ((1::BIGINT << 61) - 1) AS row_id
    FROM links GROUP BY object_id
)
SELECT
    o.object_id, 's3://' || o.bucket || '/' || o.key AS uri, o.bucket, o.key AS object_key, o.size, o.etag,
    o.last_modified, s.state, s.reason, o.dialect,
    coalesce(w.dag_id, o.dag_id) AS dag_id,
    if(w.dag_id IS NULL, o.run_id, w.run_id) AS run_id,
    if(w.dag_id IS NULL, o.task_id, w.task_id) AS task_id,
    if(w.dag_id IS NULL, o.map_index, w.map_index) AS map_index,
    if(w.dag_id IS NULL, o.xcom_key, w.key) AS key
FROM objects o
JOIN object_states s USING (object_id)
LEFT JOIN speaking k USING (object_id)
LEFT JOIN rows w ON w.row_id = k.row_id;

INSERT INTO kept.entries BY NAME
WITH found AS (
    SELECT row_id, object_id, min(dialect) AS dialect
    FROM kept.refs WHERE object_id IS NOT NULL GROUP BY row_id, object_id
), stored AS (
    SELECT
        f.row_id, count(*) AS objects, sum(o.size)::BIGINT AS object_size,
        min(f.dialect) AS dialect, min(o.uri) AS uri
    FROM found f JOIN kept.objects o USING (object_id)
    GROUP BY f.row_id
), gone AS (
    SELECT row_id, min('s3://' || bucket || '/' || key) AS uri FROM dangling_rows GROUP BY row_id
), unknown AS (
    SELECT row_id, min(uri) AS uri
    FROM (
        SELECT row_id, 's3://' || bucket || '/' || key AS uri FROM unreachable_rows
        UNION ALL
        SELECT row_id, NULL FROM unresolved_rows
    )
    GROUP BY row_id
), named AS (
    SELECT row_id, min(dialect) AS dialect, min(uri) AS uri
    FROM kept.refs WHERE confidence <> 'ambiguous' GROUP BY row_id
)
SELECT
    w.row_id, w.dag_id, w.run_id, w.task_id, w.map_index, w.key, w.written_at, w.run_state, w.run_ended_at,
    CASE
        WHEN g.row_id IS NOT NULL THEN 'dangling'
        WHEN u.row_id IS NOT NULL THEN 'unresolved'
        WHEN s.row_id IS NOT NULL THEN 'live'
        ELSE 'inline'
    END AS state,
    e.row_id IS NOT NULL AS expires, e.reason,
    coalesce(s.object_size, w.size) AS size, w.size AS row_size, s.object_size, coalesce(s.objects, 0) AS objects,
    coalesce(s.dialect, n.dialect) AS dialect, coalesce(s.uri, g.uri, u.uri, n.uri) AS uri
FROM rows w
LEFT JOIN stored s USING (row_id)
LEFT JOIN gone g USING (row_id)
LEFT JOIN unknown u USING (row_id)
LEFT JOIN named n USING (row_id)
LEFT JOIN expiring_rows e USING (row_id)
WHERE NOT w.archived;
