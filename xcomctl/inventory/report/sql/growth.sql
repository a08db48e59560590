-- New bytes by day, or by week where there are more than half a year of them. What is older than three years, or than
-- all but the oldest hundredth, is one record without a day: a forgotten file would make everything else a thin line.
WITH written AS (
    SELECT last_modified AS written_at, coalesce(size, 0) AS object_bytes, 0 AS row_bytes FROM objects WHERE state <> 'reserved'
    UNION ALL
    SELECT written_at, 0, coalesce(row_size, 0) FROM entries
), period AS (
    SELECT
        date_trunc('day', greatest(any_value(created_at) - INTERVAL 3 YEAR, approx_quantile(written_at, 0.01))) AS since,
        if(any_value(created_at) - since > INTERVAL 180 DAY, 'week', 'day') AS step
    FROM written, about
)
SELECT
    step, if(written_at < since, NULL, date_trunc(step, written_at))::DATE AS day,
    sum(object_bytes)::BIGINT AS object_bytes, sum(row_bytes)::BIGINT AS row_bytes
FROM written, period
WHERE written_at IS NOT NULL
GROUP BY ALL
ORDER BY day NULLS FIRST
