-- The state of every object, from the rows that keep it. Parameters: $cutoff, $everything (no DAG was chosen; else
-- `scoped_objects` are those of the chosen ones), $untouchable (pattern of keys that are never candidates, whatever names
-- them), $reserved (pattern of what the tool keeps for itself: nobody's object). What a pin of the policy keeps is live as
-- well (`pinned_objects`).
-- One step after the other, and texts in the last one alone: joined at once, these tables would have to be in memory together.

CREATE OR REPLACE TABLE kept_objects AS SELECT * FROM keeping;

CREATE OR REPLACE TABLE judged_objects AS
WITH odd AS (
    -- No dialect claims such a key (keys.py): only the others have to be looked through.
    SELECT object_id, bool_or(reserved) AS reserved
    FROM (
        SELECT object_id, regexp_matches(key, $reserved) AS reserved FROM listed_objects
        WHERE claim IS NULL AND (reserved OR regexp_matches(key, $untouchable))
        UNION ALL
        -- Whatever claims it: the database that knows of it is another one.
        SELECT object_id, false FROM others_objects
    )
    GROUP BY object_id
), listed AS (
    -- What is joined below is narrow: no key is in it.
    SELECT
        object_id,
        claim IS NOT NULL AS claimed,
        last_modified > $cutoff AS young,
        coalesce(uuid_hash IS NOT NULL AND tail = '', false) AS written_once
    FROM listed_objects
)
SELECT
    o.object_id,
    CASE
        WHEN k.kept OR p.object_id IS NOT NULL THEN 'live'
        WHEN d.reserved THEN 'reserved'
        -- Also where a row that goes names just this object: anybody's file can be named.
        WHEN d.object_id IS NOT NULL OR NOT o.claimed THEN 'foreign'
        WHEN k.object_id IS NOT NULL THEN
            CASE
                -- The one write of this key is the write that the row is about.
                WHEN k.named AND o.written_once THEN 'expired'
                -- A key that is written again, or an object that is merely mentioned: it may be a new upload whose
                -- row is on its way, which the old row only seems to name.
                WHEN o.young THEN 'recent'
                ELSE 'expired'
            END
        WHEN o.young THEN 'recent'
        ELSE 'orphaned'
    END AS state,
    k.going,
    p.reason AS pinned_by,
    -- Without a DAG in its key an object is out of the scope of one DAG: whose it is cannot be told.
    $everything OR o.object_id IN (SELECT object_id FROM scoped_objects) AS in_scope
FROM listed o
LEFT JOIN kept_objects k USING (object_id)
LEFT JOIN pinned_objects p USING (object_id)
LEFT JOIN odd d USING (object_id);

CREATE OR REPLACE TABLE object_states AS
SELECT j.object_id, j.state, coalesce(j.pinned_by, e.reason) AS reason, j.in_scope
FROM judged_objects j LEFT JOIN expiring_rows e ON e.row_id = j.going;

DROP TABLE judged_objects;
DROP TABLE kept_objects;
