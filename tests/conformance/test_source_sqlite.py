"""What is peculiar to SQLite as a metadata database: files, loose types, text of any bytes."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.schemas.airflow_database import NEWEST, AirflowDatabase
from xcomctl.airflow import connections
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import RowTarget, Selection
from xcomctl.errors import SourceError, UsageError
from xcomctl.models import Row, digest_of


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[AirflowDatabase]:
    """An empty database of Airflow 3.3 in a file."""
    with AirflowDatabase(f"sqlite:///{tmp_path / 'airflow.db'}", "airflow-3") as database:
        yield database.create()


@pytest.fixture
def source(airflow: AirflowDatabase) -> Iterator[DatabaseSource]:
    """A source on that database."""
    opened = DatabaseSource(airflow.url)
    yield opened
    opened.close()


def _cause(url: str, schema: str | None = None) -> tuple[str, str]:
    with closing(DatabaseSource(url, schema)) as source, pytest.raises(SourceError) as caught:
        source.info()
    return str(caught.value).rpartition(": ")[2], str(caught.value.hint)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A mistyped path is an error, and leaves no empty database behind."""
    cause, hint = _cause(f"sqlite:///{tmp_path / 'nothing.db'}")
    assert (cause, "four slashes" in hint) == ("no such file", True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_a_database(tmp_path: Path) -> None:
    """The path must name the file itself."""
    assert _cause(f"sqlite:///{tmp_path}") == (
        "not a file",
        "name the database file itself, such as airflow.db",
    )


def test_an_empty_file_holds_no_tables(tmp_path: Path) -> None:
    """An empty file is an empty database to SQLite; the error says what is missing."""
    (tmp_path / "empty.db").touch()
    cause, hint = _cause(f"sqlite:///{tmp_path / 'empty.db'}")
    assert cause == "expected a table xcom, or xcom_v1 and xcom_v2; found no tables at all"
    assert "sql_alchemy_conn" in hint


def test_a_file_of_another_kind_is_named_as_such(tmp_path: Path) -> None:
    """A file that SQLite cannot read is told in one line."""
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be taken for one" * 40)
    cause, hint = _cause(f"sqlite:///{tmp_path / 'notes.txt'}")
    assert (cause, "names Airflow's SQLite file" in hint) == ("file is not a database", True)


def test_a_damaged_file_is_an_error_and_not_a_short_result(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """Pages that were overwritten are noticed while scanning."""
    for index in range(40):
        airflow.add_xcom("etl", "run", "load", "x" * 4000, map_index=index)
    path = Path(airflow.url.removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = b"\xff" * (len(content) - len(content) // 2)
    path.write_bytes(content)
    with (
        pytest.raises(SourceError, match=r"malformed|not a database") as caught,
        source.snapshot() as snapshot,
    ):
        list(snapshot.batches())
    assert caught.value.hint is not None


def test_a_database_before_airflow_2_3_is_too_old(tmp_path: Path) -> None:
    """The xcom table of Airflow 2.0 to 2.2 has no run ids; the hint says which releases are supported."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE xcom (key, value BLOB, timestamp, task_id, dag_id, execution_date)")
    cause, hint = _cause(f"sqlite:///{path}")
    assert cause.startswith("table xcom has no dag_run_id, run_id, map_index; expected dag_run_id")
    assert hint.startswith("Airflow 2.3 is the oldest")


def test_sqlite_has_no_schemas(airflow: AirflowDatabase) -> None:
    """A schema that was given for SQLite is a mistake of the command line."""
    with (
        closing(DatabaseSource(airflow.url, "airflow")) as source,
        pytest.raises(UsageError, match="no schemas"),
    ):
        source.info()


def test_a_locked_database_is_told(
    airflow: AirflowDatabase, source: DatabaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that writes is waited for, but not for ever."""
    monkeypatch.setattr(connections, "_LOCK_SECONDS", 0.1)
    airflow.add_xcom("etl", "run", "load", 1)
    (row,) = source.rows(Selection())
    path = airflow.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceError, match="database is locked") as caught:
            source.delete_rows([RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw))])
    assert caught.value.hint == "another session holds a lock; run the command again, later if need be"
    assert list(source.rows(Selection())) == [row]


def test_numbers_are_written_out_with_all_their_digits(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """The column has numeric affinity: 42 and 1.5 are numbers in the file, and JSON text here."""
    stored = ["42", "1.5", "0.1234567890123457", "1e300", "-9223372036854775807"]
    for index, text in enumerate(stored):
        airflow.add_xcom("etl", "run", "load", None, map_index=index, raw=text)
    assert airflow.scalar("SELECT group_concat(DISTINCT typeof(value)) FROM xcom") == "integer,real"
    rows = sorted(source.rows(Selection()), key=lambda row: row.map_index or 0)
    assert [row.raw for row in rows] == [
        b"42",
        b"1.5",
        b"0.1234567890123457",
        b"1e+300",
        b"-9223372036854775807",
    ]


def test_text_that_is_not_utf8_is_read_as_its_bytes(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Broken bytes are given as they are in values, and replaced in names; the row can still be deleted by its key."""
    airflow.add_xcom("etl", "run", "load", 1)
    airflow.execute("""UPDATE xcom SET value = CAST(x'22ff6122' AS TEXT), task_id = CAST(x'6cff' AS TEXT)""")
    with source.snapshot() as snapshot:
        (record,) = (record for batch in snapshot.batches() for record in batch.to_pylist())
    (row,) = source.rows(Selection())
    assert (record["raw"], row.raw) == (b'"\xffa"', b'"\xffa"')
    assert (record["task_id"], row.task_id) == ("l\ufffd", "l\ufffd")
    assert record["row_key"] == row.row_key


def test_times_are_read_in_every_spelling(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """With and without a fraction or an offset, in UTC; a text that is no time is unknown, not old."""
    spellings = {
        "2026-11-01 06:00:00.123456": datetime(2026, 11, 1, 6, 0, 0, 123456, timezone.utc),
        "2026-11-01 06:00:00": datetime(2026, 11, 1, 6, tzinfo=timezone.utc),
        "2026-11-01 06:00:00.5": datetime(2026, 11, 1, 6, 0, 0, 500000, timezone.utc),
        "2026-11-01T08:00:00+02:00": datetime(2026, 11, 1, 6, tzinfo=timezone.utc),
        "2026-11-01 06:00:00.250000+00:00": datetime(2026, 11, 1, 6, 0, 0, 250000, timezone.utc),
        "yesterday": None,
    }
    for index, spelling in enumerate(spellings):
        airflow.add_xcom("etl", "run", "load", 1, map_index=index)
        airflow.execute("UPDATE xcom SET timestamp = :at WHERE map_index = :index", at=spelling, index=index)
    rows = sorted(source.rows(Selection()), key=lambda row: row.map_index or 0)
    assert [row.written_at for row in rows] == list(spellings.values())
    with source.snapshot() as snapshot:
        records = [record for batch in snapshot.batches() for record in batch.to_pylist()]
    assert [record["written_at"] for record in records] == list(spellings.values())
    since = datetime(2026, 11, 1, 6, 0, 0, 250000, timezone.utc)
    assert sorted(row.map_index or 0 for row in source.rows(Selection(since=since))) == [2, 4]


def test_a_row_whose_run_is_gone_may_be_deleted(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Nothing can run again in a run that does not exist."""
    airflow.add_xcom("etl", "run", "load", 1)
    airflow.execute("DELETE FROM dag_run")
    (row,) = source.rows(Selection())
    assert (row.run_state, row.run_at) == (None, None)
    assert source.delete_rows([RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw))]) == [
        "deleted"
    ]


def test_a_short_id_that_two_rows_share_is_refused(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Six digits of a hash are not always enough; the hint names both rows in full."""
    seen: dict[str, int] = {}
    for index in itertools.count():
        key = f'[1,"load",{index},"return_value"]'
        short_id = Row("xcom", key, 1, None, None, None, None, "", None, None).short_id
        if short_id in seen:
            break
        seen[short_id] = index
    for map_index in (seen[short_id], index):
        airflow.add_xcom("etl", "run", "load", 1, map_index=map_index)
    with pytest.raises(UsageError, match="is the short id of 2 rows") as caught:
        source.row_by_short_id(short_id)
    assert caught.value.hint == (
        f"name one: etl/run/load[{seen[short_id]}]:return_value, etl/run/load[{index}]:return_value"
    )


def test_a_value_of_the_wrong_type_in_a_column_is_an_error_without_the_value(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """Any column of SQLite can hold anything; a row that cannot be read stops the scan, and is not quoted."""
    airflow.add_xcom("etl", "run", "load", 1)
    airflow.execute("UPDATE xcom SET map_index = 'sesame'")
    with (
        pytest.raises(SourceError, match=r"table xcom holds a map_index that is not of type int64") as caught,
        source.snapshot() as snapshot,
    ):
        list(snapshot.batches())
    assert "sesame" not in str(caught.value)


def test_a_scan_is_cut_into_batches(
    airflow: AirflowDatabase, source: DatabaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch ends at so many rows, or at so many bytes, whichever comes first."""
    from xcomctl.airflow import scanning as module

    monkeypatch.setattr(module, "BATCH_ROWS", 4)
    monkeypatch.setattr(module, "BATCH_BYTES", 1000)
    for index in range(10):
        airflow.add_xcom("etl", "run", "load", "x" * (600 if index > 7 else 1), map_index=index)
    with source.snapshot() as snapshot:
        assert [batch.num_rows for batch in snapshot.batches()] == [4, 4, 2]


def test_an_error_of_the_caller_is_left_alone(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """What goes wrong inside of the `with` block is not taken for an error of the database."""
    airflow.add_xcom("etl", "run", "load", 1, at=NEWEST)
    with pytest.raises(OSError, match="disk full"), source.snapshot():
        raise OSError("disk full")


def test_a_large_value_reads_back_whole(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Values of megabytes are not cut."""
    airflow.add_xcom("etl", "run", "load", "x" * 3_000_000)
    (row,) = source.rows(Selection())
    assert json.loads(row.raw or b"") == "x" * 3_000_000
