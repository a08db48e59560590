"""Keys without a uuid: only the key as a whole speaks for its object, wherever in a value it stands.

To look for each key in each value would take the product of both. What stands between the slashes of a key also stands
between slashes in every value that holds it, so that both sides meet by hashes of that first, and by what stands before
it; only then the key is looked for. A key with fewer than two slashes has nothing between them, and is looked for in
every value.
"""

# Names and numbers are our own.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence

_MOST = 3
"""So many segments between the slashes tell one key from another well enough."""

_CORES = " ".join(
    f"WHEN {count} THEN hash({', '.join(f'parts[{place + 2}]' for place in range(count))})"
    for count in range(1, _MOST + 1)
)

FIND_SUBSTRING_KEYS = f"""
    CREATE OR REPLACE TABLE substring_keys AS
    SELECT object_id, whole_key, least(len(parts) - 2, {_MOST}) AS segments, CASE segments {_CORES} END AS core,
           parts[1] AS beginning
    FROM (
        -- A value that holds the key holds the end of it, too.
        SELECT object_id, coalesce(nullif(substr(key, prefix_length + 1), ''), key) AS whole_key,
               string_split(whole_key, '/') AS parts
        FROM listed_objects
        WHERE uuid_hash IS NULL AND (claim IS NOT NULL OR $all)
    )
"""
"""Makes `substring_keys`. Parameter: $all (also of objects that no dialect claims)."""

REACHING_OVER_QUOTES = """
    SELECT EXISTS (FROM substring_keys WHERE contains(whole_key, '"') OR contains(whole_key, chr(92)))
"""
"""Whether some key could reach over the edge of what a plain value quotes."""

KINDS_OF_SUBSTRING_KEYS = "SELECT DISTINCT core IS NULL, segments FROM substring_keys"


def mentioned_keys(kinds: Sequence[tuple[bool, int]], texts: str) -> str:
    """Link the objects of `substring_keys`, which are of these kinds, to the rows that hold their key.

    `texts` is a query that gives `row_id` and `text`, which may be NULL.
    """
    ways = []
    names = [f"part_{number}" for number in range(_MOST)]
    cores = [f"hash({', '.join(names[:segments])})" for coreless, segments in kinds if not coreless]
    if cores:
        lists = ", ".join(f"unnest(parts[{number + 2}:]) AS {name}" for number, name in enumerate(names))
        ways.append(
            f"""
            SELECT row_id, object_id
            FROM (
                SELECT DISTINCT row_id, object_id, whole_key
                FROM (
                    SELECT row_id, before, unnest([{", ".join(cores)}]) AS core
                    FROM (
                        SELECT row_id, unnest(parts) AS before, {lists}
                        FROM (SELECT row_id, string_split(text, '/') AS parts FROM texts)
                    )
                ) t JOIN substring_keys k ON k.core = t.core AND ends_with(t.before, k.beginning)
            ) JOIN texts USING (row_id)
            WHERE contains(text, whole_key)
            """
        )
    if any(coreless for coreless, _ in kinds):
        ways.append(
            "SELECT row_id, object_id FROM texts JOIN substring_keys ON core IS NULL AND contains(text, whole_key)"
        )
    return f"""
        INSERT INTO links
        WITH texts AS ({texts})
        SELECT row_id, object_id, false FROM ({" UNION ALL ".join(ways)})
    """
