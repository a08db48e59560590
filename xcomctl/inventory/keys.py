"""Which dialect claims a key, done by RE2 inside DuckDB for very many of them.

What every scan needs is computed as objects come: the claim, and by what a value must mention the object. What only some
questions need, the coordinates in the key, is computed by a view when it is asked for.
"""

# Patterns are checked constants or configuration, and quoted as literals.
# ruff: noqa: S608

from __future__ import annotations

import re
from collections.abc import Sequence

from xcomctl.dialects.interface import UNCLAIMABLE, KeyPattern, Shortcuts
from xcomctl.models import DASHED_UUID_PATTERN, UUID_PATTERN

# Tails that a search for mentions finds whole in any value: an object with another one is kept by its uuid alone.
_FINDABLE_TAIL = r"/[!#-\[\]-~]{0,1000}"

_DASHED_LENGTH = 36

_DIGITS = "[0-9a-fA-F]{32}"


class KeySql:
    """The statements that a set of dialects stands for."""

    def __init__(self, patterns: Sequence[KeyPattern], shortcuts: Shortcuts) -> None:
        self._patterns = patterns
        self._bounded = shortcuts.bounded

    def create(self) -> tuple[str, str]:
        """Make the table `listed_objects`, and the view `objects` of it, for those who ask for what is in a key.

        All its patterns are bound for each question: who asks for no coordinates asks the table, 20 ms cheaper.
        """
        table = """
            CREATE TABLE listed_objects (
                object_id BIGINT NOT NULL,
                bucket VARCHAR NOT NULL,
                key VARCHAR NOT NULL,
                size BIGINT NOT NULL,
                etag VARCHAR NOT NULL,
                last_modified TIMESTAMP NOT NULL,
                prefix_length INTEGER NOT NULL,
                claim SMALLINT,        -- number of the pattern that claims the key; NULL: no dialect does
                key_hash UBIGINT NOT NULL,
                uuid_hash UBIGINT,     -- what a value must mention to keep the object: a uuid with this hash ...
                tail VARCHAR           -- ... followed by this text ('' where the uuid alone is unique per write)
            )
        """
        # A view, and not generated columns: those DuckDB computes for each record as it comes, to see that they can be.
        view = f"""
            CREATE VIEW objects AS
            SELECT
                object_id, bucket, key, size, etag, last_modified,
                {_choice([literal(pattern.dialect) for pattern in self._patterns])} AS dialect,
                lower(nullif(regexp_extract({self._part("unique")}, {literal(UUID_PATTERN)}), '')) AS uuid,
                tail,
                substr(key, prefix_length + 1) AS relative_key,  -- the key below its root
                {self._part("dag_id")} AS dag_id, {self._part("run_id")} AS run_id, {self._part("task_id")} AS task_id,
                TRY_CAST({self._part("map_index")} AS INTEGER) AS map_index, {self._part("key")} AS xcom_key,
                claim, key_hash, uuid_hash
            FROM (SELECT *, {self._parts()} AS parts FROM listed_objects)
        """
        return table, view

    def insert(self) -> str:
        """Add `batch` (`s3.interface.object_schema`) to `listed_objects`. Parameter: $prefix_length."""
        claims = " ".join(
            f"WHEN regexp_matches(key, {literal(pattern.pattern)}) THEN {number}"
            for number, pattern in enumerate(self._patterns)
        )
        # Only a segment that begins with a dot can be unclaimable; to look for one costs next to nothing.
        unclaimable = (
            f"(starts_with(key, '.') OR contains(key, '/.')) AND regexp_matches(key, {literal(UNCLAIMABLE)})"
        )
        simple = [number for number, pattern in enumerate(self._patterns) if self._is_uuid(pattern)]
        is_uuid = f"claim IN ({', '.join(map(str, simple))})" if simple else "false"
        return f"""
            INSERT INTO listed_objects
                (object_id, bucket, key, size, etag, last_modified, prefix_length, claim, key_hash, uuid_hash, tail)
            WITH claimed AS (
                SELECT *, CASE WHEN {unclaimable} THEN NULL {claims} END::SMALLINT AS claim FROM batch
            ), parted AS (
                SELECT *, {_choice([self._unique(pattern) for pattern in self._patterns])} AS unique_part FROM claimed
            ), placed AS (
                SELECT *, CASE WHEN {is_uuid} THEN unique_part
                               ELSE nullif(regexp_extract(unique_part, {literal(UUID_PATTERN)}), '') END AS uuid_part
                FROM parted
            ), followed AS (
                SELECT *, CASE WHEN {is_uuid} THEN ''
                               ELSE substr(unique_part, strpos(unique_part, uuid_part) + length(uuid_part)) END AS rest
                FROM placed
            )
            SELECT nextval('object_ids'), bucket, key, size, etag, last_modified, $prefix_length, claim,
                   hash(bucket, key), CASE WHEN uuid_part IS NOT NULL THEN hash(lower(uuid_part)) END,
                   CASE WHEN rest = '' THEN '' WHEN regexp_full_match(rest, {literal(_FINDABLE_TAIL)}) THEN rest
                        WHEN uuid_part IS NOT NULL THEN '' END
            FROM followed
        """

    def may_have_digits(self) -> str:
        """A condition on `listed_objects`: whether the uuid in the key may be 32 hex digits without dashes, and no more."""
        numbers = [
            str(number)
            for number, pattern in enumerate(self._patterns)
            if pattern.dialect in self._bounded and _DIGITS in pattern.pattern
        ]
        return f"coalesce(claim IN ({', '.join(numbers)}), false)" if numbers else "false"

    def unbounded(self) -> str:
        """A condition on `listed_objects`: whether other hex digits may touch the uuid in the key; `false` where none do."""
        numbers = [
            str(number)
            for number, pattern in enumerate(self._patterns)
            if pattern.dialect not in self._bounded
        ]
        return f"coalesce(claim IN ({', '.join(numbers)}), false)" if numbers else "false"

    def _parts(self) -> str:
        """All groups of the pattern that claimed the key, by number: to look for each on its own takes as often as long."""
        groups = [re.compile(pattern.pattern).groups for pattern in self._patterns]
        most = max(groups, default=0)
        names = ", ".join(literal(f"g{number}") for number in range(1, most + 1))
        # Each claim gives the same groups: those that its pattern has not are empty.
        return _choice(
            [
                f"regexp_extract(key, {literal(pattern.pattern + '()' * (most - number))}, [{names}])"
                for pattern, number in zip(self._patterns, groups, strict=True)
            ]
        )

    def _part(self, group: str) -> str:
        """One named group of the pattern that claimed the key, NULL where the pattern has no such group."""
        return _choice([_group(pattern, group) for pattern in self._patterns])

    def _is_uuid(self, pattern: KeyPattern) -> bool:
        return f"(?P<unique>{DASHED_UUID_PATTERN})" in pattern.pattern

    def _unique(self, pattern: KeyPattern) -> str:
        group = "(?P<unique>"
        if group not in pattern.pattern:
            return "NULL"
        if pattern.dialect not in self._bounded:
            return _extracted(pattern.pattern, "unique")
        found = uuid_of_last_segment(pattern.pattern, "key")
        if found is not None:
            return found
        # The end of the pattern alone finds the same in a key that the whole of it matches, ten times as fast.
        return _extracted(pattern.pattern[pattern.pattern.index(group) :], "unique")


def uuid_of_last_segment(pattern: str, text: str) -> str | None:
    """The group `unique` of a built-in pattern that matches `text`, without RE2, where the last segment begins with it.

    None where that is not so, or the group is not just a uuid with dashes.
    """
    before, found, behind = pattern.partition(f"(?P<unique>{DASHED_UUID_PATTERN})")
    if not found or not before.endswith("/") or "/" in behind or "[^" in behind:
        return None
    return last_segment_uuid(text)


def last_segment_uuid(text: str) -> str:
    """The uuid with dashes with which the last segment of `text` begins."""
    return f"substr(split_part({text}, '/', -1), 1, {_DASHED_LENGTH})"


def literal(text: str) -> str:
    """The text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def _group(pattern: KeyPattern, group: str) -> str:
    number = re.compile(pattern.pattern).groupindex.get(group)
    if number is None:
        return "NULL"
    part = f"nullif(parts.g{number}, '')"
    if not pattern.quoted or group == "unique":
        return part
    # `~` is never quoted: where it is, the component is absent or was cut, and names nothing. A sequence that is no
    # UTF-8 once decoded stays as it is written.
    decoded = f"CASE WHEN NOT contains({part}, '%7E') THEN coalesce(TRY(url_decode({part})), {part}) END"
    return f"CASE WHEN contains({part}, '%') THEN {decoded} ELSE {part} END"


def _extracted(pattern: str, group: str) -> str:
    index = re.compile(pattern).groupindex[group]
    return f"nullif(regexp_extract(key, {literal(pattern)}, {index}), '')"


def _choice(expressions: Sequence[str]) -> str:
    """The expression of the claim; NULL where no pattern claims the key."""
    cases = [
        f"WHEN {number} THEN {expression}"
        for number, expression in enumerate(expressions)
        if expression != "NULL"
    ]
    return f"CASE claim {' '.join(cases)} END" if cases else "NULL::VARCHAR"
