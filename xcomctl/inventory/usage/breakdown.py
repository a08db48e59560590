"""Rows, objects and bytes of an inventory in parts: by DAG, task, key, run, month, codec, dialect, state."""

# Statements are put together from the expressions below; what a user says is a parameter.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timezone

from xcomctl.airflow.interface import Selection
from xcomctl.errors import UsageError
from xcomctl.globs import duckdb_condition
from xcomctl.inventory.snapshot_file import SnapshotFile


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way to tell parts from each other. The expressions are SQL over `entries` and `objects`."""

    word: str
    """What is typed behind `--by`."""
    field: str
    """Name in the output."""
    of_rows: str
    of_objects: str
    unknown: str
    """What people see where it is not known, or there is none."""


_ENDING = r"[.]([A-Za-z][A-Za-z0-9_]{0,11}(?:[.](?:gz|gzip|bz2|xz|zst|zstd|lz4|br|snappy|zlib|zip))?)$"
"""The ending of a key tells the codec, and the compression if there is one."""


def _codec_of(key: str) -> str:
    return f"nullif(lower(regexp_extract({key}, '{_ENDING}', 1)), '')"


def _same(word: str, field: str) -> Dimension:
    return Dimension(word, field, field, field, "(unknown)")


DIMENSIONS: dict[str, Dimension] = {
    dimension.word: dimension
    for dimension in (
        _same("dag", "dag_id"),
        _same("task", "task_id"),
        _same("key", "key"),
        _same("run", "run_id"),
        Dimension(
            "month",
            "month",
            "strftime(written_at, '%Y-%m')",
            "strftime(last_modified, '%Y-%m')",
            "(unknown)",
        ),
        Dimension(
            "codec",
            "codec",
            f"CASE WHEN state = 'inline' THEN 'inline' ELSE {_codec_of('uri')} END",
            _codec_of("object_key"),
            "(none)",
        ),
        Dimension(
            "dialect",
            "dialect",
            "CASE WHEN state = 'inline' THEN 'inline' ELSE dialect END",
            "dialect",
            "(none)",
        ),
        Dimension(
            "state",
            "state",
            "CASE WHEN expires AND state IN ('inline', 'live') THEN 'expired' ELSE state END",
            "state",
            "(none)",
        ),
    )
}
"""By the word that is typed."""

DEPTHS = ("dag", "task", "key", "run")
"""What each further step of depth tells apart, too."""


@dataclass(frozen=True, slots=True)
class UsagePart:
    """What has the same place in all dimensions. Sizes are bytes."""

    place: tuple[str | None, ...]
    """One per dimension; None where it is not known."""
    rows: int
    objects: int
    inline_bytes: int
    """Of the values in the rows, references among them."""
    offloaded_bytes: int
    """Of the objects, each counted once."""
    parts: int = 1
    """How many parts these are: more than one where the small ones are summed up."""
    rest: bool = False
    """Whether it is the sum of the small ones; then its place says nothing."""

    @property
    def bytes(self) -> int:
        """Of rows and objects."""
        return self.inline_bytes + self.offloaded_bytes


@dataclass(frozen=True, slots=True)
class UsageParts:
    """The whole, and its parts, the largest first, read as they are asked for."""

    total: UsagePart
    parts: Iterator[UsagePart]


def dimensions(words: Sequence[str]) -> tuple[Dimension, ...]:
    """The dimensions of these words, each once. Raises UsageError for an unknown word, or none."""
    known = {**DIMENSIONS, "type": DIMENSIONS["codec"]}
    for word in words:
        if word not in known:
            raise UsageError(
                f"there is nothing to tell parts by that is called {word!r}",
                hint=f"--by {', '.join(DIMENSIONS)}; several with commas, as in --by dag,task",
            )
    if not words:
        raise UsageError("--by names nothing", hint="--by dag,task")
    return tuple(dict.fromkeys(known[word] for word in words))


def chosen_sql(selection: Selection, written: str) -> tuple[str, dict[str, object]]:
    """SQL over columns of `entries` or `objects`, whose time is `written`, and its parameters.

    Names, map index and times count. An object tells neither the state of its run nor which attempt wrote it: both tables
    count whatever these are.
    """
    parameters: dict[str, object] = {}
    conditions = [duckdb_condition(selection.globs, parameters)]
    if selection.map_index is not None:
        conditions.append("map_index = $map_index")
        parameters["map_index"] = selection.map_index
    for name, comparison, at in (("since", ">=", selection.since), ("until", "<", selection.until)):
        if at is not None:
            conditions.append(f"{written} {comparison} ${name}")
            # The times of an inventory have no zone.
            parameters[name] = at.astimezone(timezone.utc).replace(tzinfo=None)
    return " AND ".join(conditions), parameters


def break_down(
    inventory: SnapshotFile, by: Sequence[Dimension], chosen: Selection, *, top: int | None = None
) -> UsageParts:
    """What is chosen, by these dimensions; with `top` so many parts, and the rest in one. Raises UnreadableError."""
    pieces, parameters = _pieces(by, chosen)
    places = ", ".join(f"place_{at}" for at in range(len(by)))
    ordered = f"inline + offloaded DESC, {', '.join(f'place_{at} NULLS LAST' for at in range(len(by)))}"
    answer = inventory.ask(
        f"""
        {pieces}, numbered AS (
            SELECT *, row_number() OVER (ORDER BY {ordered}) AS number FROM pieces
        )
        SELECT
            {", ".join(f"any_value(place_{at}) FILTER (WHERE number <= $top) AS place_{at}" for at in range(len(by)))},
            sum(rows)::BIGINT, sum(objects)::BIGINT, sum(inline)::BIGINT, sum(offloaded)::BIGINT, count(*),
            min(number) > $top
        FROM numbered GROUP BY least(number, $top + 1) ORDER BY min(number)
        """
        if top is not None
        else f"{pieces} SELECT {places}, rows, objects, inline, offloaded, 1, FALSE FROM pieces ORDER BY {ordered}",
        parameters if top is None else {**parameters, "top": top},
    )
    width = len(by)
    parts = (UsagePart(tuple(record[:width]), *record[width:]) for record in answer.records)
    return UsageParts(total_of(inventory, chosen), parts)


def total_of(inventory: SnapshotFile, chosen: Selection) -> UsagePart:
    """All of what is chosen. Raises UnreadableError."""
    of_rows, parameters = chosen_sql(chosen, "written_at")
    of_objects, _ = chosen_sql(chosen, "last_modified")
    [[rows, inline, objects, offloaded]] = inventory.ask(
        f"""
        SELECT * FROM
            (SELECT count(*), coalesce(sum(row_size), 0)::BIGINT FROM entries WHERE {of_rows}),
            (SELECT count(*), coalesce(sum(size), 0)::BIGINT FROM objects WHERE {of_objects})
        """,
        parameters,
    ).records
    return UsagePart((), rows, objects, inline, offloaded)


def _pieces(by: Sequence[Dimension], chosen: Selection) -> tuple[str, dict[str, object]]:
    """`WITH pieces AS (...)`: a record per part, with `place_0`, ..., `rows`, `objects`, `inline`, `offloaded`."""
    of_rows, parameters = chosen_sql(chosen, "written_at")
    of_objects, _ = chosen_sql(chosen, "last_modified")
    places = ", ".join(f"place_{at}" for at in range(len(by)))
    row_places = ", ".join(f"{dimension.of_rows} AS place_{at}" for at, dimension in enumerate(by))
    object_places = ", ".join(f"{dimension.of_objects} AS place_{at}" for at, dimension in enumerate(by))
    statement = f"""
        WITH row_pieces AS (
            SELECT {row_places}, count(*) AS rows, sum(coalesce(row_size, 0)) AS inline
            FROM entries WHERE {of_rows} GROUP BY ALL
        ), object_pieces AS (
            SELECT {object_places}, count(*) AS objects, sum(coalesce(size, 0)) AS offloaded
            FROM objects WHERE {of_objects} GROUP BY ALL
        ), pieces AS (
            SELECT
                {places}, sum(rows)::BIGINT AS rows, sum(objects)::BIGINT AS objects,
                sum(inline)::BIGINT AS inline, sum(offloaded)::BIGINT AS offloaded
            FROM (
                SELECT {places}, rows, 0 AS objects, inline, 0 AS offloaded FROM row_pieces
                UNION ALL
                SELECT {places}, 0, objects, 0, offloaded FROM object_pieces
            )
            GROUP BY ALL
        )
    """
    return statement, parameters
