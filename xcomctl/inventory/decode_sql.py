"""What most stored values say, told by SQL: one reference and little else, or neither a reference nor a uuid.

Any other value, and any doubt, is left to `decode_python`. Both say the same of a value that is plain.
"""

# Patterns are constants of the dialects, places are quoted as literals.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence

from xcomctl.dialects.interface import Shortcuts
from xcomctl.inventory.keys import last_segment_uuid, literal, uuid_of_last_segment
from xcomctl.models import UUID_PATTERN, Root

# A JSON string, and JSON strings that hold one: what stands before the text, and as long behind it.
_OPENINGS = ('"', r'"\"', r'"\"\\\"')
_CLOSINGS = ('"', r"\"" + '"', r"\\\"\"" + '"')

_NOT_PLAIN = r'\x00- "\\\x7f-\x{10FFFF}'
"""What a class must not take in plain text: printable ASCII without blanks, quotes and backslashes."""

_LONGEST = 4_000
"""Bytes. No key is longer than 1,024."""

_LONGEST_TAIL = 1_025

_SHORTEST_UUID = 32

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
        reading TINYINT,               -- number of the pattern by which it was read
        layers TINYINT,                -- how many times it is quoted as JSON
        under_root BOOLEAN,
        key_hash UBIGINT,
        uuid_hash UBIGINT,
        tail VARCHAR,
        other_digest VARCHAR,          -- of a value that is not plain
        careful BOOLEAN NOT NULL       -- nothing was told of the value here
    )
"""
"""Makes the table `read_rows`. Values are not in it."""

_DIGESTS = " ".join(
    f"WHEN {number + 1} THEN sha256({literal(before)} || reference || {literal(after)})"
    for number, (before, after) in enumerate(zip(_OPENINGS, _CLOSINGS, strict=True))
)

_BUCKET = "split_part(split_part(reference, '/', 3), '@', -1)"
_KEY = "substr(reference, strpos(substr(reference, 7), '/') + 7)"
"""The first slash behind the scheme's ends the bucket."""

CREATE_ROWS_VIEW = f"""
    CREATE VIEW rows AS
    SELECT * EXCLUDE (reading, layers, under_root, key_hash, uuid_hash, tail, other_digest, careful),
           's3://' || {_BUCKET} || '/' || {_KEY} AS plain_uri,
           CASE layers {_DIGESTS} ELSE other_digest END AS digest
    FROM read_rows
"""
"""Makes the view `rows`."""


def plain_refs(shortcuts: Shortcuts) -> str:
    """Make the view `plain_refs`: the references that rows are as a whole."""
    dialects = " ".join(
        f"WHEN {number} THEN {literal(dialect)}"
        for number, (dialect, _) in enumerate((*shortcuts.references, *shortcuts.documents))
    )
    return f"""
        CREATE VIEW plain_refs AS
        SELECT row_id, 0 AS reference_no, {f"CASE reading {dialects} END" if dialects else "NULL::VARCHAR"} AS dialect,
               'exact' AS confidence, reference AS text,
               {_BUCKET} AS bucket, {_KEY} AS key, under_root
        FROM read_rows WHERE reference IS NOT NULL
    """


def read_plain(
    shortcuts: Shortcuts, roots: Sequence[Root], *, all_careful: bool, only: str | None = None
) -> str:
    """Add `batch`, a piece of the rows, to `read_rows`; `careful` are those of whose value nothing is told.

    With `all_careful` that is every value but NULL. `only` is a condition on `key_hash` and `uuid_hash`: of the rows whose
    value is told, those that do not meet it are left out.

    `batch` has the columns of `airflow.interface.row_schema`, `row_id`, and `text`: the value if it is UTF-8, else NULL.
    """
    edges = " ".join(
        f"WHEN starts_with(text, {literal(before)}) AND ends_with(text, {literal(after)}) THEN {number + 1}"
        for number, (before, after) in reversed(list(enumerate(zip(_OPENINGS, _CLOSINGS, strict=True))))
    )
    lengths = " ".join(f"WHEN {number + 1} THEN {len(before)}" for number, before in enumerate(_OPENINGS))
    patterns = [] if all_careful else [pattern for _, pattern in shortcuts.references]
    documents = [] if all_careful else [pattern for _, pattern in shortcuts.documents]
    first_document = len(patterns)
    # That the end is another one shows after a few characters.
    readings = " ".join(
        f"WHEN regexp_matches(inner_text, {literal(_end(pattern))})"
        f" AND regexp_matches(inner_text, {literal(_narrowed(pattern))}) THEN {number}"
        for number, pattern in enumerate(patterns)
    )
    uuids = " ".join(f"WHEN {number} THEN {_uuid(pattern)}" for number, pattern in enumerate(patterns))
    if documents:
        readings = f"WHEN document IS NOT NULL THEN document {readings}"
        uuids += "".join(
            f" WHEN {number} THEN {last_segment_uuid('inner_text')}"
            for number in range(first_document, first_document + len(documents))
        )
    silent = "false" if all_careful else _says_nothing(shortcuts, roots)
    under_root = " OR ".join(
        f"(bucket = {literal(root.bucket)} AND starts_with(object_key, {literal(root.prefix)}))"
        for root in roots
    )
    uuid = literal(UUID_PATTERN)
    return f"""
        INSERT INTO read_rows BY NAME
        WITH edged AS (
            SELECT *, CASE WHEN strlen(text) < {_LONGEST} THEN CASE {edges} END END AS quoted,
                   {_document(shortcuts, first_document) if documents else "NULL::INTEGER"} AS document
            FROM batch
        ), opened AS (
            SELECT *, CASE quoted {lengths} END AS edge,
                   CASE WHEN document IS NOT NULL THEN regexp_extract(text, '"uri": "([^"]*)"', 1)
                        WHEN strlen(text) > 2 * edge THEN substr(text, edge + 1, length(text) - 2 * edge) END AS inner_text
            FROM edged
        ), recognised AS (
            SELECT *, {f"CASE {readings} END" if readings else "NULL::INTEGER"} AS matched FROM opened
        ), searched AS (
            SELECT *, {f"CASE matched {uuids} END" if uuids else "NULL::VARCHAR"} AS uuid FROM recognised
        ), placed AS (
            SELECT *, strpos(inner_text, uuid) AS place, substr(inner_text, place + length(uuid)) AS rest FROM searched
        ), parted AS (
            SELECT *,
                   -- With two uuids it is left to the careful reading which one a value mentions with which tail. What
                   -- touches the uuid in these patterns is no hexadecimal digit, so that none lies across its edges.
                   coalesce(NOT regexp_matches(substr(inner_text, 1, place - 1), {uuid})
                            AND (strlen(rest) < {_SHORTEST_UUID} OR NOT regexp_matches(rest, {uuid})), false) AS plain,
                   CASE WHEN plain THEN inner_text END AS reference,
                   -- The first slash behind the scheme's ends the bucket.
                   strpos(substr(reference, 7), '/') + 6 AS slash,
                   split_part(split_part(substr(reference, 1, slash), '/', 3), '@', -1) AS bucket,
                   substr(reference, slash + 1) AS object_key
            FROM placed
        ), told AS (
            SELECT *, CASE WHEN plain OR raw IS NULL THEN false ELSE NOT coalesce({silent}, false) END AS careful,
                   CASE WHEN plain THEN hash(bucket, object_key) END AS key_hash,
                   CASE WHEN plain THEN hash(lower(uuid)) END AS uuid_hash,
                   CASE WHEN plain THEN {under_root or "false"} END AS under_root
            FROM parted
        )
        SELECT row_id, source_table, archived, row_key, dag_run_id, dag_id, run_id, task_id, map_index, key, written_at,
               run_state, run_at, run_ended_at, try_number, superseded, coalesce(octet_length(raw), 0) AS size,
               coalesce(under_root, false) AS names_root, reference, CASE WHEN plain THEN matched::TINYINT END AS reading,
               CASE WHEN plain THEN quoted::TINYINT END AS layers, under_root, key_hash, uuid_hash,
               CASE WHEN plain THEN if(starts_with(rest, '/'), substr(rest, 1, {_LONGEST_TAIL}), '') END AS tail,
               CASE WHEN layers IS NOT NULL THEN NULL WHEN raw IS NULL THEN 'null' ELSE sha256(raw) END AS other_digest,
               careful
        FROM told
        {f"WHERE careful OR {only}" if only else ""}
    """


def read_documents(shortcuts: Shortcuts) -> str:
    """Add what documents in `batch` mention beside their reference to `careful_mentions`: a checksum looks like a uuid."""
    return f"""
        INSERT INTO careful_mentions
        SELECT row_id, hash(regexp_extract(text, '"sha256": "([^"]*)"', 1)), ''
        FROM batch WHERE {_document(shortcuts, 0)} IS NOT NULL
    """


def _document(shortcuts: Shortcuts, first: int) -> str:
    """The number, from `first` on, of the pattern of documents that `text` is; NULL if it is none."""
    forms = " ".join(
        f"WHEN regexp_matches(text, {literal(pattern)}) THEN {number}"
        for number, (_, pattern) in enumerate(shortcuts.documents, first)
    )
    return f"CASE WHEN starts_with(text, '{{') AND strlen(text) < {_LONGEST} THEN CASE {forms} END END"


def _end(pattern: str) -> str:
    """What the text ends with that a pattern of references matches: its group `unique`, as the first, and what follows."""
    # The group `key` reaches to the end of the pattern.
    return pattern[pattern.index("(?P<unique>") :].removesuffix(")$") + "$"


def _uuid(pattern: str) -> str:
    """The uuid of the unique part of `inner_text`, which the pattern matches."""
    return uuid_of_last_segment(pattern, "inner_text") or (
        f"regexp_extract(regexp_extract(inner_text, {literal(_end(pattern))}, 1), {literal(UUID_PATTERN)})"
    )


def _narrowed(pattern: str) -> str:
    """The pattern for plain text alone. Its classes that say what they take, and not what they leave, take nothing else."""
    return pattern.replace("[^", "[^" + _NOT_PLAIN)


def _says_nothing(shortcuts: Shortcuts, roots: Sequence[Root]) -> str:
    """A condition on `text`: it holds no reference, no uuid and no place below a root, and no escape hides one."""
    if shortcuts.traces is None:
        return "false"
    unwanted = dict.fromkeys(["\\", *shortcuts.traces, *(f"{root.bucket}/{root.prefix}" for root in roots)])
    absent = [f"NOT contains(text, {literal(one)})" for one in unwanted]
    return " AND ".join([*absent, f"NOT regexp_matches(text, {literal(UUID_PATTERN)})"])
