-- The inventory: what was read from both sides, and how it hangs together. Times are UTC without zone.

CREATE SEQUENCE object_ids;

CREATE TABLE objects (
    object_id BIGINT PRIMARY KEY,
    bucket VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    size BIGINT NOT NULL,
    etag VARCHAR NOT NULL,
    last_modified TIMESTAMP NOT NULL,
    dialect VARCHAR,          -- NULL: no dialect claims the key
    uuid VARCHAR,             -- what a value must mention to keep the object: this uuid ...
    tail VARCHAR,             -- ... followed by this text ('' where the uuid alone is unique per write)
    relative_key VARCHAR NOT NULL,  -- the key below its root
    dag_id VARCHAR,
    run_id VARCHAR,
    task_id VARCHAR,
    map_index INTEGER,
    xcom_key VARCHAR
);

CREATE TABLE rows (
    row_id BIGINT PRIMARY KEY,
    source_table VARCHAR NOT NULL,
    archived BOOLEAN NOT NULL,
    row_key VARCHAR,
    dag_run_id BIGINT,
    dag_id VARCHAR,
    run_id VARCHAR,
    task_id VARCHAR,
    map_index BIGINT,
    key VARCHAR,
    written_at TIMESTAMP,
    run_state VARCHAR,
    run_at TIMESTAMP,
    run_ended_at TIMESTAMP,
    try_number BIGINT,
    superseded BOOLEAN,
    digest VARCHAR NOT NULL,
    size BIGINT NOT NULL,
    names_root BOOLEAN NOT NULL  -- a place below a root stands somewhere in the raw value
);

-- One record per address that a reference of a row may mean; key is NULL where no root says which bucket.
CREATE TABLE refs (
    row_id BIGINT NOT NULL,
    reference_no INTEGER NOT NULL,
    dialect VARCHAR NOT NULL,
    confidence VARCHAR NOT NULL,
    text VARCHAR,
    bucket VARCHAR,
    key VARCHAR,
    under_root BOOLEAN NOT NULL
);

-- Uuids that occur anywhere in a raw value, with the text behind them; only those that some object has.
CREATE TABLE mentions (row_id BIGINT NOT NULL, uuid VARCHAR NOT NULL, tail VARCHAR NOT NULL);

-- Rows that keep objects. exact: the reference says that this object is meant, and no other.
CREATE TABLE links (row_id BIGINT NOT NULL, object_id BIGINT NOT NULL, exact BOOLEAN NOT NULL);

-- Rows that hold a reference of a known backend which the given roots do not reach.
CREATE VIEW unresolved_rows AS
SELECT row_id, min(text) AS text, min(dialect) AS dialect
FROM (
    SELECT row_id, reference_no, any_value(text) AS text, any_value(dialect) AS dialect
    FROM refs
    WHERE confidence <> 'ambiguous'
    GROUP BY row_id, reference_no
    HAVING NOT bool_or(under_root)
)
GROUP BY row_id;

-- Objects whose rows an operation deleted that broke off before it came to them.
CREATE TABLE left_behind (bucket VARCHAR NOT NULL, key VARCHAR NOT NULL);
