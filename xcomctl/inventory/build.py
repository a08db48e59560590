"""Load the inventory: objects first, rows after, then the links between them.

Objects must be listed to the end before the first row is read: an upload precedes its row, so an object that was
listed and still has no row in a later snapshot is unreferenced, and not merely early.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any

from xcomctl.airflow.interface import Mention
from xcomctl.dialects.interface import Dialects
from xcomctl.dialects.values import search_text
from xcomctl.inventory.decode_python import PythonDecoder
from xcomctl.inventory.decode_sql import CREATE_ROWS, CREATE_ROWS_VIEW, plain_refs, read_documents, read_plain
from xcomctl.inventory.keys import KeySql
from xcomctl.inventory.pieces import done_meanwhile, pieces, with_text
from xcomctl.inventory.substring_keys import (
    FIND_SUBSTRING_KEYS,
    KINDS_OF_SUBSTRING_KEYS,
    REACHING_OVER_QUOTES,
    mentioned_keys,
)
from xcomctl.inventory.workspace import Resources, Workspace, sql_text
from xcomctl.models import UUID_PATTERN, ObjectAddress, Root, outermost
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import ObjectInfo, object_schema

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


class Inventory:
    """Rows, references and objects of one run. A context manager; its temporary folder is removed at the end.

    It is on disk, and no more of it in memory than `resources` allow. With `search_substring_keys` also an object that no
    dialect claims is kept by a value in which its key occurs. Raises UsageError, also at its end, where the limits are
    too narrow for what was asked.
    """

    def __init__(
        self,
        dialects: Dialects,
        roots: Sequence[Root],
        *,
        resources: Resources | None = None,
        search_substring_keys: bool = False,
        report: Progress = no_progress,
    ) -> None:
        self.roots = outermost(roots)
        self._dialects = dialects
        self._shortcuts = dialects.shortcuts()
        self._keys = KeySql(dialects.key_patterns(), self._shortcuts)
        self._search_substring_keys = search_substring_keys
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
        """Run one of the files of `inventory/sql/`, statement by statement."""
        for statement in self.sql.extract_statements(sql_text(name)):
            self.sql.execute(statement, parameters if statement.named_parameters else None).fetchall()

    def insert(self, table: str, records: Sequence[Sequence[object]]) -> None:
        """Add records to a table, each with a value for every column of it: 200 times as fast as one by one."""
        if records:
            columns = [list(values) for values in zip(*records, strict=True)]
            values = ", ".join(f"unnest(${number})" for number in range(1, len(columns) + 1))
            self.sql.execute(f"INSERT INTO {table} SELECT {values}", columns).fetchall()

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """What a query gives, as it comes: to be taken before anything else is asked."""
        yield from self.sql.sql(query).to_arrow_reader(_BATCH)

    def add_objects(self, root: Root, batches: Iterable[pa.RecordBatch]) -> None:
        """Add a listing of everything below `root` (batches of `s3.interface.object_schema`)."""
        statement = self._keys.insert()

        def add(table: pa.Table) -> None:
            self._over(statement, table, {"prefix_length": len(root.prefix)})

        self._add_all("objects", pieces(batches), add)

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
        """Add every row of a snapshot (batches of `airflow.interface.row_schema`), after all objects.

        May be called again, for other rows and after more objects; what is new is linked to all that is there.
        """
        self._read(batches)

    def add_links(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Link the objects to the rows that keep them, as `add_rows` does, and forget all other rows."""
        self._read(batches, only=_OF_THE_OBJECTS)

    def add_mentions(self, found: Iterable[Mention]) -> None:
        """Link the objects to what the database mentions elsewhere (`airflow.interface.Snapshot.mentions`), after all rows.

        What mentions an object is in `mentioning_places`, by the number that stands for a row in `links`.
        """
        new: dict[str, object] = {"first_row": self._next_row, "first_object": self._next_object}
        kinds = self._find_substring_keys()
        lengths, _ = self._uuid_lengths()
        reader = PythonDecoder(self._dialects, self.roots, keeps_texts=bool(kinds), lengths=lengths)
        remaining = iter(found)
        while some := list(islice(remaining, _BATCH)):
            places = []
            for number, mention in enumerate(some, self._next_row):
                reader.read_mentions(number, search_text(mention.text.encode()))
                places.append((number, mention.table, mention.column, mention.key))
            self.insert("mentioning_places", places)
            self._add_mentioned(reader, kinds, lengths)
            self._next_row += len(some)
            self._report("places", len(some))
        self.run_script("links.sql", new)
        self.run("DELETE FROM mentioning_places WHERE row_id NOT IN (SELECT row_id FROM links)")

    def _read(self, batches: Iterable[pa.RecordBatch], *, only: str | None = None) -> None:
        new: dict[str, object] = {"first_row": self._next_row, "first_object": self._next_object}
        kinds = self._find_substring_keys()
        lengths, unbounded = self._uuid_lengths()
        reader = PythonDecoder(self._dialects, self.roots, keeps_texts=bool(kinds), lengths=lengths)
        # Such a uuid or key could reach over the edge of what a plain value quotes.
        ((reaching,),) = self.run(REACHING_OVER_QUOTES)
        all_careful = unbounded or reaching
        statement = read_plain(self._shortcuts, self.roots, all_careful=all_careful, only=only)
        documents = None if all_careful or not self._shortcuts.documents else read_documents(self._shortcuts)

        def add(table: pa.Table) -> None:
            table = with_text(table, self._next_row)
            self._add_piece(table, statement, reader, kinds, lengths)
            if documents is not None:
                self._over(documents, table)
            if only is not None:
                self.run(
                    "DELETE FROM read_rows WHERE careful AND row_id >= $first", {"first": self._next_row}
                )
            self._next_row += table.num_rows

        self._add_all("rows", pieces(batches), add)
        self.run_script("links.sql", new)
        ((self._next_object,),) = self.run("SELECT coalesce(max(object_id) + 1, 0) FROM listed_objects")

    def _add_all(self, stage: str, tables: Iterable[pa.Table], add: Callable[[pa.Table], None]) -> None:
        """Add all tables in one transaction: what is committed in small portions is copied once more."""
        import duckdb

        self.run("BEGIN TRANSACTION")
        try:
            for rows in done_meanwhile(tables, add):
                self._workspace.grown(rows)
                self._report(stage, rows)
        except BaseException:
            # After some errors there is no transaction any more; what broke it off is what counts.
            with suppress(duckdb.Error):
                self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    def _add_piece(
        self,
        table: pa.Table,
        read: str,
        reader: PythonDecoder,
        kinds: Sequence[tuple[bool, int]],
        lengths: Sequence[int],
    ) -> None:
        """Add `table`, one piece of the rows, with what their values say."""
        self._over(read, table)
        raw = table.column("raw")
        new: dict[str, object] = {"first": self._next_row}
        found = self.run(
            "SELECT row_id FROM read_rows WHERE careful AND row_id >= $first ORDER BY row_id", new
        )
        if kinds:
            self._over(mentioned_keys(kinds, _PLAIN_TEXTS), table, new)
        if not found:
            return
        reader.read((row_id, raw[row_id - self._next_row].as_py()) for (row_id,) in found)
        self._over("INSERT INTO careful_refs SELECT * FROM batch", reader.references.take())
        self._over(_NAMING_ROOT, reader.naming_root.take(), new)
        self._add_mentioned(reader, kinds, lengths)

    def _add_mentioned(
        self, reader: PythonDecoder, kinds: Sequence[tuple[bool, int]], lengths: Sequence[int]
    ) -> None:
        """Add what the values mention that were read."""
        self._over(
            "INSERT INTO careful_mentions SELECT row_id, hash(uuid), tail FROM batch", reader.mentions.take()
        )
        runs = reader.runs.take()
        for length in lengths:
            self._over(_IN_RUNS, runs, {"length": length})
        if kinds:
            self._over(mentioned_keys(kinds, "FROM batch"), reader.texts.take())

    def contains(self, address: ObjectAddress) -> bool:
        """Whether the object lies under one of the roots."""
        return any(root.contains(address) for root in self.roots)

    def _find_substring_keys(self) -> list[tuple[bool, int]]:
        """Fill `substring_keys` with the keys of objects whose layout has no uuid; the kinds that there are."""
        self.run(FIND_SUBSTRING_KEYS, {"all": self._search_substring_keys})
        return [(bool(coreless), int(segments)) for coreless, segments in self.run(KINDS_OF_SUBSTRING_KEYS)]

    def _uuid_lengths(self) -> tuple[list[int], bool]:
        """Lengths of uuids without dashes, which have to be looked for inside of longer runs of hex digits.

        Also whether such digits touch a uuid in its key, as a layout of the user may have it: that could reach over the
        edge of what a plain value quotes.
        """
        lengths: set[int] = set()
        if self.run(f"SELECT 1 FROM listed_objects WHERE {self._keys.may_have_digits()} LIMIT 1"):  # noqa: S608 - numbers
            lengths.add(_DIGITS)
        unbounded = self._keys.unbounded()
        if unbounded == "false":
            return sorted(lengths), False
        found = self.run(
            "SELECT DISTINCT if(contains(uuid, '-'), 0, length(uuid)),"  # noqa: S608 - numbers
            " NOT list_contains(regexp_extract_all(lower(key), $uuid), uuid)"
            f" FROM objects WHERE {unbounded} AND uuid_hash IS NOT NULL",
            {"uuid": UUID_PATTERN},
        )
        lengths |= {int(length) for length, _ in found if length}
        return sorted(lengths), any(touched for _, touched in found)

    def _over(
        self, statement: str, batch: pa.Table | None, parameters: dict[str, object] | None = None
    ) -> None:
        """Run a statement in which `batch` is the table; nothing where there is none."""
        # DuckDB finds the variable by its name. To register the table would hold it to the end of the transaction.
        if batch is not None:
            self.sql.execute(statement, parameters).fetchall()


_BATCH = 10_000

_DIGITS = 32
"""Of a uuid without dashes."""

_PLAIN_TEXTS = """
    SELECT row_id, text FROM batch
    WHERE row_id NOT IN (SELECT row_id FROM read_rows WHERE careful AND row_id >= $first)
"""

_IN_RUNS = """
    INSERT INTO careful_mentions
    SELECT DISTINCT row_id, uuid_hash, ''
    FROM (
        SELECT row_id, hash(substr(run, place, $length)) AS uuid_hash
        FROM (SELECT row_id, run, unnest(range(1, length(run) - $length + 2)) AS place FROM batch)
    )
    WHERE uuid_hash IN (SELECT uuid_hash FROM listed_objects)
"""
"""Only of objects that are there: most of what lies in such a run is nobody's uuid."""

_NAMING_ROOT = """
    UPDATE read_rows SET names_root = true WHERE row_id >= $first AND row_id IN (SELECT row_id FROM batch)
"""

_OF_THE_OBJECTS = """(
    uuid_hash IN (SELECT uuid_hash FROM listed_objects) OR key_hash IN (SELECT key_hash FROM listed_objects)
)"""
