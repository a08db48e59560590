"""PostgreSQL by ADBC: the same rows as by a cursor, to the last bit, and the same errors."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.schemas.airflow_database import NEWEST, SHAPES, AirflowDatabase
from tests.services.postgres import PostgresServer
from tests.services.worlds import World
from xcomctl.airflow import adbc, arrow_rows, scanning
from xcomctl.airflow.adbc import session_beside
from xcomctl.airflow.database import DatabaseSource
from xcomctl.errors import SourceError

ODD = [
    "",
    "a\tb",
    "a\nb\r",
    "\\",
    "\\N",
    "\\.",
    '"',
    "'",
    "%s",
    ":x",
    "é",
    "\U0001f600",
    "\x7f",
    *map(chr, range(1, 32)),
]
"""Names and texts that formats and quotes stumble over."""


@pytest.fixture(params=SHAPES)
def airflow(request: pytest.FixtureRequest, postgres_database: str) -> Iterator[AirflowDatabase]:
    """An empty database of one generation."""
    with AirflowDatabase(postgres_database, request.param) as database:
        yield database.create()


def _table(source: DatabaseSource) -> pa.Table:
    with source.snapshot() as snapshot:
        batches = list(snapshot.batches())
    return pa.Table.from_batches(batches).sort_by(
        [(name, "ascending") for name in ("source_table", "row_key")]
    )


def _both(source: DatabaseSource, monkeypatch: pytest.MonkeyPatch) -> list[pa.Table]:
    """The rows by ADBC, and by a cursor."""
    by_adbc = _table(source)
    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "adbc_driver_postgresql", None)
        return [by_adbc, _table(source)]


def _by_adbc(source: DatabaseSource, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tables that are read by ADBC."""
    found: list[str] = []
    read = arrow_rows._Rows.batches

    def noted(self: arrow_rows._Rows, *arguments: Any) -> Iterator[pa.RecordBatch]:
        found.append(self.table.name)
        return read(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(arrow_rows._Rows, "batches", noted)
        _table(source)
    return found


def test_odd_values_and_names_are_the_same(airflow: AirflowDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Control characters, backslashes, NULL, megabytes, and times from before 1970 to far away."""
    times = [NEWEST, NEWEST.replace(year=1), NEWEST.replace(year=1969), NEWEST.replace(year=9999)]
    for number, text in enumerate(ODD):
        at = times[number % len(times)]
        airflow.add_xcom(
            f"d{text}", f"r{text}", f"t{text}", text, key=f"k{text}", map_index=number - 3, at=at
        )
    airflow.add_run("live", "r", state="running", dated=False, at=NEWEST - timedelta(days=1))
    airflow.add_xcom("live", "r", "null", None)
    airflow.add_xcom("live", "r", "large", "x" * 3_000_000)
    airflow.add_xcom("live", "r", "none", 1)
    airflow.execute(f"UPDATE {airflow.table} SET value = NULL WHERE key = 'ka\tb'")
    if airflow.shape == "airflow-2":
        airflow.add_xcom("live", "r", "bytes", None, raw=bytes(range(256)))
    if airflow.shape == "airflow-3.4":
        airflow.add_legacy_xcom("live", "r", "none", {"old": 1}, key="legacy")
    airflow.execute(f"CREATE TABLE _airflow_deleted__xcom__1 AS SELECT * FROM {airflow.table}")
    airflow.execute(f"CREATE TABLE _xcom_archive AS SELECT value FROM {airflow.table}")
    with closing(DatabaseSource(airflow.url)) as source:
        by_adbc, by_cursor = _both(source, monkeypatch)
        read = _by_adbc(source, monkeypatch)
    assert read == [*(("xcom_v2", "xcom_v1") if airflow.shape == "airflow-3.4" else ("xcom",)),
                      "_airflow_deleted__xcom__1", "_xcom_archive"]  # fmt: skip
    assert by_adbc.schema == by_cursor.schema
    for name in by_adbc.schema.names:
        if name in ("row_key", "raw"):
            continue
        assert (name, by_adbc[name].to_pylist()) == (name, by_cursor[name].to_pylist())
    live = by_adbc.filter(pa.compute.invert(by_adbc["archived"]))
    assert live == by_cursor.filter(pa.compute.invert(by_cursor["archived"]))
    assert sorted(map(repr, by_adbc["raw"].to_pylist())) == sorted(map(repr, by_cursor["raw"].to_pylist()))


def test_rows_come_in_batches_that_are_bounded(
    airflow: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch ends at so many rows or so many bytes, and archives are numbered through."""
    for index in range(7):
        airflow.add_xcom("etl", "run", "load", "x" * (3000 if index == 4 else 1), map_index=index)
    airflow.execute(f"CREATE TABLE _xcom_archive AS SELECT value FROM {airflow.table}")
    monkeypatch.setattr(scanning, "BATCH_ROWS", 3)
    monkeypatch.setattr(scanning, "BATCH_BYTES", 2000)
    with closing(DatabaseSource(airflow.url)) as source, source.snapshot() as snapshot:
        batches = list(snapshot.batches())
    live = [batch for batch in batches if not batch.column("archived")[0].as_py()]
    numbers = [key for batch in batches[len(live) :] for key in batch.column("row_key").to_pylist()]
    values = [[len(value) for value in batch.column("raw").to_pylist()] for batch in live]
    assert all(len(batch) <= 3 and max(batch[:-1], default=0) < 2000 for batch in values)
    assert (sum(map(len, values)), max(map(max, values)) > 3000) == (7, True)
    assert numbers == [json.dumps([number]) for number in range(7)]


@pytest.mark.parametrize("world_name", ["2.11.2-commonio-pg-after-scenarios", "migrated-2.11.2-to-3.3.2-pg"])
def test_worlds_are_the_same(
    world: Callable[..., World], world_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What real releases wrote, with archives."""
    with closing(DatabaseSource(world(world_name, store=False).db_url)) as source:
        by_adbc, by_cursor = _both(source, monkeypatch)
    assert by_adbc.drop_columns(["row_key", "raw"]).num_rows == by_cursor.num_rows
    live = pa.compute.invert(by_adbc["archived"])
    assert by_adbc.filter(live) == by_cursor.filter(live)


@pytest.fixture
def newest(postgres_database: str) -> Iterator[AirflowDatabase]:
    """An empty database of Airflow 3.3."""
    with AirflowDatabase(postgres_database, "airflow-3") as database:
        yield database.create()


def test_a_column_of_another_type_is_read_by_a_cursor(
    newest: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ADBC has no number for is read by the driver that has, not guessed; the other tables are not."""
    newest.add_xcom("etl", "run", "load", 1, map_index=7)
    newest.execute(
        "CREATE TABLE _xcom_archive AS SELECT map_index::numeric, dag_id::char(9), value FROM xcom"
    )
    newest.execute(
        "CREATE TABLE _airflow_deleted__xcom__1 AS SELECT map_index::smallint, dag_id::char(9), value FROM xcom"
    )
    with closing(DatabaseSource(newest.url)) as source:
        assert _by_adbc(source, monkeypatch) == ["xcom", "_airflow_deleted__xcom__1"]
        found = _table(source).to_pylist()
    archived = [record for record in found if record["archived"]]
    assert [(record["map_index"], record["dag_id"]) for record in archived] == [(7, "etl      ")] * 2


def test_texts_come_in_utf8_whatever_the_address_says(
    newest: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL may ask for another encoding, which changes nothing."""
    newest.add_xcom("été", "run", "load", "ü")
    with closing(DatabaseSource(f"{newest.url}?client_encoding=latin1")) as source:
        assert _by_adbc(source, monkeypatch) == ["xcom"]
        (record,) = _table(source).to_pylist()
    assert (record["dag_id"], json.loads(record["raw"])) == ("été", "ü")


def test_some_dags_of_many_are_asked_for_by_their_names(
    newest: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names become part of the query: quotes, backslashes and percent signs in them mean nothing."""
    for text in ODD:
        newest.add_xcom(f"d{text}", "run", "load", text)
    names = [f"d{text}" for text in ODD if text not in ("", "é")]
    newest.execute('CREATE TABLE "_airflow_deleted__xcom__%s" AS SELECT * FROM xcom')
    with closing(DatabaseSource(newest.url)) as source, source.snapshot() as snapshot:
        batches = list(snapshot.batches(dag_ids=names))
    found = pa.Table.from_batches(batches)["dag_id"].to_pylist()
    assert sorted(found) == sorted([*names, *names])


def test_an_infinite_time_is_an_error(newest: AirflowDatabase) -> None:
    """A time that no calendar has cannot be judged: the row is named, and nothing is read past it."""
    newest.add_xcom("etl", "run", "load", 1)
    for column, statement in (
        ("run_ended_at", "UPDATE dag_run SET end_date = 'infinity'"),
        ("written_at", "UPDATE xcom SET timestamp = '-infinity'"),
    ):
        newest.execute(statement)
        with (
            closing(DatabaseSource(newest.url)) as source,
            pytest.raises(SourceError, match="infinite") as caught,
        ):
            _table(source)
        assert "mend or remove that row" in str(caught.value.hint)
        newest.execute(statement.partition("=")[0] + "= now()")
        assert column in str(caught.value)


def test_text_that_is_not_utf8_is_an_error(postgres: PostgresServer) -> None:
    """A database without an encoding holds any bytes in a name."""
    name = postgres.create_database()
    postgres.drop_database(name)
    postgres._execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    try:
        with AirflowDatabase(postgres.url(name), "airflow-3") as airflow:
            airflow.create().add_xcom("etl", "run", "load", 1)
            airflow.execute("ALTER TABLE xcom DROP CONSTRAINT xcom_task_instance_fkey")
            airflow.execute("UPDATE xcom SET dag_id = E'\\xff'")
            with (
                closing(DatabaseSource(airflow.url)) as source,
                pytest.raises(SourceError, match="UTF"),
            ):
                _table(source)
    finally:
        postgres.drop_database(name)


def _fill(airflow: AirflowDatabase) -> None:
    """3,001 rows, more than what the system buffers on the way."""
    airflow.add_xcom("etl", "run", "load", "x")
    airflow.execute(
        "INSERT INTO task_instance (id, dag_id, run_id, task_id, map_index)"
        " SELECT md5(n::text)::uuid, 'etl', 'run', 'load', n FROM generate_series(1, 3000) n"
    )
    airflow.execute(
        "INSERT INTO xcom (dag_run_id, dag_id, run_id, task_id, map_index, key, value, timestamp)"
        " SELECT 1, 'etl', 'run', 'load', n, 'k', to_jsonb(repeat('x', 9000)), now() FROM generate_series(1, 3000) n"
    )


def _sessions(airflow: AirflowDatabase) -> int:
    """How many sessions of ours the server has."""
    with airflow.connection() as connection:
        counted = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'xcomctl'"
        return int(connection.execute(sa.text(counted)).scalar_one())


def test_who_stops_early_ends_the_query(newest: AirflowDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session beside the view goes with it, at once; the view itself can still be asked, and read anew."""
    monkeypatch.setattr(scanning, "BATCH_ROWS", 10)
    monkeypatch.setattr(scanning, "BATCH_BYTES", 1 << 20)
    _fill(newest)
    with closing(DatabaseSource(newest.url)) as source, source.snapshot() as snapshot:
        with closing(snapshot.batches()) as batches:  # type: ignore[type-var]  # it is a generator
            assert (next(batches).num_rows, _sessions(newest)) == (10, 2)
        deadline = time.monotonic() + 10
        while _sessions(newest) > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert _sessions(newest) == 1
        assert snapshot.dag_ids() == {"etl"}
        assert sum(batch.num_rows for batch in snapshot.batches()) == 3001


def test_both_sessions_see_one_state(newest: AirflowDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed after the view was taken is in no table that is read, whichever session reads it."""
    newest.add_xcom("etl", "run", "load", 1)
    with closing(DatabaseSource(newest.url)) as source, source.snapshot() as snapshot:
        newest.add_xcom("etl", "run", "late", 2)
        newest.execute("DELETE FROM xcom WHERE task_id = 'load'")
        (batch,) = snapshot.batches()
    assert batch.column("task_id").to_pylist() == ["load"]
    with closing(DatabaseSource(newest.url)) as source:
        assert _by_adbc(source, monkeypatch) == ["xcom"]


def test_limits_of_sessions_do_not_end_a_scan(
    newest: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan lasts as long as its rows are looked at, which neither time-out of the server is meant for."""
    monkeypatch.setattr(scanning, "BATCH_BYTES", 1 << 20)
    _fill(newest)
    name = newest.url.rpartition("/")[2]
    newest.execute(f"ALTER DATABASE {name} SET statement_timeout = '1s'")
    newest.execute(f"ALTER DATABASE {name} SET idle_in_transaction_session_timeout = '1s'")
    with closing(DatabaseSource(newest.url)) as source, source.snapshot() as snapshot:
        rows = 0
        for number, batch in enumerate(snapshot.batches()):
            rows += batch.num_rows
            time.sleep(0.7 if number < 4 else 0)
        assert (rows, snapshot.dag_ids()) == (3001, {"etl"})


def test_settings_of_the_session_are_local(newest: AirflowDatabase) -> None:
    """The session has its time-outs and sees no row policies, for its one transaction."""
    with (
        closing(DatabaseSource(newest.url)) as source,
        source._connections.reading() as connection,
        session_beside(connection, source._address) as session,
    ):
        assert session is not None
        names = (
            "statement_timeout",
            "lock_timeout",
            "row_security",
            "transaction_read_only",
            "application_name",
        )
        told = ", ".join(f"current_setting('{name}')" for name in names)
        with session.answer(f"SELECT {told}", 1 << 20) as answer:
            assert answer is not None
            (batch,) = answer
    assert [column[0].as_py() for column in batch.columns] == ["0", "5s", "off", "on", "xcomctl"]


def test_rows_that_a_policy_hides_are_an_error(newest: AirflowDatabase) -> None:
    """A user who sees a part of the rows would make the objects of the others look orphaned."""
    newest.add_xcom("etl", "run", "load", 1)
    role = f"reader_{newest.url.rpartition('/')[2]}"
    newest.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'reads'")
    newest.execute(f"GRANT SELECT ON dag, dag_run, task_instance, xcom TO {role}")
    newest.execute("ALTER TABLE xcom ENABLE ROW LEVEL SECURITY")
    newest.execute("CREATE POLICY own ON xcom USING (dag_id = 'own')")
    url = make_url(newest.url).set(username=role, password="reads")  # noqa: S106 - of this test alone
    try:
        with (
            closing(DatabaseSource(url.render_as_string(hide_password=False))) as source,
            pytest.raises(SourceError, match="row-level security policy"),
        ):
            _table(source)
    finally:
        newest.execute(f"DROP OWNED BY {role}")
        newest.execute(f"DROP ROLE {role}")


def test_a_lock_that_waits_for_the_view_does_not_stop_it(
    newest: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A migration that waits for the first session would hold up the second one for ever: the first reads the rows."""
    newest.add_xcom("etl", "run", "load", 1)
    monkeypatch.setattr(adbc, "_SET_LOCAL", adbc._SET_LOCAL.replace("5s", "300ms"))
    begun = threading.Event()
    count = scanning.TableScan._batches

    def migrate() -> None:
        with newest.connection() as connection:
            begun.set()
            connection.exec_driver_sql("LOCK TABLE xcom IN ACCESS EXCLUSIVE MODE")

    migration = threading.Thread(target=migrate)

    def after_the_count(self: scanning.TableScan, *arguments: Any) -> Iterator[pa.RecordBatch]:
        migration.start()
        begun.wait()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not self.connection.execute(sa.text(waiting)).scalar():
            time.sleep(0.02)
        return count(self, *arguments)

    monkeypatch.setattr(scanning.TableScan, "_batches", after_the_count)
    with closing(DatabaseSource(newest.url)) as source:
        assert _table(source).num_rows == 1
    migration.join()


def test_a_session_that_only_reads_can_be_read(
    newest: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a replica, where nothing can be written."""
    newest.add_xcom("etl", "run", "load", "x")
    name = newest.url.rpartition("/")[2]
    newest.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with closing(DatabaseSource(newest.url)) as source:
        assert (_by_adbc(source, monkeypatch), _table(source).num_rows) == (["xcom"], 1)
