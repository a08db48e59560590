"""The metadata database as a source of rows: `airflow.interface.Source` on SQLAlchemy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy.engine import Connection

from xcomctl.airflow.advisory import advisory_lock
from xcomctl.airflow.condition import condition_of, rights_of, upkeep_of
from xcomctl.airflow.connections import Connections
from xcomctl.airflow.deletion import Deletion
from xcomctl.airflow.directory import known_dag_ids, names_in_run, run_ids_with_xcoms
from xcomctl.airflow.failures import translate_database_errors
from xcomctl.airflow.first_page import FirstPage
from xcomctl.airflow.identity import identity_of
from xcomctl.airflow.insertion import Insertion
from xcomctl.airflow.interface import (
    InsertOutcome,
    RecordedRows,
    RowOutcome,
    RowRecord,
    RowTarget,
    Selection,
    Snapshot,
    SortField,
    SourceCondition,
    SourceInfo,
    SourceRights,
    SourceUpkeep,
    TableWeight,
)
from xcomctl.airflow.listing_query import listing_query
from xcomctl.airflow.places import places_in, require_rights
from xcomctl.airflow.queries import Queries
from xcomctl.airflow.records import to_row
from xcomctl.airflow.row_records import recorded_rows, targeted_records
from xcomctl.airflow.schema import read_shape
from xcomctl.airflow.selection import SelectionFilter
from xcomctl.airflow.snapshot import DatabaseSnapshot, oldest_transaction
from xcomctl.airflow.streaming import streamed
from xcomctl.airflow.url import parse_url
from xcomctl.airflow.weights import weights_of
from xcomctl.errors import UsageError
from xcomctl.models import Row, short_id_in


class DatabaseSource:
    """A metadata database of Airflow, by any URL that Airflow accepts. Connects when it is first asked.

    `ignored_places` are tables beside those of XComs whose mentions of objects keep nothing.
    Raises UsageError for a URL that cannot be read; every method raises SourceError where the database is out of
    reach, denies access, or is of an unknown shape.
    """

    def __init__(self, url: str, schema: str | None = None, ignored_places: Sequence[str] = ()) -> None:
        self._address = parse_url(url)
        self._schema = schema
        self._ignored_places = tuple(ignored_places)
        self._connections = Connections(self._address)
        self._known: Queries | None = None

    def info(self) -> SourceInfo:
        """Connect and tell what it is."""
        with self._reading() as (_, queries):
            shape = queries.shape
        return SourceInfo(self._address.label, self._address.engine, shape.name, shape.live, shape.archives)

    def require_places(self) -> None:
        """Raise SourceError if the places beside the XComs may not be read; see `airflow.interface.Source`."""
        with self._reading() as (connection, queries), translate_database_errors(self._address):
            places = places_in(queries.shape, self._ignored_places)
            require_rights(connection, queries, self._address, places)

    def rows(
        self,
        selection: Selection,
        *,
        sort: SortField = "written_at",
        descending: bool = True,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Rows of the live tables that match, streamed in a total order; see `airflow.interface.Source.rows`."""
        rows_filter = SelectionFilter.of(selection, self._address.engine)
        with self._reading() as (connection, queries):
            tables = [queries.live(name) for name in queries.shape.live]
            if limit is not None:
                page = FirstPage(queries, selection, sort, descending, limit)
                with translate_database_errors(self._address):
                    first = page.records(connection) if page.pays_off(connection) else None
                if first is not None:
                    yield from (to_row(record, tables[record[0]]) for record in first)
                    return
            statement, parameters = listing_query(
                queries,
                rows_filter,
                sort=sort,
                descending=descending,
                limit=limit if rows_filter.exact else None,
            )
            with streamed(connection, statement, parameters, self._address) as records:
                rows = (to_row(record, tables[record[0]]) for record in records)
                yield from itertools.islice(filter(rows_filter.matches, rows), limit)

    def run_ids(self, dag_id: str, *, limit: int = 20) -> list[str]:
        """Runs of one DAG that have XComs, newest first."""
        with self._reading() as (connection, queries), translate_database_errors(self._address):
            return run_ids_with_xcoms(connection, queries, dag_id, limit)

    def names_in_run(self, dag_id: str, run_id: str, *, limit: int = 1000) -> list[tuple[str, int, str]]:
        """Task, map index and key of the XComs of one run, without their values."""
        with self._reading() as (connection, queries), translate_database_errors(self._address):
            return names_in_run(connection, queries, dag_id, run_id, limit)

    def row_by_short_id(self, short_id: str) -> Row | None:
        """The row that `ls` shows under this id, of any attempt.

        Raises UsageError for what is no such id, and where several rows of the run share it.
        """
        if short_id_in(short_id) != short_id:
            raise UsageError(
                f"{short_id!r} is not a short id", hint="write it as `ls` prints it, such as 12-3fa9c1"
            )
        found: list[Row] = []
        number = int(short_id.partition("-")[0])
        with self._reading() as (connection, queries):
            for name in queries.shape.live:
                table = queries.live(name)
                run = table.expressions["dag_run_id"]
                # Row.short_id writes 0 where a row has no run.
                condition = f"{run} = :run" if number else f"({run} = :run OR {run} IS NULL)"
                statement = table.select(self._address.engine, condition)
                with streamed(connection, statement, {"run": number}, self._address) as records:
                    rows = (to_row(record, table) for record in records)
                    found += [row for row in rows if row.short_id == short_id]
        if len(found) > 1:
            raise UsageError(
                f"{short_id} is the short id of {len(found)} rows",
                hint=f"name one: {found[0].ref}, {found[1].ref}",
            )
        return found[0] if found else None

    def dag_ids(self) -> set[str]:
        """Every DAG that this database knows of."""
        with self._reading() as (connection, queries), translate_database_errors(self._address):
            return known_dag_ids(connection, queries)

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """One consistent, read-only view. The tables are looked up anew in it: archives come and go."""
        oldest = oldest_transaction(self._connections)
        with self._connections.reading() as connection:
            with translate_database_errors(self._address):
                queries = self._look_up(connection)
                places = places_in(queries.shape, self._ignored_places)
                snapshot = DatabaseSnapshot(connection, queries, self._address, oldest, places)
            yield snapshot

    def delete_rows(self, targets: Sequence[RowTarget], *, active_runs: bool = False) -> list[RowOutcome]:
        """Delete rows that are still as judged and whose run is over; see `airflow.interface.Source.delete_rows`.

        On SQLite no snapshot may be open meanwhile: its readers keep a writer from committing.
        """
        if not targets:
            return []
        with self._connections.writing() as connection, translate_database_errors(self._address):
            return Deletion(connection, self._look_up(connection)).run(targets, active_runs=active_runs)

    def recorded(self, targets: Sequence[RowTarget]) -> RecordedRows:
        """The rows with all their columns, column by column; see `airflow.interface.Source.recorded`."""
        with self._connections.reading() as connection, translate_database_errors(self._address):
            return recorded_rows(connection, self._look_up(connection), targets)

    def records(self, targets: Sequence[RowTarget]) -> list[RowRecord | None]:
        """The rows with all their columns; see `airflow.interface.Source.records`."""
        if not targets:
            return []
        with self._connections.reading() as connection, translate_database_errors(self._address):
            return targeted_records(connection, self._look_up(connection), targets)

    def insert_records(self, records: Sequence[RowRecord]) -> list[InsertOutcome]:
        """Put rows back where there is room for them; see `airflow.interface.Source.insert_records`.

        On SQLite no snapshot may be open meanwhile, as for `delete_rows`.
        """
        if not records:
            return []
        with self._connections.writing() as connection, translate_database_errors(self._address):
            return Insertion(connection, self._look_up(connection)).run(records)

    def insertable(self, records: Sequence[RowRecord]) -> list[InsertOutcome]:
        """What `insert_records` would say of these, without a change."""
        if not records:
            return []
        with self._connections.reading() as connection, translate_database_errors(self._address):
            return Insertion(connection, self._look_up(connection)).run(records, really=False)

    def weights(self) -> list[TableWeight]:
        """What the XCom tables weigh on disk. The tables are looked up anew: archives come and go."""
        with self._connections.reading() as connection, translate_database_errors(self._address):
            return weights_of(connection, self._look_up(connection))

    def condition(self) -> SourceCondition:
        """What the server tells of itself, whatever is in it."""
        oldest = oldest_transaction(self._connections)
        with self._connections.reading() as connection, translate_database_errors(self._address):
            return condition_of(connection, self._address, oldest)

    def rights(self) -> SourceRights:
        """What the user may not do, told without doing it."""
        with self._reading() as (connection, queries), translate_database_errors(self._address):
            places = places_in(queries.shape, self._ignored_places)
            return rights_of(connection, queries, self._address, places)

    def upkeep(self) -> SourceUpkeep:
        """How the database is kept."""
        with self._reading() as (connection, queries), translate_database_errors(self._address):
            return upkeep_of(connection, queries)

    def identity(self) -> str:
        """16 hex digits that stay with this database and that no other one has."""
        with self._reading() as (connection, queries), translate_database_errors(self._address):
            return identity_of(connection, self._address, queries.shape.schema)

    def advisory_lock(self, name: str) -> AbstractContextManager[Callable[[], None]]:
        """Hold a lock of the server; see `airflow.interface.Source.advisory_lock`."""
        return advisory_lock(self._connections, name)

    def close(self) -> None:
        """Release all connections."""
        self._connections.close()

    @contextmanager
    def _reading(self) -> Iterator[tuple[Connection, Queries]]:
        with self._connections.reading() as connection:
            if self._known is None:
                with translate_database_errors(self._address):
                    self._known = self._look_up(connection)
            yield connection, self._known

    def _look_up(self, connection: Connection) -> Queries:
        return Queries(read_shape(connection, self._address, self._schema), self._address.engine)
