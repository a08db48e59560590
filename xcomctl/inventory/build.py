"""Load the inventory: objects first, rows after, then the links between them.

Objects must be listed to the end before the first row is read: an upload precedes its row, so an object that was
listed and still has no row in a later snapshot is unreferenced, and not merely early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import resources as files
from types import TracebackType
from typing import TYPE_CHECKING, Any

from xcomctl.dialects.interface import Dialects
from xcomctl.inventory.careful_values import CarefulReader
from xcomctl.inventory.keys import KeySql
from xcomctl.inventory.pieces import pieces, with_text
from xcomctl.inventory.plain_values import CREATE_ROWS, CREATE_ROWS_VIEW, plain_refs, read_plain
from xcomctl.inventory.resources import Resources
from xcomctl.inventory.workspace import Workspace
from xcomctl.models import UUID_PATTERN, ObjectAddress, Root, outermost
from xcomctl.stores.interface import ObjectInfo, object_schema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

Report = Callable[[str, int], None]
"""Told the stage ("objects", "rows", ...) and how many more of it were done."""


def silent(stage: str, count: int) -> None:
    """A Report that tells nobody."""


class Inventory:
    """Rows, references and objects of one run. A context manager; what it spilled to disk is removed at the end.

    Beyond the memory of `resources` it spills to a temporary folder. With `search_whole_keys` also an object that no
    dialect claims is kept by a value in which its key occurs. Raises UsageError, also at its end, where the limits are
    too narrow for what was asked.
    """

    def __init__(
        self,
        dialects: Dialects,
        roots: Sequence[Root],
        *,
        resources: Resources | None = None,
        search_whole_keys: bool = False,
        report: Report = silent,
    ) -> None:
        self.roots = outermost(roots)
        self._dialects = dialects
        self._shortcuts = dialects.shortcuts()
        self._keys = KeySql(dialects.key_patterns(), self._shortcuts)
        self._search_whole_keys = search_whole_keys
        self._report = report
        self._next_row = 0
        self._next_object = 0
        self._workspace = Workspace(resources or Resources())
        try:
            for statement in (*self._keys.create(), CREATE_ROWS, CREATE_ROWS_VIEW):
                self.run(statement)
            self.run(plain_refs(self._shortcuts))
            self.run_script("schema.sql")
            self.run(
                "CREATE VIEW elusive_objects AS SELECT object_id, bucket, key, key_hash FROM listed_objects"  # noqa: S608 - numbers
                f" WHERE uuid_hash IS NULL OR {self._keys.unbounded()}"
            )
        except BaseException as error:
            self._workspace.close(error)
            raise

    def __enter__(self) -> Inventory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workspace.close(error)

    @property
    def sql(self) -> duckdb.DuckDBPyConnection:
        """The database that the inventory is."""
        return self._workspace.connection

    def run(self, statement: str, parameters: dict[str, object] | None = None) -> list[tuple[Any, ...]]:
        """Run one statement to its end; all rows that it gives. For a few rows only."""
        return self.sql.execute(statement, parameters).fetchall()

    def run_script(self, name: str, parameters: dict[str, object] | None = None) -> None:
        """Run one of the SQL files beside this module, statement by statement."""
        text = files.files("xcomctl.inventory").joinpath(name).read_text(encoding="utf-8")
        for statement in self.sql.extract_statements(text):
            self.sql.execute(statement, parameters if statement.named_parameters else None).fetchall()

    def add_objects(self, root: Root, batches: Iterable[pa.RecordBatch]) -> None:
        """Add a listing of everything below `root` (batches of `stores.interface.object_schema`)."""
        statement = self._keys.insert()
        for table in pieces(batches):
            self._over(statement, table, {"prefix_length": len(root.prefix)})
            self._report("objects", table.num_rows)

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
        """Add every row of a snapshot (batches of `metadata.interface.row_schema`), after all objects.

        May be called again, for other rows and after more objects; what is new is linked to all that is there.
        """
        self._read(batches, _ROWS_READ)

    def add_links(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Link the objects to the rows that keep them, as `add_rows` does, and forget all other rows."""
        self._read(batches, _ROWS_READ + _OF_THE_OBJECTS)

    def _read(self, batches: Iterable[pa.RecordBatch], keep: str) -> None:
        new: dict[str, object] = {"first_row": self._next_row, "first_object": self._next_object}
        whole_keys = self._find_whole_keys()
        unbounded = self._unbounded_uuids()
        reader = CarefulReader(self._dialects, self.roots, whole_keys=whole_keys, unbounded=unbounded)
        # Such a uuid or key could reach over the edge of what a plain value quotes.
        all_careful = bool(unbounded) or any(sign in key for _, key in whole_keys for sign in '"\\')
        statement = read_plain(self._shortcuts, self.roots, all_careful=all_careful)
        for table in pieces(batches):
            self._add_piece(with_text(table, self._next_row), statement, reader, keep)
            self._next_row += table.num_rows
            self._report("rows", table.num_rows)
        self.run_script("links.sql", new)
        ((self._next_object,),) = self.run("SELECT coalesce(max(object_id) + 1, 0) FROM listed_objects")

    def _add_piece(self, table: pa.Table, read: str, reader: CarefulReader, keep: str) -> None:
        """Add `table`, one piece of the rows, with what their values say."""
        self._over(read, table)
        raw = table.column("raw")
        found = self.run("SELECT row_id FROM readings WHERE careful ORDER BY row_id")
        reader.read((row_id, raw[row_id - self._next_row].as_py()) for (row_id,) in found)
        self._over("INSERT INTO careful_refs SELECT * FROM batch", reader.references.take())
        self._over(
            "INSERT INTO careful_mentions SELECT row_id, hash(uuid), tail FROM batch", reader.mentions.take()
        )
        self._over("INSERT INTO links SELECT row_id, object_id, false FROM batch", reader.links.take())
        self._over("INSERT INTO naming_root SELECT row_id FROM batch", reader.naming_root.take())
        if reader.looks_for_keys:
            self._over(_MENTIONED_KEYS, table)
        self._over(keep, table)
        self.run("DELETE FROM naming_root")

    def contains(self, address: ObjectAddress) -> bool:
        """Whether the object lies under one of the roots."""
        return any(root.contains(address) for root in self.roots)

    def _find_whole_keys(self) -> list[tuple[int, str]]:
        """Fill `whole_keys` with the keys of objects whose layout has no uuid: only the key as a whole speaks for them."""
        self.run(
            """
            CREATE OR REPLACE TABLE whole_keys AS
            SELECT * FROM (
                SELECT object_id, unnest(list_distinct([key, relative_key])) AS whole_key FROM objects
                WHERE uuid_hash IS NULL AND (claim IS NOT NULL OR $all)
            ) WHERE whole_key <> ''
            """,
            {"all": self._search_whole_keys},
        )
        return [(int(object_id), str(key)) for object_id, key in self.run("SELECT * FROM whole_keys")]

    def _unbounded_uuids(self) -> list[int]:
        """Lengths of uuids (0 with dashes) whose key has more hex digits around them, as a layout of the user may have it.

        Read from left to right, `a<32 hex digits>` is one run of 33: such uuids are looked for at every position.
        """
        found = self.run(
            "SELECT DISTINCT if(contains(uuid, '-'), 0, length(uuid)) FROM objects"  # noqa: S608 - numbers
            f" WHERE {self._keys.unbounded()} AND uuid_hash IS NOT NULL"
            " AND NOT list_contains(regexp_extract_all(lower(key), $uuid), uuid)",
            {"uuid": UUID_PATTERN},
        )
        return [int(length) for (length,) in found]

    def _over(
        self, statement: str, table: pa.Table | None, parameters: dict[str, object] | None = None
    ) -> None:
        """Run a statement in which `batch` is the table; nothing where there is none."""
        if table is None:
            return
        self.sql.register("batch", table)
        try:
            self.run(statement, parameters)
        finally:
            self.sql.unregister("batch")


_MENTIONED_KEYS = """
    INSERT INTO links
    SELECT b.row_id, k.object_id, false
    FROM batch b JOIN readings r ON r.row_id = b.row_id AND NOT r.careful
    JOIN whole_keys k ON contains(b.text, k.whole_key)
"""

_ROWS_READ = """
    INSERT INTO read_rows (
        row_id, source_table, archived, row_key, dag_run_id, dag_id, run_id, task_id, map_index, key, written_at,
        run_state, run_at, run_ended_at, try_number, superseded, size, names_root, reference, reading, layers,
        under_root, key_hash, uuid_hash, tail, other_digest
    )
    SELECT
        b.row_id, b.source_table, b.archived, b.row_key, b.dag_run_id, b.dag_id, b.run_id, b.task_id, b.map_index, b.key,
        b.written_at, b.run_state, b.run_at, b.run_ended_at, b.try_number, b.superseded, coalesce(octet_length(b.raw), 0),
        coalesce(r.under_root, false) OR b.row_id IN (SELECT row_id FROM naming_root),
        r.reference, r.reading, r.layers, r.under_root, r.key_hash, r.uuid_hash, r.tail, r.other_digest
    FROM batch b JOIN readings r USING (row_id)
"""

_OF_THE_OBJECTS = """
    WHERE r.uuid_hash IN (SELECT uuid_hash FROM listed_objects)
       OR r.key_hash IN (SELECT key_hash FROM listed_objects)
"""
