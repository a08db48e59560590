-- The inventory: what was read from both sides, and how it hangs together. Times are UTC without zone. The tables
-- `listed_objects` (keys.py), `read_rows` (decode_sql.py) and the views of them are there already. No primary keys: an index cannot go to disk.

CREATE SEQUENCE object_ids;

-- What the values of rows say that are not plain: one record per address that a reference may mean; key is NULL where no
-- root says which bucket.
CREATE TABLE careful_refs (
    row_id BIGINT NOT NULL,
    reference_no INTEGER NOT NULL,
    dialect VARCHAR NOT NULL,
    confidence VARCHAR NOT NULL,
    text VARCHAR,
    bucket VARCHAR,
    key VARCHAR,
    under_root BOOLEAN NOT NULL
);

CREATE VIEW refs AS SELECT * FROM careful_refs UNION ALL SELECT * FROM plain_refs;

-- Uuids that occur anywhere in such a value, with the text behind them.
CREATE TABLE careful_mentions (row_id BIGINT NOT NULL, uuid_hash UBIGINT NOT NULL, tail VARCHAR NOT NULL);

-- Values outside of the XCom tables that mention an object. Their numbers go on from those of the rows, and are no row's.
CREATE TABLE mentioning_places (row_id BIGINT NOT NULL, source_table VARCHAR NOT NULL, field VARCHAR NOT NULL, row_key VARCHAR NOT NULL);

CREATE VIEW mentions AS
SELECT row_id, uuid_hash, tail, NULL::UBIGINT AS key_hash FROM careful_mentions
UNION ALL
SELECT row_id, uuid_hash, tail, key_hash FROM read_rows WHERE reference IS NOT NULL;

-- Rows that keep objects. exact: the reference says that this object is meant, and no other.
CREATE TABLE links (row_id BIGINT NOT NULL, object_id BIGINT NOT NULL, exact BOOLEAN NOT NULL);

-- References whose object is there, at one of the addresses that they may mean.
CREATE VIEW met_refs AS
SELECT l.row_id, 0 AS reference_no
FROM links l JOIN read_rows w ON w.row_id = l.row_id SEMI JOIN listed_objects o ON o.object_id = l.object_id
WHERE l.exact AND w.reference IS NOT NULL
UNION ALL
SELECT r.row_id, r.reference_no FROM careful_refs r JOIN listed_objects o ON o.bucket = r.bucket AND o.key = r.key;

-- References under a root of which no possible object was listed, of rows that are not archived.
CREATE VIEW missed_refs AS
SELECT w.row_id, 0 AS reference_no
FROM read_rows w
WHERE w.reference IS NOT NULL AND w.under_root AND NOT w.archived
  AND w.row_id NOT IN (
    SELECT l.row_id FROM links l SEMI JOIN listed_objects o ON o.object_id = l.object_id WHERE l.exact
  )
UNION ALL
SELECT DISTINCT r.row_id, r.reference_no
FROM careful_refs r JOIN read_rows w ON w.row_id = r.row_id AND NOT w.archived
WHERE r.under_root AND (r.row_id, r.reference_no) NOT IN (
    SELECT (m.row_id, m.reference_no)
    FROM careful_refs m JOIN listed_objects o ON o.bucket = m.bucket AND o.key = m.key
  );

-- How the rows that stay and the rows that go keep objects, of those that any row keeps.
CREATE TABLE expiring_rows (row_id BIGINT, reason VARCHAR);
CREATE VIEW keeping AS
SELECT
    l.object_id,
    bool_or(e.row_id IS NULL) AS kept,                  -- some row that stays
    bool_or(e.row_id IS NOT NULL AND l.exact) AS named, -- some row that goes means just this object
    any_value(e.row_id) AS going                        -- one of the rows that go
FROM links l LEFT JOIN (SELECT row_id FROM expiring_rows) e USING (row_id)
GROUP BY l.object_id;

-- Rows that hold a reference of a known backend which the given roots do not reach.
CREATE VIEW unresolved_rows AS
SELECT row_id, min(text) AS text, min(dialect) AS dialect
FROM (
    SELECT row_id, reference_no, any_value(text) AS text, any_value(dialect) AS dialect
    FROM careful_refs
    WHERE confidence <> 'ambiguous'
    GROUP BY row_id, reference_no
    HAVING NOT bool_or(under_root)
    UNION ALL
    SELECT row_id, reference_no, text, dialect FROM plain_refs WHERE NOT under_root
)
GROUP BY row_id;

-- Roots inside of the given ones in which another database was collected, and its label.
CREATE TABLE others_roots (bucket VARCHAR NOT NULL, prefix VARCHAR NOT NULL, label VARCHAR NOT NULL);

CREATE VIEW others_objects AS
SELECT o.object_id, r.prefix, r.label
FROM listed_objects o JOIN others_roots r ON o.bucket = r.bucket AND starts_with(o.key, r.prefix);

-- Objects whose rows an operation deleted that broke off before it came to them.
CREATE TABLE left_behind (bucket VARCHAR NOT NULL, key VARCHAR NOT NULL);

-- Multipart uploads that were begun, and neither completed nor aborted. size: of their parts, as far as it is known.
CREATE TABLE unfinished_uploads (
    bucket VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    upload_id VARCHAR NOT NULL,
    begun_at TIMESTAMP NOT NULL,
    size BIGINT,
    state VARCHAR NOT NULL,
    in_scope BOOLEAN NOT NULL,
    dag_id VARCHAR, run_id VARCHAR, task_id VARCHAR, map_index INTEGER, xcom_key VARCHAR
);
