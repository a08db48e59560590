-- What is in the trash, of which no row is to lose anything: copies by their keys, and what the ledgers told.
-- Parameters: $copy (pattern of the key of a copy).

CREATE OR REPLACE TABLE discarded AS
SELECT
    bucket, parts.prefix || parts.relative AS original_key, size, etag, last_modified AS discarded_at,
    key AS trash_key, NULL::VARCHAR AS version_id, NULL::VARCHAR AS marker_id
FROM (
    SELECT *, regexp_extract(key, $copy, ['prefix', 'operation', 'relative']) AS parts FROM listed_objects
    WHERE regexp_matches(key, $copy)
)
UNION ALL
SELECT * FROM told_by_ledgers;

-- Places in which there is an object.
CREATE OR REPLACE VIEW places_taken AS SELECT bucket, key FROM listed_objects;
