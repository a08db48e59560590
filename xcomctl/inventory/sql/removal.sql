-- The state of the objects that the chosen rows reference. Parameters: $active (rows of runs that are not over go, too),
-- $cutoff.

CREATE OR REPLACE TABLE expiring_rows AS
SELECT w.row_id, 'chosen by name' AS reason
FROM rows w JOIN chosen c
  ON c.source_table = w.source_table AND c.row_key = w.row_key AND c.digest = w.digest
WHERE NOT w.archived;

CREATE OR REPLACE TABLE object_states AS
SELECT
    o.object_id,
    CASE
        WHEN k.kept THEN 'live'
        WHEN NOT coalesce(k.named, false) OR o.claim IS NULL THEN 'foreign'
        WHEN o.object_id IN (SELECT object_id FROM others_objects) THEN 'foreign'
        -- A task that still runs may just have put this very key again, for a row that is on its way.
        WHEN $active AND (o.uuid_hash IS NULL OR o.tail <> '') AND o.last_modified > $cutoff THEN 'recent'
        ELSE 'expired'
    END AS state,
    CASE WHEN k.going IS NOT NULL THEN 'chosen by name' END AS reason,
    true AS in_scope
FROM listed_objects o LEFT JOIN keeping k USING (object_id);
