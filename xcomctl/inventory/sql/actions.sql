-- What goes, as actions of a plan; their order is left to whoever takes them. Parameters: $orphans (they go, too).

CREATE OR REPLACE TABLE going_objects AS
SELECT object_id, state, reason FROM object_states
WHERE state = 'expired' OR (state = 'orphaned' AND in_scope AND $orphans);

CREATE OR REPLACE VIEW row_actions AS
WITH first_reference AS (
    -- Of a plain value there is one reference, which the row has itself.
    SELECT row_id, min_by('s3://' || bucket || '/' || key, (NOT under_root, reference_no)) AS uri
    FROM careful_refs
    WHERE row_id IN (SELECT row_id FROM expiring_rows) AND key IS NOT NULL AND confidence <> 'ambiguous'
    GROUP BY row_id
)
SELECT
    w.row_id AS place, 'delete_row' AS action, coalesce(w.plain_uri, f.uri) AS uri, w.dag_id, w.run_id, w.task_id, w.map_index, w.key,
    w.size, e.reason, w.source_table, w.row_key, w.written_at, w.digest, w.run_ended_at,
    NULL::VARCHAR AS bucket, NULL::VARCHAR AS object_key, NULL::VARCHAR AS etag, NULL::TIMESTAMP AS last_modified,
    NULL::BOOLEAN AS reusable, NULL::VARCHAR AS trash_key, NULL::VARCHAR AS version_id, NULL::VARCHAR AS marker_id
FROM expiring_rows e JOIN rows w USING (row_id) LEFT JOIN first_reference f USING (row_id);

CREATE OR REPLACE VIEW object_actions AS
SELECT
    'delete_object' AS action, 's3://' || o.bucket || '/' || o.key AS uri,
    coalesce(o.dag_id, w.dag_id) AS dag_id, coalesce(o.run_id, w.run_id) AS run_id,
    coalesce(o.task_id, w.task_id) AS task_id, coalesce(o.map_index, w.map_index) AS map_index,
    coalesce(o.xcom_key, w.key) AS key, o.size,
    CASE s.state
        WHEN 'orphaned' THEN 'orphaned: no row references it, written ' || strftime(o.last_modified, '%Y-%m-%d %H:%M') || ' UTC'
        ELSE s.reason
    END AS reason,
    NULL::VARCHAR AS source_table, NULL::VARCHAR AS row_key, NULL::TIMESTAMP AS written_at, NULL::VARCHAR AS digest, NULL::TIMESTAMP AS run_ended_at,
    o.bucket, o.key AS object_key, o.etag, o.last_modified,
    -- A writer may put this very key again, unless the whole of it is unique per write.
    coalesce(o.uuid_hash IS NULL OR o.tail <> '', true) AS reusable,
    NULL::VARCHAR AS trash_key, NULL::VARCHAR AS version_id, NULL::VARCHAR AS marker_id
FROM going_objects s JOIN objects o USING (object_id)
LEFT JOIN (
    -- Whose object it was, as far as the key does not tell.
    SELECT l.object_id, min(l.row_id) AS row_id FROM links l JOIN expiring_rows USING (row_id) GROUP BY l.object_id
) owner ON owner.object_id = o.object_id
LEFT JOIN (SELECT row_id, dag_id, run_id, task_id, map_index, key FROM read_rows) w ON w.row_id = owner.row_id;
