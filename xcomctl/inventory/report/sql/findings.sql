-- What deserves a look, with its number, its bytes and its first names.
WITH found AS (
    SELECT state AS kind, uri AS name, size, 1 AS number FROM objects WHERE state IN ('expired', 'orphaned', 'foreign')
    UNION ALL
    SELECT 'trash', uri, size, 1 FROM objects WHERE state = 'reserved' AND contains(object_key, '.xcomctl/trash/')
    UNION ALL
    SELECT
        state,
        concat(
            dag_id, '/', run_id, '/', task_id, if(map_index >= 0, '[' || map_index || ']', ''), ':', key,
            if(uri IS NULL, '', '  ' || uri)
        ),
        row_size, 1
    FROM entries WHERE state IN ('dangling', 'unresolved')
    UNION ALL
    SELECT 'archived', source_table, sum(size), count(*) FROM rows WHERE archived GROUP BY source_table
)
SELECT kind, sum(number)::BIGINT AS count, coalesce(sum(size), 0)::BIGINT AS bytes, coalesce(min(left(name, 300), 3), []) AS names
FROM found GROUP BY kind ORDER BY kind
