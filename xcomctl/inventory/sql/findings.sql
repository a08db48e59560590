-- What does not fit between rows and objects, one record a finding.

CREATE OR REPLACE VIEW findings AS
SELECT
    CASE s.state WHEN 'orphaned' THEN 0 ELSE 3 END AS kind_no,
    s.state AS finding, 's3://' || o.bucket || '/' || o.key AS uri,
    o.dag_id, o.run_id, o.task_id, o.map_index::BIGINT AS map_index, o.xcom_key AS key, o.size, o.last_modified
FROM object_states s JOIN objects o USING (object_id)
WHERE s.state IN ('orphaned', 'foreign')
UNION ALL
SELECT 1, 'dangling', 's3://' || d.bucket || '/' || d.key,
       w.dag_id, w.run_id, w.task_id, w.map_index, w.key, NULL, NULL
FROM dangling_rows d JOIN rows w USING (row_id)
UNION ALL
SELECT 2, 'unresolved', 's3://' || u.bucket || '/' || u.key,
       w.dag_id, w.run_id, w.task_id, w.map_index, w.key, NULL, NULL
FROM unreachable_rows u JOIN rows w USING (row_id)
UNION ALL
SELECT 2, 'unresolved', u.text, w.dag_id, w.run_id, w.task_id, w.map_index, w.key, NULL, NULL
FROM unresolved_rows u JOIN rows w USING (row_id)
WHERE NOT w.archived
UNION ALL
SELECT 4, 'unfinished', 's3://' || bucket || '/' || key, dag_id, run_id, task_id, map_index::BIGINT, xcom_key, size, begun_at
FROM unfinished_uploads
