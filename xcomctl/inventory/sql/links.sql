-- Every way in which a row can keep an object: a dialect reads it as a reference, or the raw value mentions it.
-- Parameters: $first_row, $first_object (those before them are linked to each other already).
-- Hashes decide: two that are equal by chance can only keep an object. That a reference means just this object is said by
-- the hashes of its uuid and of its address together, or by the text.

-- Most objects have no tail, and numbers alone take little memory.
INSERT INTO links
SELECT m.row_id, o.object_id, coalesce(m.key_hash = o.key_hash, false)
FROM (SELECT row_id, uuid_hash, key_hash FROM mentions) m
JOIN (SELECT object_id, uuid_hash, key_hash FROM listed_objects WHERE tail = '') o ON o.uuid_hash = m.uuid_hash
WHERE m.row_id >= $first_row OR o.object_id >= $first_object;

-- Who mentions the uuid of an attempt, or its folder, without the rest means all that is in it.
INSERT INTO links
SELECT m.row_id, o.object_id, coalesce(m.key_hash = o.key_hash, false)
FROM mentions m
JOIN (SELECT object_id, uuid_hash, key_hash, tail FROM listed_objects WHERE tail <> '') o
  ON o.uuid_hash = m.uuid_hash
 AND (starts_with(m.tail, o.tail) OR m.tail = '' OR (ends_with(m.tail, '/') AND starts_with(o.tail, m.tail)))
WHERE m.row_id >= $first_row OR o.object_id >= $first_object;

INSERT INTO links
SELECT r.row_id, o.object_id, bool_or(r.confidence <> 'ambiguous')
FROM careful_refs r JOIN listed_objects o ON o.bucket = r.bucket AND o.key = r.key
WHERE r.row_id >= $first_row OR o.object_id >= $first_object
GROUP BY r.row_id, o.object_id;

-- The uuid of such an object is not found in the reference.
INSERT INTO links
SELECT w.row_id, o.object_id, true
FROM read_rows w JOIN elusive_objects o ON o.key_hash = w.key_hash
WHERE ends_with(w.reference, '/' || o.key) AND (w.row_id >= $first_row OR o.object_id >= $first_object);
