-- The state of every object, from the rows that keep it. Parameters: $cutoff, $scope (pattern of the DAG, or NULL),
-- $untouchable (pattern of keys that are never candidates, whatever names them), $reserved (pattern of what the tool
-- keeps for itself: nobody's object). What a pin of the policy keeps is live
-- as well (`pinned_objects`).

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
        WHEN k.kept OR p.object_id IS NOT NULL THEN 'live'
        WHEN regexp_matches(o.key, $reserved) THEN 'reserved'
        WHEN regexp_matches(o.key, $untouchable) THEN 'foreign'
        WHEN k.object_id IS NOT NULL AND (k.named OR o.dialect IS NOT NULL) THEN
            CASE
                -- The one write of this key is the write that the row is about.
                WHEN k.named AND o.uuid IS NOT NULL AND o.tail = '' THEN 'expired'
                -- A key that is written again, or an object that is merely mentioned: it may be a new upload whose
                -- row is on its way, which the old row only seems to name.
                WHEN o.last_modified > $cutoff THEN 'recent'
                ELSE 'expired'
            END
        WHEN o.dialect IS NULL THEN 'foreign'
        WHEN o.last_modified > $cutoff THEN 'recent'
        ELSE 'orphaned'
    END AS state,
    coalesce(p.reason, k.reason) AS reason,
    -- Without a DAG in its key an object is out of the scope of one DAG: whose it is cannot be told.
    $scope IS NULL OR coalesce(regexp_full_match(o.dag_id, $scope), false) AS in_scope
FROM objects o LEFT JOIN keeping k USING (object_id) LEFT JOIN pinned_objects p USING (object_id);
