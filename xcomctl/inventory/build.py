"""Load the inventory: objects first, rows after, then the links between them.

Objects must be listed to the end before the first row is read: an upload precedes its row, so an object that was
listed and still has no row in a later snapshot is unreferenced, and not merely early.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from importlib import resources
from types import TracebackType
from typing import TYPE_CHECKING, Any

from xcomctl.dialects.interface import UNCLAIMABLE, Dialects, KeyPattern
from xcomctl.models import UUID_PATTERN, ObjectAddress, Root, digest_of, outermost
from xcomctl.stores.interface import ObjectInfo, object_schema
from xcomctl.values import search_text

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Report = Callable[[str, int], None]
"""Told the stage ("objects", "rows", ...) and how many more of it were done."""

# What follows a uuid up to where a string must end; 1,024 bytes is the longest key that S3 has.
_TAIL = r'(?:/[^"\\\s]{0,1024})?'
# Looked at and not consumed, since it may hold the next uuid: `.../<run with a uuid>/<task>/<uuid>`.
_MENTION = re.compile(rf"({UUID_PATTERN})(?=({_TAIL}))")

# Tails that `_TAIL` finds whole in any value: an object with another one is kept by its uuid alone.
_FINDABLE_TAIL = r"/[!#-\[\]-~]{0,1000}"

_DASHED_UUID = UUID_PATTERN.partition("|")[0]

_ROW_COLUMNS = (
    "row_id",
    "source_table",
    "archived",
    "row_key",
    "dag_run_id",
    "dag_id",
    "run_id",
    "task_id",
    "map_index",
    "key",
    "written_at",
    "run_state",
    "run_at",
    "run_ended_at",
    "try_number",
    "superseded",
    "digest",
    "size",
    "names_root",
)


def silent(stage: str, count: int) -> None:
    """A Report that tells nobody."""


class Inventory:
    """Rows, references and objects of one run. A context manager; what it spilled to disk is removed at the end.

    `memory_limit` is DuckDB's (`1GiB`); beyond it, it spills to a temporary folder. With `search_whole_keys` also an
    object that no dialect claims is kept by a value in which its key occurs.
    """

    def __init__(
        self,
        dialects: Dialects,
        roots: Sequence[Root],
        *,
        memory_limit: str = "1GiB",
        search_whole_keys: bool = False,
        report: Report = silent,
    ) -> None:
        import duckdb

        self.roots = outermost(roots)
        self._dialects = dialects
        self._search_whole_keys = search_whole_keys
        self._places = [_place_pattern(root) for root in self.roots]
        self._report = report
        self._next_row = 0
        self._spill = tempfile.TemporaryDirectory(prefix="xcomctl-")
        try:
            self.sql: duckdb.DuckDBPyConnection = duckdb.connect(
                config={
                    "memory_limit": memory_limit,
                    "temp_directory": self._spill.name,
                    "autoinstall_known_extensions": "false",
                    "preserve_insertion_order": "false",
                }
            )
            self.run_script("schema.sql")
        except BaseException:
            self._spill.cleanup()
            raise

    def __enter__(self) -> Inventory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sql.close()
        self._spill.cleanup()

    def run(self, statement: str, parameters: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement to its end; all rows that it gives. For a few rows only."""
        return self.sql.execute(statement, parameters).fetchall()

    def run_script(self, name: str, parameters: dict[str, object] | None = None) -> None:
        """Run one of the SQL files beside this module, statement by statement."""
        text = resources.files("xcomctl.inventory").joinpath(name).read_text(encoding="utf-8")
        for statement in self.sql.extract_statements(text):
            self.sql.execute(statement, parameters if statement.named_parameters else None).fetchall()

    def add_objects(self, root: Root, batches: Iterable[pa.RecordBatch]) -> None:
        """Add a listing of everything below `root` (batches of `stores.interface.object_schema`)."""
        import pyarrow as pa

        statement = _claim_sql(self._dialects.key_patterns())
        for batch in batches:
            self.sql.register("batch", _without_zones(pa.Table.from_batches([batch])))
            self.run(statement, {"prefix_length": len(root.prefix)})
            self.sql.unregister("batch")
            self._report("objects", batch.num_rows)

    def add_described(self, objects: Sequence[ObjectInfo]) -> None:
        """Add objects that the store described, as if they had been listed. Those outside of the roots are left out."""
        import pyarrow as pa

        for root in self.roots:
            records = [
                {
                    "bucket": one.address.bucket,
                    "key": one.address.key,
                    "size": one.size,
                    "etag": one.etag,
                    "last_modified": one.last_modified,
                }
                for one in objects
                if root.contains(one.address)
            ]
            self.add_objects(root, [pa.RecordBatch.from_pylist(records, schema=object_schema())])

    def add_rows(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add every row of a snapshot (batches of `metadata.interface.row_schema`), after all objects."""
        loose_keys = self._objects_without_uuid()
        loose_mentions = self._mentions_without_bounds()
        for batch in batches:
            self._add_row_batch(batch, loose_keys, loose_mentions)
            self._report("rows", batch.num_rows)
        self.run_script("links.sql")

    def _add_row_batch(
        self,
        batch: pa.RecordBatch,
        loose_keys: Sequence[tuple[int, str]],
        loose_mentions: Sequence[re.Pattern[str]],
    ) -> None:
        import pyarrow as pa

        first = self._next_row
        self._next_row += batch.num_rows
        row_ids = range(first, self._next_row)
        digests: list[str] = []
        sizes: list[int] = []
        names_root: list[bool] = []
        references = _Columns(
            "row_id", "reference_no", "dialect", "confidence", "text", "bucket", "key", "under_root"
        )
        mentions = _Columns("row_id", "uuid", "tail")
        links = _Columns("row_id", "object_id", "exact")
        for row_id, value in zip(row_ids, batch.column("raw"), strict=True):
            raw: bytes | None = value.as_py()
            digests.append(digest_of(raw))
            sizes.append(len(raw or b""))
            self._collect_references(row_id, raw, references)
            text = search_text(raw)
            names_root.append(
                any(place in text and pattern.search(text) is not None for place, pattern in self._places)
            )
            for pattern in (_MENTION, *loose_mentions):
                for uuid, tail in pattern.findall(text):
                    mentions.add(row_id, uuid.lower(), tail)
            for object_id, key in loose_keys:
                if key in text:
                    links.add(row_id, object_id, False)
        table = (
            pa.Table.from_batches([batch])
            .drop_columns(["raw"])
            .append_column("row_id", pa.array(row_ids, pa.int64()))
            .append_column("digest", pa.array(digests, pa.string()))
            .append_column("size", pa.array(sizes, pa.int64()))
            .append_column("names_root", pa.array(names_root, pa.bool_()))
            .select(_ROW_COLUMNS)
        )
        self._insert("INSERT INTO rows SELECT * FROM batch", _without_zones(table))
        self._insert("INSERT INTO refs SELECT * FROM batch", references.table())
        self._insert(
            "INSERT INTO mentions SELECT DISTINCT * FROM batch WHERE uuid IN (SELECT uuid FROM objects)",
            mentions.table(),
        )
        self._insert("INSERT INTO links SELECT * FROM batch", links.table())

    def _collect_references(self, row_id: int, raw: bytes | None, into: _Columns) -> None:
        for number, reference in enumerate(self._dialects.references(raw, self.roots)):
            for address in reference.addresses or (None,):
                into.add(
                    row_id,
                    number,
                    reference.dialect,
                    reference.confidence,
                    reference.text,
                    address and address.bucket,
                    address and address.key,
                    address is not None and self.contains(address),
                )

    def contains(self, address: ObjectAddress) -> bool:
        """Whether the object lies under one of the roots."""
        return any(root.contains(address) for root in self.roots)

    def _objects_without_uuid(self) -> list[tuple[int, str]]:
        """Objects whose layout has no uuid: only the key, wherever it occurs as a whole, can speak for them."""
        found = self.run(
            "SELECT object_id, unnest(list_distinct([key, relative_key])) AS whole_key FROM objects"
            " WHERE uuid IS NULL AND (dialect IS NOT NULL OR $all)",
            {"all": self._search_whole_keys},
        )
        return [(int(object_id), str(key)) for object_id, key in found if key]

    def _mentions_without_bounds(self) -> list[re.Pattern[str]]:
        """How to find uuids whose key has more hex digits around them, as a layout of the configuration may have it.

        Read from left to right, `a<32 hex digits>` is one run of 33: such uuids are looked for at every position.
        """
        found = self.run(
            "SELECT DISTINCT if(contains(uuid, '-'), 0, length(uuid)) FROM objects"
            " WHERE NOT list_contains(regexp_extract_all(lower(key), $uuid), uuid)",
            {"uuid": UUID_PATTERN},
        )
        uuids = [f"[0-9a-fA-F]{{{length}}}" if length else _DASHED_UUID for (length,) in sorted(found)]
        return [re.compile(f"(?=({uuid})({_TAIL}))") for uuid in uuids]

    def _insert(self, statement: str, table: pa.Table | None) -> None:
        if table is None:
            return
        self.sql.register("batch", table)
        self.run(statement)
        self.sql.unregister("batch")


class _Columns:
    """Values of one batch, column by column, on their way to Arrow."""

    def __init__(self, *names: str) -> None:
        self._values: dict[str, list[Any]] = {name: [] for name in names}

    def add(self, *values: object) -> None:
        for column, value in zip(self._values.values(), values, strict=True):
            column.append(value)

    def table(self) -> pa.Table | None:
        """The columns as an Arrow table; None if there is nothing in them."""
        import pyarrow as pa

        return pa.table(self._values) if next(iter(self._values.values())) else None


def _place_pattern(root: Root) -> tuple[str, re.Pattern[str]]:
    """How a value may name a key below a root: a text that must occur, and what must stand around it.

    Where the whole bucket is the root its name alone is too common a word: it counts behind `//` or `@` only.
    """
    place = f"{root.bucket}/{root.prefix}"
    before = r"(?<![A-Za-z0-9.-])" if root.prefix else r"(?<=[/@])"
    return place, re.compile(before + re.escape(place) + r"""[^\s"'\\/]""")


def _without_zones(table: pa.Table) -> pa.Table:
    """UTC times as times without zone: DuckDB would otherwise need its ICU extension to compare them."""
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            table = table.set_column(index, field.name, table.column(index).cast(pa.timestamp("us")))
    return table


def _claim_sql(patterns: Sequence[KeyPattern]) -> str:
    """Insert a batch of objects with the claim of the first pattern that matches, done by RE2 inside DuckDB."""
    claims = " ".join(
        f"WHEN regexp_matches(key, {_literal(pattern.pattern)}) THEN {number}"
        for number, pattern in enumerate(patterns)
    )
    claimed = f"CASE WHEN regexp_matches(key, {_literal(UNCLAIMABLE)}) THEN NULL {claims} END"
    names = (
        "CASE claim "
        + " ".join(f"WHEN {n} THEN {_literal(p.dialect)}" for n, p in enumerate(patterns))
        + " END"
    )
    uuid = _literal(UUID_PATTERN)
    return f"""
        INSERT INTO objects
        WITH claimed AS (SELECT *, {claimed if patterns else "NULL"} AS claim FROM batch),
        named AS (
            SELECT *, {names if patterns else "NULL"} AS dialect, {_group_sql(patterns, "unique")} AS unique_part
            FROM claimed
        ),
        placed AS (SELECT *, nullif(regexp_extract(unique_part, {uuid}), '') AS uuid FROM named),
        followed AS (SELECT *, substr(unique_part, strpos(unique_part, uuid) + length(uuid)) AS tail FROM placed)
        SELECT nextval('object_ids'), bucket, key, size, etag, last_modified, dialect, lower(uuid),
               CASE WHEN regexp_full_match(tail, {_literal(_FINDABLE_TAIL)}) THEN tail WHEN uuid IS NOT NULL THEN '' END,
               substr(key, $prefix_length + 1),
               {_group_sql(patterns, "dag_id")}, {_group_sql(patterns, "run_id")},
               {_group_sql(patterns, "task_id")}, TRY_CAST({_group_sql(patterns, "map_index")} AS INTEGER),
               {_group_sql(patterns, "key")}
        FROM followed
    """  # noqa: S608 - patterns are checked constants or configuration, and quoted as literals


def _group_sql(patterns: Sequence[KeyPattern], group: str) -> str:
    """One named group of the pattern that claimed the key, NULL where the pattern has no such group."""
    cases = []
    for number, pattern in enumerate(patterns):
        index = re.compile(pattern.pattern).groupindex.get(group)
        if index is None:
            continue
        extracted = f"nullif(regexp_extract(key, {_literal(pattern.pattern)}, {index}), '')"
        if pattern.quoted and group != "unique":
            # `~` is never quoted: where it is, the component is absent or was cut, and names nothing. A sequence that
            # is no UTF-8 once decoded stays as it is written.
            extracted = (
                f"CASE WHEN NOT contains({extracted}, '%7E')"
                f" THEN coalesce(TRY(url_decode({extracted})), {extracted}) END"
            )
        cases.append(f"WHEN {number} THEN {extracted}")
    return f"CASE claim {' '.join(cases)} END" if cases else "NULL"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
