"""COPY of PostgreSQL: the same rows as by a cursor, to the last bit, and the same errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta

import pyarrow as pa
import pytest
import sqlalchemy as sa

from tests.schemas.airflow_database import NEWEST, SHAPES, AirflowDatabase
from tests.services.database_proxy import database_proxy
from tests.services.postgres import PostgresServer
from tests.services.worlds import World
from xcomctl.airflow import scanning
from xcomctl.airflow.copied_rows import CopiedRows
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
    """The rows by COPY, and by a cursor."""
    by_copy = _table(source)
    with monkeypatch.context() as patched:
        patched.setattr(CopiedRows, "of", lambda *_: None)
        return [by_copy, _table(source)]


def _is_copied(source: DatabaseSource) -> list[str]:
    """Tables that are read by COPY."""
    with source._reading() as (connection, queries):
        return [
            name
            for name in (*queries.shape.live, *queries.shape.archives)
            if CopiedRows.of(connection, scanning._table(queries.by_stored_times(), name), source._address)
        ]


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
        by_copy, by_cursor = _both(source, monkeypatch)
        copied = _is_copied(source)
    assert copied == [*(("xcom_v2", "xcom_v1") if airflow.shape == "airflow-3.4" else ("xcom",)),
                      "_airflow_deleted__xcom__1", "_xcom_archive"]  # fmt: skip
    assert by_copy.schema == by_cursor.schema
    for name in by_copy.schema.names:
        if name in ("row_key", "raw"):
            continue
        assert (name, by_copy[name].to_pylist()) == (name, by_cursor[name].to_pylist())
    live = by_copy.filter(pa.compute.invert(by_copy["archived"]))
    assert live == by_cursor.filter(pa.compute.invert(by_cursor["archived"]))
    assert sorted(map(repr, by_copy["raw"].to_pylist())) == sorted(map(repr, by_cursor["raw"].to_pylist()))


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
        by_copy, by_cursor = _both(source, monkeypatch)
    assert by_copy.drop_columns(["row_key", "raw"]).num_rows == by_cursor.num_rows
    live = pa.compute.invert(by_copy["archived"])
    assert by_copy.filter(live) == by_cursor.filter(live)


@pytest.fixture
def newest(postgres_database: str) -> Iterator[AirflowDatabase]:
    """An empty database of Airflow 3.3."""
    with AirflowDatabase(postgres_database, "airflow-3") as database:
        yield database.create()


def test_a_column_of_another_type_is_read_by_a_cursor(newest: AirflowDatabase) -> None:
    """What COPY has no form for that we know is read as before, not guessed."""
    newest.add_xcom("etl", "run", "load", 1, map_index=7)
    newest.execute(
        "CREATE TABLE _xcom_archive AS SELECT map_index::numeric, dag_id::char(9), value FROM xcom"
    )
    with closing(DatabaseSource(newest.url)) as source:
        assert _is_copied(source) == ["xcom"]
        found = _table(source).to_pylist()
    archived = next(record for record in found if record["archived"])
    assert (archived["map_index"], archived["dag_id"]) == (7, "etl      ")


def test_texts_in_another_encoding_are_read_by_a_cursor(newest: AirflowDatabase) -> None:
    """A URL may ask for one, and only the driver knows it."""
    newest.add_xcom("été", "run", "load", "ü")
    with closing(DatabaseSource(f"{newest.url}?client_encoding=latin1")) as source:
        assert _is_copied(source) == []
        (record,) = _table(source).to_pylist()
    assert (record["dag_id"], json.loads(record["raw"])) == ("été", "ü")


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


def test_who_stops_early_does_not_wait_for_the_rest(
    newest: AirflowDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is let go of: the view can be left, but not be asked any more; the next one is whole."""
    monkeypatch.setattr(scanning, "BATCH_ROWS", 10)
    newest.add_xcom("etl", "run", "load", "x")
    newest.execute(
        "INSERT INTO task_instance (id, dag_id, run_id, task_id, map_index)"
        " SELECT md5(n::text)::uuid, 'etl', 'run', 'load', n FROM generate_series(1, 3000) n"
    )
    newest.execute(
        "INSERT INTO xcom (dag_run_id, dag_id, run_id, task_id, map_index, key, value, timestamp)"
        " SELECT 1, 'etl', 'run', 'load', n, 'k', to_jsonb(repeat('x', 9000)), now() FROM generate_series(1, 3000) n"
    )
    with closing(DatabaseSource(newest.url)) as source:
        with source.snapshot() as snapshot:
            with closing(snapshot.batches()) as batches:  # type: ignore[type-var]  # it is a generator
                assert next(batches).num_rows == 10
            with pytest.raises(SourceError):
                snapshot.dag_ids()
        with source.snapshot() as snapshot, closing(snapshot.batches()) as batches:  # type: ignore[type-var]
            next(batches)
        with source.snapshot() as snapshot:
            assert sum(batch.num_rows for batch in snapshot.batches()) == 3001
            assert snapshot.dag_ids() == {"etl"}


def test_a_limit_on_statements_does_not_end_a_scan(newest: AirflowDatabase) -> None:
    """A COPY lasts as long as its rows are looked at, which is not what `statement_timeout` is meant for."""
    newest.add_xcom("etl", "run", "load", "x")
    asked: list[str] = []
    with database_proxy(newest.url) as proxy:
        proxy.after = lambda _, statement: asked.append(statement)
        with closing(DatabaseSource(proxy.url)) as source, source.snapshot() as snapshot:
            list(snapshot.batches())
            with source._connections.reading() as other:
                usual = other.execute(sa.text("SHOW statement_timeout")).scalar()
            assert snapshot._connection.execute(sa.text("SHOW statement_timeout")).scalar() == usual  # type: ignore[attr-defined]
    (at,) = (number for number, statement in enumerate(asked) if statement.startswith("COPY"))
    assert "statement_timeout = 0" in asked[at - 1]
    assert "statement_timeout TO DEFAULT" in asked[at + 1]


def test_a_session_that_only_reads_can_be_copied(newest: AirflowDatabase) -> None:
    """As on a replica, where nothing can be written."""
    newest.add_xcom("etl", "run", "load", "x")
    name = newest.url.rpartition("/")[2]
    newest.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with closing(DatabaseSource(newest.url)) as source:
        assert (_is_copied(source), _table(source).num_rows) == (["xcom"], 1)
