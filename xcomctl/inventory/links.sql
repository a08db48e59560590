-- Every way in which a row can keep an object: a dialect reads it as a reference, or the raw value mentions it.

INSERT INTO links
SELECT r.row_id, o.object_id, bool_or(r.confidence <> 'ambiguous')
FROM refs r JOIN objects o ON o.bucket = r.bucket AND o.key = r.key
GROUP BY r.row_id, o.object_id;

INSERT INTO links
SELECT DISTINCT m.row_id, o.object_id, false
FROM mentions m JOIN objects o ON o.uuid = m.uuid AND starts_with(m.tail, o.tail);
