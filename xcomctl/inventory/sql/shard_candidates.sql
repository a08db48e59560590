-- Objects of the shard that no staying row of it keeps, and what is in the trash: rows of the others may name them.
-- Parameters: $reserved (pattern of what the tool keeps for itself).

CREATE OR REPLACE TABLE shard_candidates AS
WITH kept AS (
    SELECT DISTINCT l.object_id FROM links l LEFT JOIN expiring_rows e USING (row_id) WHERE e.row_id IS NULL
)
SELECT bucket, key, size, etag, last_modified FROM listed_objects
WHERE object_id <= (SELECT last FROM shard_objects)
  AND object_id NOT IN (SELECT object_id FROM kept)
  AND NOT regexp_matches(key, $reserved);

CREATE TABLE IF NOT EXISTS discarded (
    bucket VARCHAR, original_key VARCHAR, size BIGINT, etag VARCHAR, discarded_at TIMESTAMP,
    trash_key VARCHAR, version_id VARCHAR, marker_id VARCHAR
);

INSERT INTO shard_candidates
SELECT DISTINCT ON (bucket, original_key) bucket, original_key, size, etag, discarded_at FROM discarded
WHERE (bucket, original_key) NOT IN (SELECT (bucket, key) FROM shard_candidates);
