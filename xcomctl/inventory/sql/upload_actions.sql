-- Unfinished uploads that nobody is going to finish, as actions of a plan.

CREATE OR REPLACE VIEW upload_actions AS
SELECT
    'abort_upload' AS action, 's3://' || bucket || '/' || key AS uri, dag_id, run_id, task_id, map_index, xcom_key AS key, size,
    'unfinished upload, begun ' || strftime(begun_at, '%Y-%m-%d %H:%M') || ' UTC' AS reason,
    NULL::VARCHAR AS source_table, NULL::VARCHAR AS row_key, NULL::TIMESTAMP AS written_at, NULL::VARCHAR AS digest,
    NULL::TIMESTAMP AS run_ended_at,
    bucket, key AS object_key, NULL::VARCHAR AS etag, begun_at AS last_modified, NULL::BOOLEAN AS reusable,
    NULL::VARCHAR AS trash_key, NULL::VARCHAR AS version_id, NULL::VARCHAR AS marker_id, upload_id
FROM unfinished_uploads
WHERE state = 'abandoned' AND in_scope;
