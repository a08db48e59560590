"""Rows that are named, judged and deleted set by set, on each engine and each generation of Airflow's tables."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.conformance.sources import airflow, source
from tests.schemas.airflow_database import NEWEST, AirflowDatabase
from tests.services.pgbouncer import running_pgbouncer
from xcomctl.airflow import deletion, queries
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import RowTarget, Selection
from xcomctl.airflow.records import raw_of
from xcomctl.errors import RefusedError, SourceError
from xcomctl.models import ObjectAddress, Row, digest_of
from xcomctl.state.journal.columns import pack, unpack

__all__ = ["airflow", "source"]

_VALUES: list[Any] = [
    *(42, 1.5, 1e300, True, None, "", "hello é 😀", "\x01 \" \\ ' %s :x", {"ü": [1, {"b": None}], "a": 1}),
    *([], "x" * 100_000),
]

_KEYS = ['"', "\\", '\\"', "{a,b}", "NULL", "it's", ",", "%s", ":x", " ", "\n", "é", "[1]", "$[0]"]


def _target(row: Row) -> RowTarget:
    return RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw), row.run_ended_at)


def _rows(source: DatabaseSource) -> list[Row]:
    return list(source.rows(Selection(all_attempts=True), sort="key", descending=False))


def _odd_values(airflow: AirflowDatabase) -> None:
    """A row of each value, one without any, and, where values are bytes, one of all of them."""
    for number, value in enumerate(_VALUES):
        airflow.add_xcom("etl", "run", "load", value, key=f"k{number:02}")
    airflow.add_xcom("etl", "run", "load", 1, key="nothing")
    if airflow.shape == "airflow-2":
        airflow.add_xcom("etl", "run", "load", None, key="pickled", raw=bytes(range(256)))
    key = "`key`" if airflow.engine == "mysql" else '"key"'
    airflow.execute(f"UPDATE {airflow.table} SET value = NULL WHERE {key} = 'nothing'")


def test_digests_of_the_server_are_those_of_the_tool(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """Of every type that a value is stored in, NULL and odd bytes among them. SQLite has none, and is not asked."""
    _odd_values(airflow)
    if airflow.engine != "sqlite":
        with source._reading() as (connection, known):
            kind = known.shape.columns[airflow.table]["value"]
            told = queries.digest("x.value", kind, known.engine)
            value = queries.readable("x.value", kind, known.engine)
            found = connection.execute(sa.text(f"SELECT {told}, {value} FROM {airflow.table} x")).fetchall()
        assert [digest for digest, _ in found] == [digest_of(raw_of(raw)) for _, raw in found]
        assert len(found) == len(_rows(source))
    rows = _rows(source)
    assert source.delete_rows([_target(row) for row in rows]) == ["deleted"] * len(rows)
    assert _rows(source) == []


@pytest.mark.parametrize(
    "told", ["SELECT false", None], ids=["a server without sha256", "no digest of a value"]
)
def test_rows_go_where_the_server_tells_no_digest(
    airflow: AirflowDatabase, source: DatabaseSource, monkeypatch: pytest.MonkeyPatch, told: str | None
) -> None:
    """PostgreSQL before 11, and values that are longer than what MySQL makes a function of, are compared here."""
    _odd_values(airflow)
    if told is not None:
        monkeypatch.setattr(deletion, "_DELETES_BY_DIGEST", told)
    monkeypatch.setattr(deletion, "digest", lambda *_: "CAST(NULL AS char)")
    rows = _rows(source)
    changed = replace(_target(rows[0]), digest="0" * 64)
    assert source.delete_rows([changed, *map(_target, rows[1:])]) == [
        "changed",
        *["deleted"] * (len(rows) - 1),
    ]
    assert _rows(source) == rows[:1]


def test_keys_of_any_text_name_their_row_and_no_other(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """Quotes, braces, words and signs that mean something to a server are text."""
    for key in _KEYS:
        airflow.add_xcom("etl", "run", "load", key, key=key)
    rows = _rows(source)
    recorded = source.recorded([_target(row) for row in rows])
    named = recorded.table["row_key"].to_pylist()
    assert [named[place] for place in recorded.places if place is not None] == [row.row_key for row in rows]
    assert len(named) == len(_KEYS)
    records = source.records([_target(row) for row in rows])
    for row in rows[::2]:
        assert source.delete_rows([_target(row)]) == ["deleted"]
    assert _rows(source) == rows[1::2]
    assert source.insert_records([record for record in records if record]) == [
        "identical" if number % 2 else "inserted" for number in range(len(rows))
    ]
    assert [(row.key, row.raw) for row in _rows(source)] == [(row.key, row.raw) for row in rows]


def test_what_is_recorded_can_be_read_as_it_was(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Through the bytes of the journal, every column of every row is the same document."""
    _odd_values(airflow)
    targets = [_target(row) for row in _rows(source)]
    packed = pack(source.recorded(targets).table)
    with source.snapshot() as snapshot:
        expected = {one.row_key: one.document() for one in snapshot.records(Selection(all_attempts=True))}
    read = unpack(packed, ObjectAddress("bucket", "intent.parquet"))
    assert {entry["row_key"]: entry for entry in read} == expected
    assert pack(source.recorded(targets).table) == packed


def test_a_run_that_ended_anew_keeps_its_rows(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A part of a run ran again since it was judged: its age counts anew, for rows that no task wrote again, too."""
    for run in ("again", "over"):
        airflow.add_xcom("etl", run, "load", run)
    again, over = sorted(_rows(source), key=lambda row: str(row.run_id))
    later = NEWEST + timedelta(hours=2)
    stored = later.strftime("%Y-%m-%d %H:%M:%S.%f") if airflow.engine == "sqlite" else later
    airflow.execute("UPDATE dag_run SET end_date = :later WHERE run_id = 'again'", later=stored)
    assert source.delete_rows([_target(again), _target(over)]) == ["changed", "deleted"]
    assert source.delete_rows([replace(_target(again), run_ended_at=None)]) == ["changed"]
    assert [row.run_ended_at for row in _rows(source)] == [later]
    assert source.delete_rows([_target(row) for row in _rows(source)]) == ["deleted"]


def test_a_run_without_an_end_is_judged_as_that(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A run that is over, and whose end nobody noted, lets its rows go until somebody does."""
    airflow.add_xcom("etl", "run", "load", 1)
    airflow.execute("UPDATE dag_run SET end_date = NULL")
    (row,) = _rows(source)
    assert source.delete_rows([replace(_target(row), run_ended_at=NEWEST)]) == ["changed"]
    assert source.delete_rows([_target(row)]) == ["deleted"]


def test_a_transaction_ends_when_it_has_held_its_locks_for_long(
    airflow: AirflowDatabase, source: DatabaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it came to is committed and told; the rest is for the next one. A row that comes again is gone then."""
    monkeypatch.setattr(deletion, "_SECONDS_OF_LOCKS", 0.0)
    monkeypatch.setattr(deletion, "_ROWS_AT_ONCE", 2)
    for index in range(5):
        airflow.add_xcom("etl", "run", "load", index, key=f"k{index}")
    rows = _rows(source)
    targets = [_target(row) for row in rows]
    assert source.delete_rows(targets) == ["deleted", "deleted"]
    assert _rows(source) == rows[2:]
    assert source.delete_rows([targets[2], targets[2], targets[3]]) == ["deleted"]
    assert source.delete_rows([targets[2], targets[3]]) == ["gone", "deleted"]


def test_a_key_that_no_server_can_have_is_refused(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A plan is a file: whatever stands in it, the answer is one line."""
    airflow.add_xcom("etl", "run", "load", 1)
    (row,) = _rows(source)
    for row_key in (row.row_key.replace('"]', '\\u0000"]'), row.row_key + " ", "[" * 100_000, "{}", ""):
        with pytest.raises(RefusedError, match="by something that is no key of it"):
            source.delete_rows([replace(_target(row), row_key=row_key)])
    assert _rows(source) == [row]


def test_one_statement_judges_and_deletes_on_postgresql(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of rows that are as judged no value comes to the tool a second time."""
    looked_at: list[Any] = []
    current = deletion.Deletion._current

    def counted(self: deletion.Deletion, table: str, keys: Any) -> Any:
        looked_at.extend(keys)
        return current(self, table, keys)

    monkeypatch.setattr(deletion.Deletion, "_current", counted)
    with (
        AirflowDatabase(postgres_database, "airflow-2") as airflow,
        closing(DatabaseSource(airflow.url)) as source,
    ):
        airflow.create()
        _odd_values(airflow)
        rows = _rows(source)
        changed = replace(_target(rows[3]), digest="0" * 64)
        targets = [*map(_target, rows[:3]), changed, *map(_target, rows[4:])]
        assert source.delete_rows(targets).count("deleted") == len(rows) - 1
        assert [key[3] for key in looked_at] == [rows[3].key]


def test_a_trigger_that_keeps_a_row_undoes_the_transaction(postgres_database: str) -> None:
    """All or nothing, also where the server says of no row that it withstood."""
    with (
        AirflowDatabase(postgres_database, "airflow-3") as airflow,
        closing(DatabaseSource(airflow.url)) as source,
    ):
        airflow.create()
        for index in (1, 2):
            airflow.add_xcom("etl", "run", "load", index, map_index=index)
        airflow.execute(
            "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
        )
        airflow.execute(
            "CREATE TRIGGER keep BEFORE DELETE ON xcom FOR EACH ROW WHEN (OLD.map_index = 1) EXECUTE FUNCTION keep()"
        )
        rows = _rows(source)
        with pytest.raises(SourceError, match="let go of 0 rows instead of 1; nothing was deleted"):
            source.delete_rows([_target(row) for row in rows])
        assert _rows(source) == rows


def test_rows_go_through_a_pooler_of_transactions(postgres_database: str) -> None:
    """Nothing is left in a session: reading, deleting and inserting each have one transaction, and no table of their own."""
    with AirflowDatabase(postgres_database, "airflow-3") as airflow:
        airflow.create()
        for index in range(3):
            airflow.add_xcom("etl", "run", "load", index, map_index=index)
        with (
            running_pgbouncer(airflow.url, pool_mode="transaction", default_pool_size=1) as pooler,
            closing(DatabaseSource(pooler.url)) as source,
        ):
            targets = [_target(row) for row in _rows(source)]
            records = source.records(targets)
            assert source.delete_rows(targets) == ["deleted"] * 3
            assert source.insert_records([one for one in records if one]) == ["inserted"] * 3
