"""Port to the metadata database: what the rest of the tool asks of it, whatever the engine and the Airflow release."""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from xcomctl.errors import RefusedError
from xcomctl.models import Root, Row, xcom_ref

if TYPE_CHECKING:
    import pyarrow as pa

SortField = Literal["written_at", "dag_id", "run_id", "task_id", "key"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows: every field that is not None must match. The first four are globs, as `xcomctl.globs` reads them.

    `since` is inclusive, `until` exclusive, both on the time at which the row was written.
    """

    dag: str | None = None
    run: str | None = None
    task: str | None = None
    key: str | None = None
    map_index: int | None = None
    state: str | None = None
    """State of the run: queued, running, success, failed."""
    since: datetime | None = None
    until: datetime | None = None
    all_attempts: bool = False
    """Also XComs of archived attempts (Airflow 3.4 keeps every try); otherwise only those of the current one."""

    @property
    def globs(self) -> dict[str, str | None]:
        """By columns of a row."""
        return {"dag_id": self.dag, "run_id": self.run, "task_id": self.task, "key": self.key}


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What a source turned out to be."""

    label: str
    """Engine, host and database for people, never with a password: `postgresql://airflow@db:5432/airflow`."""
    engine: str
    """`postgresql`, `sqlite` or `mysql`."""
    shape: str
    """`airflow-2` (2.3 to 2.11), `airflow-3` (3.0 to 3.3) or `airflow-3.4`."""
    tables: tuple[str, ...]
    """The XCom tables, live ones first."""
    archive_tables: tuple[str, ...]
    """Tables in which Airflow archived XCom rows (`_xcom_archive`, `_airflow_deleted__xcom*`)."""


@dataclass(frozen=True, slots=True)
class RowTarget:
    """A row that is to be deleted if it is still the one that was judged."""

    table: str
    row_key: str
    written_at: datetime | None
    digest: str
    """`models.digest_of` the raw value as it was judged."""
    run_ended_at: datetime | Literal["whenever"] | None = "whenever"
    """End of its run as it was judged, None where that had none; `whenever` where nobody looked at it."""


RowOutcome = Literal["deleted", "changed", "gone", "run_active"]
"""deleted: by us, committed. changed: value or time differ, or its run ended anew since. gone: no such row.
run_active: its run is not terminal."""


@dataclass(frozen=True, slots=True)
class RowRecord:
    """A row with all its columns, as it can be stored outside of the database and be put back.

    `columns` holds every column of the table by name, as JSON types: bytes as `{"$bytes": base64}`, times as
    `{"$time": ISO 8601 in UTC}`, the text of JSON columns as `{"$json": text}`, exactly as the database gave it.
    Coordinates name the task instance whatever the numbers of the database ('' where the row outlived it);
    `try_number` only where a table keeps several tries.
    """

    table: str
    row_key: str
    columns: dict[str, Any]
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    key: str
    try_number: int | None
    written_at: datetime | None
    digest: str
    """`models.digest_of` the raw value."""

    @property
    def ref(self) -> str:
        """`dag/run/task[3]:key`."""
        return xcom_ref(self.dag_id, self.run_id, self.task_id, self.map_index, self.key)

    @property
    def raw(self) -> bytes | None:
        """The stored value in the form of `models.Row.raw`."""
        match self.columns.get("value"):
            case {"$bytes": str(text)}:
                return base64.b64decode(text)
            case {"$json": str(text)} | str(text):
                return text.encode("utf-8", "surrogateescape")
            case _:
                return None

    def document(self) -> dict[str, Any]:
        """The record as JSON types, from which `of` makes it again. It holds the value."""
        document = asdict(self)
        document["written_at"] = None if self.written_at is None else self.written_at.isoformat()
        return document

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> RowRecord:
        """The record that `document` made. Raises RefusedError for anything else."""
        import msgspec

        try:
            record = msgspec.convert(document, cls)
            # A value that does not decode is none, and a time without zone is no moment.
            _ = record.raw
            if record.written_at is None or record.written_at.tzinfo is not None:
                return record
        except ValueError:
            pass
        raise RefusedError("the record of a row is damaged: a member is missing or malformed")


InsertOutcome = Literal["inserted", "identical", "conflict", "no_task_instance", "misfit"]
"""identical: the row is there with this very value. conflict: with another one. no_task_instance: nothing to belong to.
misfit: the tables have no place for such a row, or the server does not take it as it is."""


@dataclass(frozen=True, slots=True)
class RecordedRows:
    """The records of those targets whose rows are still as judged, column by column."""

    table: pa.Table
    """As `airflow.record_columns` lays them out, each row once."""
    places: Sequence[int | None]
    """For each target the number of its row in `table`; None where the row is gone or is not as judged any more."""


@dataclass(frozen=True, slots=True)
class TableWeight:
    """What one table with XComs weighs in the database itself."""

    name: str
    archived: bool
    """Whether it is one of Airflow's archives, not a live table."""
    rows: int
    exact: bool
    """Whether the rows were counted. Those of a large table are an estimate of the server, which may be far off."""
    table_bytes: int | None
    """With what is stored out of line, without indexes; None where the engine cannot tell."""
    index_bytes: int | None


Privilege = Literal["SELECT", "DELETE", "UPDATE", "INSERT"]

PRIVILEGES: tuple[Privilege, ...] = ("SELECT", "DELETE", "UPDATE", "INSERT")
"""Rights on the XCom tables: listing needs the first, `gc` the first three, `undo` and `restore` all of them."""


@dataclass(frozen=True, slots=True)
class SourceCondition:
    """What a server tells of itself."""

    label: str
    """As in `SourceInfo`."""
    server: str
    """Product and version: `PostgreSQL 16.2`."""
    clock_at: datetime
    """Its time."""
    is_replica: bool
    oldest_transaction_at: datetime | None
    """Start of the oldest open transaction, if the server tells."""


@dataclass(frozen=True, slots=True)
class SourceRights:
    """What the user may not do."""

    lacking: Mapping[Privilege, tuple[str, ...]]
    """The tables on which a right is missing; rights that are there everywhere are not in it."""
    certain: bool = True
    """False where some rights come by a role, so that they may be there after all."""


@dataclass(frozen=True, slots=True)
class SourceUpkeep:
    """How a database is kept."""

    oldest_run_at: datetime | None
    """Logical time of the oldest run that it still has."""
    without_dag_index: tuple[str, ...]
    """XCom tables in which an index is missing that Airflow makes: the one by DAG."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A value outside of the XCom tables that may mention objects, and of its text only what may: one find a line."""

    table: str
    column: str
    key: str
    """What names the row, in words."""
    text: str


@dataclass(frozen=True, slots=True)
class RunHistory:
    """How far back the runs of a database reach."""

    oldest: Mapping[str, datetime]
    """When the oldest run of each DAG began that the database still has."""
    whole_since: datetime | None
    """From when on `airflow db clean` removed no run: the oldest one's begin, beside those that it keeps of each DAG."""


class Snapshot(Protocol):
    """One consistent, read-only view of the database."""

    @property
    def taken_at(self) -> datetime:
        """When the view was taken, by the clock of the database."""

    @property
    def oldest_transaction_at(self) -> datetime | None:
        """Start of the oldest transaction that may still commit rows which this view does not show, if known."""

    @property
    def is_replica(self) -> bool:
        """Whether the server is a read replica, which may lag behind."""

    def batches(
        self, *, include_archives: bool = True, dag_ids: Collection[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Every row of every XCom table, in batches of the schema `row_schema()`.

        With `dag_ids` (names as `Snapshot.dag_ids` gives them) only the rows of these DAGs, and all rows that name no
        DAG, as some archives have them: whoever shares the DAGs out sees each row at least once.

        Raises SourceError when the connection is lost or fewer rows come than the same view counts: a result is
        whole or it is an error. Iterate to the end, or close the iterator, before anything else is asked of the view.
        """

    def mentions(self, roots: Sequence[Root]) -> Iterator[Mention]:
        """What other places of the database mention: runs, deferred tasks, assets, rendered fields, Variables and others.

        Of their values only uuids and keys below the roots leave the database, or where it cannot do that, this call.
        Raises SourceError, also where the user may not read one of them.
        """

    def dag_ids(self) -> set[str]:
        """Every DAG that this database knows of, from the DAG list, the runs and the XCom rows."""

    def newest_run(self) -> int | None:
        """The highest number that any DAG run has, with XComs or without; None if there is no run."""

    def run_history(self) -> RunHistory:
        """How far back the runs reach. Runs that have not begun do not count."""

    def run_ids(self, dag_ids: Collection[str]) -> Iterator[list[tuple[str, str]]]:
        """DAG and run id of every run of these DAGs, with XComs or without, in parts."""

    def records(self, selection: Selection) -> Iterator[RowRecord]:
        """Every row of the live tables that the selection matches (globs included), streamed, with all columns."""


class Source(Protocol):
    """A metadata database of Airflow."""

    def info(self) -> SourceInfo:
        """Connect and tell what it is. Raises SourceError (out of reach, no rights, unknown shape)."""

    def require_places(self) -> None:
        """Raise SourceError if `Snapshot.mentions` would for want of a right, as far as that can be told before."""

    def rows(
        self,
        selection: Selection,
        *,
        sort: SortField = "written_at",
        descending: bool = True,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Rows of the live tables, streamed, newest first unless told otherwise. A glob without wildcard uses the index."""

    def run_ids(self, dag_id: str, *, limit: int = 20) -> list[str]:
        """Runs of one DAG that have XComs, newest first: what `latest` means, and near matches for a wrong name."""

    def names_in_run(self, dag_id: str, run_id: str, *, limit: int = 1000) -> list[tuple[str, int, str]]:
        """Task, map index (-1 if unmapped) and key of the XComs of one run, sorted, found by index, without values."""

    def row_by_short_id(self, short_id: str) -> Row | None:
        """The row whose `Row.short_id` it is (any attempt), found by the primary key. Raises UsageError if malformed."""

    def dag_ids(self) -> set[str]:
        """Every DAG that this database knows of."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Open one consistent read-only view (REPEATABLE READ on PostgreSQL and MySQL, a read transaction on SQLite)."""

    def delete_rows(self, targets: Sequence[RowTarget], *, active_runs: bool = False) -> list[RowOutcome]:
        """Delete those of the first targets that are still as judged and whose run is over, in one committed transaction.

        It ends when it has held its locks for about two seconds: there is one outcome for each target that it came to,
        at least one, in order. With `active_runs` rows go also if their run is not over. Nothing is deleted if the
        transaction fails (SourceError), or if a target is none that this database can have (RefusedError).
        """

    def recorded(self, targets: Sequence[RowTarget]) -> RecordedRows:
        """The rows with all their columns, as far as they are as judged. Raises as `delete_rows` does."""

    def records(self, targets: Sequence[RowTarget]) -> list[RowRecord | None]:
        """The rows with all their columns, in order; None where a row is gone or is not as judged any more."""

    def insert_records(self, records: Sequence[RowRecord]) -> list[InsertOutcome]:
        """Put rows back where their task instance exists and nothing is in their place, in one committed transaction.

        The run is found by its coordinates: its number may be another one by now. One outcome per record, in order; a
        row that does not fit keeps no other one out. Raises SourceError.
        """

    def insertable(self, records: Sequence[RowRecord]) -> list[InsertOutcome]:
        """What `insert_records` would say of these now, without a change (a record twice is said twice)."""

    def weights(self) -> list[TableWeight]:
        """What the XCom tables weigh on disk, live ones first, then archives. Reads no value, and at most counts rows."""

    def condition(self) -> SourceCondition:
        """What the server tells of itself, whatever is in it. Raises SourceError where it is out of reach."""

    def rights(self) -> SourceRights:
        """What the user may not do, told without doing it."""

    def upkeep(self) -> SourceUpkeep:
        """How the database is kept."""

    def identity(self) -> str:
        """What tells this database from every other one, and stays with it: engine, cluster and name, without secrets."""

    def advisory_lock(self, name: str) -> AbstractContextManager[Callable[[], None]]:
        """Hold a lock of the database server, for where the object store cannot lock; it dies with its connection.

        Gives what makes sure that it is still held, which raises RefusedError if not. Raises RefusedError where another
        session holds it or the engine has none, SourceError.
        """

    def close(self) -> None:
        """Release all connections."""


def row_schema() -> pa.Schema:
    """Columns of the batches that `Snapshot.batches` gives. Times are UTC microseconds."""
    import pyarrow as pa

    utc = pa.timestamp("us", tz="UTC")
    return pa.schema(
        [
            ("source_table", pa.string()),
            ("archived", pa.bool_()),  # the table is an archive, not a live XCom table
            ("row_key", pa.string()),
            ("dag_run_id", pa.int64()),
            ("dag_id", pa.string()),
            ("run_id", pa.string()),
            ("task_id", pa.string()),
            ("map_index", pa.int64()),
            ("key", pa.string()),
            ("written_at", utc),
            ("raw", pa.binary()),
            ("run_state", pa.string()),
            ("run_at", utc),
            ("run_ended_at", utc),
            ("try_number", pa.int64()),
            ("superseded", pa.bool_()),
        ]
    )
