"""Question a snapshot file: one SELECT at a time, without a way to anything but its tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from xcomctl.errors import UnreadableError, UsageError, XcomctlError
from xcomctl.files import TemporaryFolder
from xcomctl.inventory.snapshot_file.tables import ADDED_COLUMNS, TABLES, VERSION
from xcomctl.inventory.workspace import Resources

if TYPE_CHECKING:
    import duckdb

_AT_A_TIME = 1000

_ALWAYS_SAID = ("created_at", "cutoff", "roots", "database", "complete")
"""Of what an inventory is."""

_HINT_TABLES = "xcomctl sql --tables lists the tables and their columns"
_HINT_MAKE = "xcomctl inventory --out FILE makes one"

_KEPT_COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type
FROM duckdb_columns() c JOIN duckdb_tables() t USING (database_name, schema_name, table_name)
WHERE c.schema_name = 'main' AND NOT t.internal AND NOT t.temporary
"""
"""Name, column and type: of tables, and not of views."""

_PLACE = re.compile(r"\n\nLINE (\d+): (.*)\n( *)\^", re.DOTALL)
"""Where DuckDB shows the line of a mistake, with a mark below it."""


@dataclass(frozen=True, slots=True)
class About:
    """What an inventory is of."""

    created_at: datetime
    objects_at: datetime | None
    cutoff: datetime
    roots: tuple[str, ...]
    database: str
    shard: str | None
    complete: bool
    options: str | None
    """By which it was judged, as on the command line; None also where the file is older than this column."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question gives: columns with their types in DuckDB, and records, which are read as they are asked for."""

    columns: tuple[tuple[str, str], ...]
    records: Iterator[tuple[Any, ...]]


class SnapshotFile:
    """An inventory in a file, open for questions. A context manager."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection, spill: Any) -> None:
        self._path = path
        self._connection = connection
        self._spill = spill
        # The database does not look at signals while it works: the main thread waits beside it, and can be interrupted.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="xcomctl-sql")

    def __enter__(self) -> SnapshotFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.shutdown()
        self._connection.close()
        self._spill.cleanup()

    def about(self) -> About:
        """What the inventory is of. Raises UnreadableError where the file does not say."""
        answer = self.ask("SELECT * FROM about")
        [values] = answer.records
        found = {"options": None} | dict(zip((name for name, _ in answer.columns), values, strict=True))
        members = {field.name: found[field.name] for field in fields(About)}
        if any(members[name] is None for name in _ALWAYS_SAID) or None in found["roots"]:
            raise _foreign(self._path, "about")
        return About(**{**members, "roots": tuple(found["roots"])})

    def totals(self) -> list[dict[str, Any]]:
        """Records of `what`, `state`, `count` and `bytes`, of rows and of objects; none for a state that has none."""
        found = self.ask(
            """
            SELECT 'rows', state, count(*), sum(row_size)::BIGINT FROM entries GROUP BY state
            UNION ALL SELECT 'rows', 'archived', count(*), sum(size)::BIGINT FROM rows WHERE archived HAVING count(*) > 0
            UNION ALL SELECT 'objects', state, count(*), sum(size)::BIGINT FROM objects GROUP BY state
            ORDER BY ALL
            """
        )
        return [
            dict(zip(("what", "state", "count", "bytes"), record, strict=True)) for record in found.records
        ]

    def ask(self, statement: str, parameters: Mapping[str, object] | None = None) -> Answer:
        """Run one SELECT, with values for its `$names`. Times without a zone are given as UTC.

        Raises UsageError for a statement that is not one, UnreadableError where the file is damaged; so do the records.
        """
        import duckdb

        try:
            statements = self._connection.extract_statements(statement)
        except duckdb.Error as error:
            self._raise(error)
        if len(statements) != 1:
            raise UsageError(
                f"one statement is wanted, and there are {len(statements)}"
                if statements
                else "there is no statement",
                hint='xcomctl sql "select state, count(*) from objects group by 1"',
            )
        kind = statements[0].type.name
        # Some releases of DuckDB take a PRAGMA for the SELECT that it stands for.
        if statement.lstrip()[:6].lower() == "pragma":
            kind = "PRAGMA"
        if kind not in ("SELECT", "EXPLAIN"):
            raise UsageError(
                f"only SELECT is possible, and this is {kind}: an inventory is read, and nothing else",
                hint='xcomctl sql "select state, count(*) from objects group by 1"',
            )
        try:
            cursor = self._connection.cursor()
            self._run(cursor, cursor.execute, statements[0], parameters or None)
        except duckdb.Error as error:
            self._raise(error)
        columns = [(str(column[0]), str(column[1])) for column in cursor.description or ()]
        for name, type_name in columns:
            if "WITH TIME ZONE" in type_name:
                raise UsageError(
                    f"column {name} is a time with a zone",
                    hint=f"times here are UTC: write ({name})::timestamp",
                )
        return Answer(tuple(_told_apart(columns)), self._records(cursor))

    def _records(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
        import duckdb

        try:
            while batch := self._run(cursor, cursor.fetchmany, _AT_A_TIME):
                for record in batch:
                    yield tuple(_in_utc(value) for value in record)
        except duckdb.Error as error:
            self._raise(error)
        finally:
            cursor.close()

    def _run(self, cursor: duckdb.DuckDBPyConnection, call: Callable[..., Any], *arguments: Any) -> Any:
        """What the call gives. What interrupts the waiting for it interrupts the call, too."""
        pending = self._worker.submit(call, *arguments)
        try:
            return pending.result()
        except BaseException:
            while not pending.done():
                cursor.interrupt()
                wait([pending], timeout=0.1)
            raise

    def _raise(self, error: duckdb.Error) -> NoReturn:
        raise _translated(error, self._path) from error


def open_snapshot_file(path: Path, resources: Resources | None = None) -> SnapshotFile:
    """Open the inventory at `path` for questions. `resources` bound what one may take.

    Raises UsageError where there is none or it is of another version, UnreadableError where it is damaged.
    """
    import duckdb

    limits = resources or Resources()
    if not path.is_file():
        raise UsageError(
            f"{path} is not there" if not path.exists() else f"{path} is not a file", hint=_HINT_MAKE
        )
    try:
        connection = duckdb.connect(
            str(path.resolve()),
            read_only=True,
            config={
                "memory_limit": f"{limits.memory >> 10}KiB",
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "python_enable_replacements": "false",
                **({} if limits.threads is None else {"threads": str(limits.threads)}),
            },
        )
    except duckdb.Error as error:
        raise UsageError(f"{path} is not an inventory that this version can read", hint=_HINT_MAKE) from error
    spill = TemporaryFolder(limits.tmp)
    kept = SnapshotFile(path, connection, spill)
    try:
        _confine(connection, Path(spill.name))
        _require_version(connection, path)
        _require_tables(connection, path)
    except BaseException:
        kept.__exit__(None, None, None)
        raise
    return kept


def _confine(connection: duckdb.DuckDBPyConnection, spill: Path) -> None:
    """Take every way out: other files, the network, extensions, and the settings themselves."""
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute(f"SET temp_directory = '{str(spill).replace(chr(39), chr(39) * 2)}'")
    connection.execute("SET allow_community_extensions = false")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _require_version(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    import duckdb

    try:
        found = connection.execute("SELECT version FROM about").fetchall()
    except duckdb.Error as error:
        raise UsageError(f"{path} is not an inventory of xcomctl", hint=_HINT_MAKE) from error
    if found != [(VERSION,)]:
        raise UsageError(
            f"{path} was made by another version of xcomctl",
            hint="make it again: xcomctl inventory --out FILE",
        )


def _require_tables(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Raise UnreadableError where a file that says it is an inventory is not made as one: anybody can write such a file.

    A view in the place of a table would be a query of somebody else's. Columns may be missing that are newer than the file.
    """
    import duckdb

    try:
        kept = set(connection.execute(_KEPT_COLUMNS).fetchall())
    except duckdb.Error as error:
        raise _translated(error, path) from error
    wanted = {(name, column.name, column.type) for name, columns in TABLES.items() for column in columns}
    missing = {name for name, column, _ in wanted - kept if column not in ADDED_COLUMNS}
    if missing:
        raise _foreign(path, min(missing))


def _foreign(path: Path, table: str) -> UnreadableError:
    return UnreadableError(
        f"{path} is not as xcomctl makes inventories: its table {table} is another one",
        hint="make it again: xcomctl inventory --out FILE",
    )


def _translated(error: duckdb.Error, path: Path) -> XcomctlError:
    """An error of DuckDB in one line, with the place of a mistake and a hint."""
    import duckdb

    text = str(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        return XcomctlError("the answer needs more memory than it may take", hint="--memory 4GiB")
    if isinstance(error, (duckdb.IOException, duckdb.FatalException, duckdb.InternalException)):
        return UnreadableError(
            f"{path} cannot be read: {text.splitlines()[0]}",
            hint="make it again: xcomctl inventory --out FILE",
        )
    place = _PLACE.search(text)
    where = ""
    if place is not None:
        text = text[: place.start()]
        # The mark stands below the text that follows "LINE n: ".
        where = f" (line {place[1]}, column {max(1, len(place[3]) - len(f'LINE {place[1]}: ') + 1)})"
    cause, _, more = text.partition("\n")
    cause = cause.partition(" Error: ")[2] or cause
    hint = " ".join(more.split()) if more.strip() else _HINT_TABLES
    if isinstance(error, duckdb.PermissionException) or "disabled by configuration" in cause:
        hint = "an inventory is all that a question can reach"
    if isinstance(error, duckdb.CatalogException) and "Table" in cause:
        hint = f"tables: {', '.join(TABLES)}"
    return UsageError(f"{cause}{where}", hint=hint)


def _told_apart(columns: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Columns whose names are all different: of equal ones, the second is `name_1`."""
    seen: set[str] = set()
    for name, type_name in columns:
        chosen, number = name, 0
        while chosen in seen:
            number += 1
            chosen = f"{name}_{number}"
        seen.add(chosen)
        yield chosen, type_name


def _in_utc(value: Any) -> Any:
    return value.replace(tzinfo=timezone.utc) if isinstance(value, datetime) else value
