"""What most stored values say, told by SQL: one reference and nothing else, or neither a reference nor a uuid.

Any other value, and any doubt, is left to `careful_values`. Both say the same of a value that is plain.
"""

# Patterns are constants of the dialects, places are quoted as literals.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence

from xcomctl.dialects.interface import Shortcuts
from xcomctl.inventory.keys import literal
from xcomctl.models import UUID_PATTERN, Root

# A JSON string, and JSON strings that hold one: what stands before the text, and as long behind it.
_OPENINGS = ('"', r'"\"', r'"\"\\\"')
_CLOSINGS = ('"', r"\"" + '"', r"\\\"\"" + '"')

_PLAIN = r"[!#-\[\]-~]+"
_LONGEST = 4_000
"""Bytes. No key is longer than 1,024."""

_LONGEST_TAIL = 1_025

CREATE_ROWS = """
    CREATE TABLE read_rows (
        row_id BIGINT NOT NULL,
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
        size BIGINT NOT NULL,
        names_root BOOLEAN NOT NULL,   -- a place below a root stands somewhere in the raw value
        -- The reference that the whole value is, where it is plain: then all else about the value follows from it.
        reference VARCHAR,
        reading SMALLINT,              -- number of the pattern by which it was read
        layers SMALLINT,               -- how many times it is quoted as JSON
        under_root BOOLEAN,
        key_hash UBIGINT,
        uuid_hash UBIGINT,
        tail VARCHAR,
        other_digest VARCHAR           -- of a value that is not plain
    )
"""
"""Makes the table `read_rows`. Values are not in it."""

_DIGESTS = " ".join(
    f"WHEN {number + 1} THEN sha256({literal(before)} || reference || {literal(after)})"
    for number, (before, after) in enumerate(zip(_OPENINGS, _CLOSINGS, strict=True))
)

CREATE_ROWS_VIEW = f"""
    CREATE VIEW rows AS
    SELECT * EXCLUDE (reading, layers, under_root, key_hash, uuid_hash, tail, other_digest),
           CASE layers {_DIGESTS} ELSE other_digest END AS digest
    FROM read_rows
"""
"""Makes the view `rows`."""


def plain_refs(shortcuts: Shortcuts) -> str:
    """Make the view `plain_refs`: the references that rows are as a whole."""
    dialects = " ".join(
        f"WHEN {number} THEN {literal(dialect)}" for number, (dialect, _) in enumerate(shortcuts.references)
    )
    return f"""
        CREATE VIEW plain_refs AS
        SELECT row_id, 0 AS reference_no, {f"CASE reading {dialects} END" if dialects else "NULL::VARCHAR"} AS dialect,
               'exact' AS confidence, reference AS text,
               split_part(split_part(reference, '/', 3), '@', -1) AS bucket,
               -- The first slash behind the scheme's ends the bucket.
               substr(reference, strpos(substr(reference, 7), '/') + 7) AS key,
               under_root
        FROM read_rows WHERE reference IS NOT NULL
    """


def read_plain(shortcuts: Shortcuts, roots: Sequence[Root], *, all_careful: bool) -> str:
    """Make the table `readings` of `batch`: one record per row, `careful` where nothing was told of its value.

    With `all_careful` that is every value but NULL.

    `batch` has the columns `row_id`, `raw`, and `text`: the value if it is UTF-8, else NULL.
    """
    edges = " ".join(
        f"WHEN starts_with(text, {literal(before)}) AND ends_with(text, {literal(after)}) THEN {number + 1}"
        for number, (before, after) in reversed(list(enumerate(zip(_OPENINGS, _CLOSINGS, strict=True))))
    )
    lengths = " ".join(f"WHEN {number + 1} THEN {len(before)}" for number, before in enumerate(_OPENINGS))
    readings = " ".join(
        f"WHEN regexp_matches(inner_text, {literal(pattern)}) THEN {number}"
        for number, (_, pattern) in enumerate(shortcuts.references)
    )
    reading = (
        f"CASE WHEN NOT regexp_full_match(inner_text, {literal(_PLAIN)}) THEN NULL {readings} END"
        if readings and not all_careful
        else "NULL"
    )
    silent = "false" if all_careful else _says_nothing(shortcuts, roots)
    under_root = " OR ".join(
        f"(bucket = {literal(root.bucket)} AND starts_with(key, {literal(root.prefix)}))" for root in roots
    )
    uuid = literal(UUID_PATTERN)
    return f"""
        CREATE OR REPLACE TEMP TABLE readings AS
        WITH edged AS (
            SELECT row_id, raw, text, CASE WHEN strlen(text) < {_LONGEST} THEN CASE {edges} END END AS layers FROM batch
        ), opened AS (
            SELECT *, CASE layers {lengths} END AS edge,
                   CASE WHEN strlen(text) > 2 * edge THEN substr(text, edge + 1, length(text) - 2 * edge) END AS inner_text
            FROM edged
        ), recognised AS (
            SELECT *, {reading} AS reading FROM opened
        ), searched AS (
            SELECT row_id, raw, text, layers, reading, inner_text,
                   CASE WHEN reading IS NOT NULL THEN regexp_extract_all(inner_text, {uuid}) END AS uuids
            FROM recognised
        ), parted AS (
            SELECT row_id, raw, text, layers, reading,
                   -- With two uuids it is left to the careful reading which one a value mentions with which tail.
                   coalesce(len(uuids) = 1, false) AS plain,
                   CASE WHEN plain THEN inner_text END AS reference,
                   split_part(split_part(reference, '/', 3), '@', -1) AS bucket,
                   substr(reference, strpos(substr(reference, 7), '/') + 7) AS key,
                   CASE WHEN plain THEN uuids[1] END AS uuid,
                   substr(reference, strpos(reference, uuid) + length(uuid), {_LONGEST_TAIL}) AS rest
            FROM searched
        )
        SELECT row_id,
               CASE WHEN plain OR raw IS NULL THEN false ELSE NOT coalesce({silent}, false) END
                   AS careful,
               CASE WHEN plain THEN layers::SMALLINT END AS layers,
               CASE WHEN plain THEN reading::SMALLINT END AS reading,
               reference,
               CASE WHEN plain THEN {under_root or "false"} END AS under_root,
               CASE WHEN plain THEN hash(bucket, key) END AS key_hash,
               CASE WHEN plain THEN hash(lower(uuid)) END AS uuid_hash,
               CASE WHEN plain THEN if(starts_with(rest, '/'), rest, '') END AS tail,
               CASE WHEN plain THEN NULL WHEN raw IS NULL THEN 'null' ELSE sha256(raw) END AS other_digest
        FROM parted
    """


def _says_nothing(shortcuts: Shortcuts, roots: Sequence[Root]) -> str:
    """A condition on `text`: it holds no reference, no uuid and no place below a root, and no escape hides one."""
    if shortcuts.traces is None:
        return "false"
    unwanted = dict.fromkeys(["\\", *shortcuts.traces, *(f"{root.bucket}/{root.prefix}" for root in roots)])
    absent = [f"NOT contains(text, {literal(one)})" for one in unwanted]
    return " AND ".join([*absent, f"NOT regexp_matches(text, {literal(UUID_PATTERN)})"])
