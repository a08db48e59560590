-- The actions of a plan. Rows come first: a crash between the two leaves orphans, never a dangling row.

WITH first_reference AS (
    SELECT row_id, min_by('s3://' || bucket || '/' || key, (NOT under_root, reference_no)) AS uri
    FROM refs WHERE key IS NOT NULL AND confidence <> 'ambiguous' GROUP BY row_id
)
SELECT
    'delete_row' AS action, f.uri, w.dag_id, w.run_id, w.task_id, w.map_index, w.key, w.size, e.reason,
    w.source_table, w.row_key, w.written_at, w.digest,
    NULL::VARCHAR AS bucket, NULL::VARCHAR AS object_key, NULL::VARCHAR AS etag, NULL::TIMESTAMP AS last_modified,
    NULL::BOOLEAN AS reusable,
    NULL::VARCHAR AS trash_key, NULL::VARCHAR AS version_id, NULL::VARCHAR AS marker_id,
    0 AS step, w.row_id AS place
FROM expiring_rows e JOIN rows w USING (row_id) LEFT JOIN first_reference f USING (row_id)
UNION ALL
SELECT
    'delete_object', 's3://' || o.bucket || '/' || o.key,
    coalesce(o.dag_id, w.dag_id), coalesce(o.run_id, w.run_id), coalesce(o.task_id, w.task_id),
    coalesce(o.map_index, w.map_index), coalesce(o.xcom_key, w.key), o.size,
    CASE s.state
        WHEN 'orphaned' THEN 'orphaned: no row references it, written ' || strftime(o.last_modified, '%Y-%m-%d %H:%M') || ' UTC'
        ELSE s.reason
    END,
    NULL, NULL, NULL, NULL, o.bucket, o.key, o.etag, o.last_modified,
    -- A writer may put this very key again, unless the whole of it is unique per write.
    coalesce(o.uuid_hash IS NULL OR o.tail <> '', true),
    NULL, NULL, NULL,
    -- Listings come in no order.
    1, row_number() OVER (ORDER BY o.bucket, o.key)
FROM object_states s JOIN objects o USING (object_id)
LEFT JOIN (
    -- Whose object it was, as far as the key does not tell.
    SELECT l.object_id, min(l.row_id) AS row_id FROM links l JOIN expiring_rows USING (row_id) GROUP BY l.object_id
) owner ON owner.object_id = o.object_id
LEFT JOIN rows w ON w.row_id = owner.row_id
WHERE s.state = 'expired' OR (s.state = 'orphaned' AND s.in_scope AND $orphans)
ORDER BY step, place
