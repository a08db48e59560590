-- The state of the objects that the chosen rows reference. Parameters: $active (rows of runs that are not over go, too),
-- $cutoff, $untouchable (pattern of keys that are never candidates).

CREATE OR REPLACE TABLE expiring_rows AS
SELECT w.row_id, 'chosen by name' AS reason
FROM rows w JOIN chosen c
  ON c.source_table = w.source_table AND c.row_key = w.row_key AND c.digest = w.digest
WHERE NOT w.archived;

CREATE OR REPLACE TABLE object_states AS
WITH keeping AS (
    SELECT
        l.object_id,
        bool_or(e.row_id IS NULL) AS kept,                  -- some row that stays
        bool_or(e.row_id IS NOT NULL AND l.exact) AS named, -- some row that goes means just this object
        any_value(e.reason) AS reason
    FROM links l LEFT JOIN expiring_rows e USING (row_id)
    GROUP BY l.object_id
)
SELECT
    o.object_id,
    CASE
        WHEN k.kept THEN 'live'
        WHEN NOT coalesce(k.named, false) OR regexp_matches(o.key, $untouchable) THEN 'foreign'
        -- A task that still runs may just have put this very key again, for a row that is on its way.
        WHEN $active AND (o.uuid IS NULL OR o.tail <> '') AND o.last_modified > $cutoff THEN 'recent'
        ELSE 'expired'
    END AS state,
    k.reason,
    true AS in_scope
FROM objects o LEFT JOIN keeping k USING (object_id);
