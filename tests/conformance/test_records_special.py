"""Records where generations and engines differ: attempts of Airflow 3.4, other engines, real worlds, real races."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.schemas.airflow_database import AirflowDatabase, Shape
from tests.services.worlds import World
from xcomctl.airflow import insertion
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import RowRecord, Selection

_ALL = Selection(all_attempts=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def attempts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AirflowDatabase]:
    """An empty database of Airflow 3.4, which keeps every try."""
    postgres = request.param == "postgresql"
    url = request.getfixturevalue("postgres_database") if postgres else f"sqlite:///{tmp_path / 'airflow.db'}"
    with AirflowDatabase(url, "airflow-3.4") as database:
        yield database.create()


def _records(source: DatabaseSource) -> list[RowRecord]:
    with source.snapshot() as snapshot:
        found = list(snapshot.records(_ALL))
    return sorted(found, key=lambda record: (record.task_id, record.try_number or 0, record.table))


def _insert(database: AirflowDatabase, records: list[RowRecord]) -> list[str]:
    with closing(DatabaseSource(database.url)) as source:
        return list(source.insert_records(records))


def test_every_try_gets_its_own_row_back(attempts: AirflowDatabase) -> None:
    """Rows of archived attempts and legacy rows come back to the attempts that they had."""
    for number, archived in ((1, True), (2, False)):
        attempts.add_xcom("etl", "run", "load", number, try_number=number, archived=archived)
    attempts.add_task("etl", "run", "old")
    attempts.add_legacy_xcom("etl", "run", "old", "legacy")
    with closing(DatabaseSource(attempts.url)) as source:
        before = sorted(source.rows(_ALL), key=lambda row: row.ref + str(row.try_number))
        records = _records(source)
        for table in ("xcom_v1", "xcom_v2"):
            attempts.execute(f"DELETE FROM {table}")
        assert source.insert_records(records) == ["inserted"] * 3
        assert sorted(source.rows(_ALL), key=lambda row: row.ref + str(row.try_number)) == before
    assert [row.superseded for row in before] == [True, False, False]


def test_a_row_goes_to_the_current_attempt_of_its_number(attempts: AirflowDatabase) -> None:
    """Where the attempt has another uuid by now, its number tells; without one of that number there is no place."""
    attempts.add_xcom("etl", "run", "load", 1, try_number=2)
    with closing(DatabaseSource(attempts.url)) as source:
        (record,) = _records(source)
    attempts.execute("DELETE FROM xcom_v2")
    attempts.execute("DELETE FROM task_instance")
    attempts.add_task("etl", "run", "load", try_number=1)
    assert _insert(attempts, [record]) == ["no_task_instance"]
    identity = attempts.add_task("etl", "run", "load", try_number=2)
    assert _insert(attempts, [record]) == ["inserted"]
    assert str(attempts.scalar("SELECT task_instance_id FROM xcom_v2")) == identity
    # Another task got the uuid: it is not the row's.
    attempts.execute("DELETE FROM xcom_v2")
    attempts.execute("UPDATE task_instance SET task_id = 'other'")
    assert _insert(attempts, [record]) == ["no_task_instance"]


def test_an_attempt_of_several_regions_is_not_guessed(attempts: AirflowDatabase) -> None:
    """Two current attempts with the same coordinates: neither is surely the one."""
    attempts.add_xcom("etl", "run", "load", 1)
    with closing(DatabaseSource(attempts.url)) as source:
        (record,) = _records(source)
    attempts.execute("DELETE FROM xcom_v2")
    attempts.execute("DELETE FROM task_instance")
    attempts.add_task("etl", "run", "load")
    attempts.execute("UPDATE task_instance SET region_id = id")
    attempts.add_task("etl", "run", "load")
    assert _insert(attempts, [record]) == ["no_task_instance"]


def test_a_uuid_that_is_another_rows_is_a_conflict(attempts: AirflowDatabase) -> None:
    """The id of the row was given to another one meanwhile: both cannot be."""
    attempts.add_xcom("etl", "run", "load", 1)
    with closing(DatabaseSource(attempts.url)) as source:
        (record,) = _records(source)
    key = '"key"'
    attempts.execute(f"UPDATE xcom_v2 SET {key} = 'other'")
    assert _insert(attempts, [record]) == ["conflict"]


@pytest.mark.parametrize("shape", ["airflow-2", "airflow-3", "airflow-3.4"])
def test_rows_move_to_another_engine(postgres_database: str, tmp_path: Path, shape: Shape) -> None:
    """From SQLite to PostgreSQL and back: uuids, truth values, times and JSON in the words of each."""
    values: list[Any] = [{"b": 1, "a": [1.0, True, None]}, "text", 42, None]
    with (
        AirflowDatabase(f"sqlite:///{tmp_path / 'airflow.db'}", shape) as small,
        AirflowDatabase(postgres_database, shape) as large,
    ):
        for database in (small.create(), large.create()):
            for index, value in enumerate(values):
                database.add_xcom("etl", "run", "load", value, map_index=index)
        if shape != "airflow-2":
            small.execute(f"UPDATE {small.table} SET dag_result = 1")
        large.execute(f"DELETE FROM {large.table}")
        with closing(DatabaseSource(small.url)) as source, closing(DatabaseSource(large.url)) as target:
            rows = {row.map_index: (json.loads(row.raw or b""), row.written_at) for row in source.rows(_ALL)}
            records = _records(source)
            assert target.insert_records(records) == ["inserted"] * len(values)
            assert target.insert_records(records) == ["identical"] * len(values)
            moved = {row.map_index: (json.loads(row.raw or b""), row.written_at) for row in target.rows(_ALL)}
            assert moved == rows
            if shape != "airflow-2":
                assert large.scalar(f"SELECT bool_and(dag_result) FROM {large.table}") is True
            small.execute(f"DELETE FROM {small.table}")
            assert source.insert_records(_records(target)) == ["inserted"] * len(values)


@pytest.mark.parametrize(
    "name", ["2.11.2-commonio-pg", "3.3.2-commonio-pg", "3.4.0b2-commonio-sqlite", "2.5.0-pickle-sqlite"]
)
def test_every_row_of_a_world_comes_back(world: Callable[..., World], name: str) -> None:
    """What real releases wrote is deleted and inserted again: not a bit differs."""
    url = world(name, store=False).db_url
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool, future=True)
    with closing(DatabaseSource(url)) as source:
        tables = source.info().tables

        def content() -> list[list[str]]:
            with engine.connect() as connection:
                return [
                    sorted(
                        str([bytes(v) if isinstance(v, memoryview) else v for v in record]) for record in rows
                    )
                    for rows in (connection.execute(sa.text(f"SELECT * FROM {table}")) for table in tables)
                ]

        before = content()
        records = _records(source)
        with engine.begin() as connection:
            for table in tables:
                connection.execute(sa.text(f"DELETE FROM {table}"))
        assert content() != before
        assert set(source.insert_records(records)) == {"inserted"}
        assert content() == before
    engine.dispose()


def test_a_row_that_is_committed_meanwhile_is_kept(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task commits its own value after the look and before the insertion; a task that goes meanwhile is told."""
    with AirflowDatabase(postgres_database, "airflow-3") as airflow:
        airflow.create()
        for task in ("first", "second", "third"):
            airflow.add_xcom("etl", "run", task, task)
        with closing(DatabaseSource(airflow.url)) as source:
            records = _records(source)
            airflow.execute("DELETE FROM xcom")
            statements = insertion.Insertion._statements
            seen: list[int] = []

            def interrupted(self: insertion.Insertion, *arguments: Any) -> Any:
                if not seen:
                    seen.append(1)
                    airflow.add_xcom("etl", "run", "first", "the task's own")
                    airflow.execute("DELETE FROM task_instance WHERE task_id = 'second'")
                return statements(self, *arguments)

            monkeypatch.setattr(insertion.Insertion, "_statements", interrupted)
            assert source.insert_records(records) == ["conflict", "no_task_instance", "inserted"]
            values = {row.task_id: json.loads(row.raw or b"") for row in source.rows(_ALL)}
    assert values == {"first": "the task's own", "third": "third"}


def test_databases_are_told_apart(postgres_database: str, tmp_path: Path) -> None:
    """Two schemas, two files: each has its own identity; a link to a file has the file's, a copy has not."""
    engine = sa.create_engine(postgres_database, poolclass=sa.pool.NullPool, future=True)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA elsewhere")
    engine.dispose()
    places = {
        "public": postgres_database,
        "elsewhere": f"{postgres_database}?options=-csearch_path%3Delsewhere",
        "one": f"sqlite:///{tmp_path / 'one.db'}",
        "two": f"sqlite:///{tmp_path / 'two.db'}",
    }
    identities = {}
    for name, url in places.items():
        with AirflowDatabase(url, "airflow-3") as airflow, closing(DatabaseSource(url)) as source:
            airflow.create()
            identities[name] = source.identity()
    assert len(set(identities.values())) == 4
    with closing(DatabaseSource(postgres_database, "elsewhere")) as source:
        assert source.identity() == identities["elsewhere"]
    (tmp_path / "link.db").symlink_to(tmp_path / "one.db")
    shutil.copy(tmp_path / "one.db", tmp_path / "copy.db")
    for name, same in (("link.db", True), ("copy.db", False)):
        with closing(DatabaseSource(f"sqlite:///{tmp_path / name}")) as source:
            assert (source.identity() == identities["one"]) is same


def test_a_server_that_hides_its_identifier_still_has_an_identity(postgres_database: str) -> None:
    """Where the right to ask for the cluster is missing, address and database tell."""
    with AirflowDatabase(postgres_database, "airflow-3") as airflow:
        airflow.create()
        role = f"blind_{make_url(airflow.url).database}"
        airflow.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'reads'")
        try:
            airflow.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
            airflow.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
            url = make_url(airflow.url).set(username=role, password="reads")  # noqa: S106 - of this test alone
            with closing(DatabaseSource(url.render_as_string(hide_password=False))) as source:
                identity = source.identity()
            with closing(DatabaseSource(airflow.url)) as source:
                assert (len(identity), identity != source.identity()) == (16, True)
        finally:
            airflow.execute(f"DROP OWNED BY {role}")
            airflow.execute(f"DROP ROLE {role}")


def test_rows_of_airflow_2_do_not_fit_airflow_3(tmp_path: Path) -> None:
    """Values are encoded otherwise in each generation: no row fits, which is told."""
    with (
        AirflowDatabase(f"sqlite:///{tmp_path / 'two.db'}", "airflow-2") as two,
        AirflowDatabase(f"sqlite:///{tmp_path / 'three.db'}", "airflow-3") as three,
    ):
        for database in (two.create(), three.create()):
            database.add_xcom("etl", "run", "load", 1)
            database.execute("UPDATE xcom SET value = value")
        with closing(DatabaseSource(two.url)) as source:
            (record,) = _records(source)
        three.execute("DELETE FROM xcom")
        assert _insert(three, [record]) == ["misfit"]


def test_an_attempt_is_known_by_its_uuid_in_any_spelling(postgres_database: str, tmp_path: Path) -> None:
    """A database that moved to another engine with its uuids: rows of archived attempts find theirs."""
    with (
        AirflowDatabase(f"sqlite:///{tmp_path / 'airflow.db'}", "airflow-3.4") as small,
        AirflowDatabase(postgres_database, "airflow-3.4") as large,
    ):
        for database in (small.create(), large.create()):
            database.add_xcom("etl", "run", "load", 1, archived=True)
        identity = large.task_ids["etl", "run", "load", -1, 1]
        for table, column in (("task_instance", "id"), ("xcom_v2", "task_instance_id")):
            small.execute(f"UPDATE {table} SET {column} = :identity", identity=identity.replace("-", ""))
        for origin, target in ((small, large), (large, small)):
            with closing(DatabaseSource(origin.url)) as source:
                (record,) = _records(source)
            target.execute("DELETE FROM xcom_v2")
            assert _insert(target, [record]) == ["inserted"]
