-- What the policy lets go, with orphans, by DAG; beyond the largest all others are one record without a name.
WITH freed AS (
    SELECT
        dag_id, 0 AS rows, 0 AS row_bytes,
        (state = 'expired')::INTEGER AS expired, (state = 'orphaned')::INTEGER AS orphaned, coalesce(size, 0) AS object_bytes
    FROM objects WHERE state IN ('expired', 'orphaned')
    UNION ALL
    SELECT dag_id, 1, coalesce(row_size, 0), 0, 0, 0 FROM entries WHERE expires
), summed AS (
    SELECT
        dag_id, sum(rows) AS rows, sum(row_bytes) AS row_bytes, sum(expired) AS expired, sum(orphaned) AS orphaned,
        sum(object_bytes) AS object_bytes,
        row_number() OVER (ORDER BY sum(object_bytes + row_bytes) DESC, dag_id NULLS LAST) AS place
    FROM freed GROUP BY dag_id
)
SELECT
    any_value(left(dag_id, 120)) FILTER (place <= 20) AS dag_id, greatest(max(place) - 20, 0) AS others,
    sum(rows)::BIGINT AS rows, sum(row_bytes)::BIGINT AS row_bytes,
    sum(expired)::BIGINT AS expired, sum(orphaned)::BIGINT AS orphaned, sum(object_bytes)::BIGINT AS object_bytes
FROM summed
GROUP BY least(place, 21)
ORDER BY least(place, 21)
