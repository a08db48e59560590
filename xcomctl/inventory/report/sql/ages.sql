-- Number and bytes of objects by age and state, and of values that are in their rows (state `inline`).
WITH aged AS (
    SELECT state, size, coalesce(objects_at, created_at) - last_modified AS age FROM objects, about
    WHERE state <> 'reserved'
    UNION ALL
    SELECT state, row_size, created_at - written_at FROM entries, about WHERE state = 'inline'
)
SELECT
    CASE
        WHEN age < INTERVAL 1 DAY THEN 0
        WHEN age < INTERVAL 7 DAY THEN 1
        WHEN age < INTERVAL 30 DAY THEN 2
        WHEN age < INTERVAL 90 DAY THEN 3
        WHEN age < INTERVAL 365 DAY THEN 4
        ELSE 5
    END AS band,
    state, count(*) AS count, coalesce(sum(size), 0)::BIGINT AS bytes
FROM aged
WHERE age IS NOT NULL
GROUP BY ALL
ORDER BY ALL
