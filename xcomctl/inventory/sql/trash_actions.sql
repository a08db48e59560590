-- What comes back from the trash, and what goes for good, as actions of a plan. Parameters: $purge_before (by the
-- store's clock), $now.

CREATE OR REPLACE TABLE trash_actions AS
WITH referenced AS (
    SELECT d.bucket, d.original_key, min(r.row_id) AS row_id
    FROM discarded d
    JOIN refs r ON r.bucket = d.bucket AND r.key = d.original_key
    LEFT JOIN expiring_rows e ON e.row_id = r.row_id
    WHERE e.row_id IS NULL
    GROUP BY d.bucket, d.original_key
), judged AS (
    SELECT
        d.*, w.dag_id, w.run_id, w.task_id, w.map_index, w.key,
        CASE
            -- Of several that were there one after the other, the newest.
            WHEN f.row_id IS NOT NULL AND o.key IS NULL THEN if(
                row_number() OVER (PARTITION BY d.bucket, d.original_key ORDER BY d.discarded_at DESC, d.trash_key DESC) = 1,
                'restore_object', NULL)
            WHEN d.discarded_at < $purge_before THEN 'purge_object'
        END AS action
    FROM discarded d
    LEFT JOIN referenced f ON f.bucket = d.bucket AND f.original_key = d.original_key
    LEFT JOIN rows w ON w.row_id = f.row_id
    LEFT JOIN places_taken o ON o.bucket = d.bucket AND o.key = d.original_key
)
SELECT
    action, 's3://' || bucket || '/' || original_key AS uri, dag_id, run_id, task_id, map_index, key, size,
    CASE action
        WHEN 'restore_object' THEN 'in the trash, and a row references it'
        ELSE 'in the trash for ' || format('{:.1f}', epoch($now - discarded_at) / 86400) || 'd'
    END AS reason,
    NULL::VARCHAR AS source_table, NULL::VARCHAR AS row_key, NULL::TIMESTAMP AS written_at, NULL::VARCHAR AS digest, NULL::TIMESTAMP AS run_ended_at,
    bucket, original_key AS object_key, etag, discarded_at AS last_modified, NULL::BOOLEAN AS reusable,
    trash_key, version_id, marker_id
FROM judged WHERE action IS NOT NULL;
