"""What is peculiar to PostgreSQL as a metadata database: plans, roles, schemas, sessions that end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.schemas.airflow_database import AirflowDatabase
from xcomctl.airflow import deletion, scanning
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import RowTarget, Selection
from xcomctl.airflow.listing_query import listing_query
from xcomctl.airflow.selection import SelectionFilter
from xcomctl.errors import SourceError, UsageError
from xcomctl.models import Row, digest_of


@pytest.fixture
def airflow(postgres_database: str) -> Iterator[AirflowDatabase]:
    """An empty database of Airflow 3.3."""
    with AirflowDatabase(postgres_database, "airflow-3") as database:
        yield database.create()


@pytest.fixture
def source(airflow: AirflowDatabase) -> Iterator[DatabaseSource]:
    """A source on that database."""
    opened = DatabaseSource(airflow.url)
    yield opened
    opened.close()


def _fill(airflow: AirflowDatabase, rows: int) -> None:
    """Rows of a hundred DAGs, one run each."""
    airflow.execute(
        "INSERT INTO dag_run (id, dag_id, run_id, state, run_after) "
        "SELECT n, 'dag_' || n, 'run', 'success', now() FROM generate_series(1, 100) n"
    )
    airflow.execute(
        "INSERT INTO task_instance (id, dag_id, run_id, task_id, map_index) "
        "SELECT md5(n::text)::uuid, 'dag_' || n % 100 + 1, 'run', 'load', n FROM generate_series(1, :rows) n",
        rows=rows,
    )
    airflow.execute(
        "INSERT INTO xcom (dag_run_id, dag_id, run_id, task_id, map_index, key, value, timestamp) "
        "SELECT n % 100 + 1, 'dag_' || n % 100 + 1, 'run', 'load', n, 'return_value', to_jsonb(n), now() "
        "FROM generate_series(1, :rows) n",
        rows=rows,
    )
    airflow.execute("ANALYZE")


def _target(row: Row) -> RowTarget:
    return RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw))


def _failure(url: str, schema: str | None = None) -> tuple[str, str]:
    with closing(DatabaseSource(url, schema)) as source, pytest.raises(SourceError) as caught:
        source.info()
    secret = make_url(url).password
    assert not secret or secret not in f"{caught.value} {caught.value.hint}"
    assert "\n" not in str(caught.value)
    return str(caught.value), str(caught.value.hint)


def test_a_dag_without_wildcard_uses_the_index(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """`--dag dag_7` is read by idx_xcom_task_instance, not by reading the whole table."""
    _fill(airflow, 20_000)
    chosen = SelectionFilter.of(Selection(dag="dag_7"), "postgresql")
    with source._reading() as (connection, queries):
        sql, parameters = listing_query(queries, chosen, sort="written_at", descending=True, limit=50)
        plan = "\n".join(line for (line,) in connection.execute(sa.text(f"EXPLAIN {sql}"), parameters))
    assert "idx_xcom_task_instance" in plan
    assert "Seq Scan on xcom" not in plan
    assert len(list(source.rows(Selection(dag="dag_7"), limit=50))) == 50


def test_a_short_id_uses_the_primary_key(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A row is found by its short id at any table size."""
    _fill(airflow, 20_000)
    (row,) = source.rows(Selection(dag="dag_7"), limit=1)
    with source._reading() as (connection, queries):
        sql = queries.live("xcom").select("postgresql", "x.dag_run_id = :run")
        plan = "\n".join(line for (line,) in connection.execute(sa.text(f"EXPLAIN {sql}"), {"run": 7}))
    assert "xcom_pkey" in plan
    assert source.row_by_short_id(row.short_id) == row


def test_a_connection_that_is_cut_is_an_error_and_not_a_short_result(
    airflow: AirflowDatabase,
    source: DatabaseSource,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the server ends the session in the middle of a scan, the scan fails in one line; nothing is printed."""
    monkeypatch.setattr(scanning, "BATCH_BYTES", 5 << 20)
    _fill(airflow, 2_000)
    # More than what the system buffers on the way.
    airflow.execute("UPDATE xcom SET value = to_jsonb(repeat('x', 20000))")
    seen = 0
    with pytest.raises(SourceError) as caught, source.snapshot() as snapshot:  # noqa: PT012 - it fails after a while
        for batch in snapshot.batches():
            seen += batch.num_rows
            if seen == batch.num_rows:
                airflow.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'xcomctl'"
                )
    assert (0 < seen < 2_000, caught.value.hint) == (
        True,
        "nothing was taken from the incomplete answer; run the command again",
    )
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert len(list(source.rows(Selection(dag="dag_7")))) == 20


def test_a_count_that_is_not_met_is_an_error(
    airflow: AirflowDatabase, source: DatabaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scan that gives fewer rows than the same view counts is refused."""
    _fill(airflow, 200)
    whole = scanning.TableScan._batches
    monkeypatch.setattr(scanning.TableScan, "_batches", lambda *asked: (batch[1:] for batch in whole(*asked)))
    expected = "short result, table xcom gave 199 rows of 200"
    with pytest.raises(SourceError, match=expected), source.snapshot() as snapshot:
        list(snapshot.batches())


def test_the_oldest_open_transaction_is_known(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A session that may still commit rows, or a prepared transaction, dates back what the view may miss."""
    with source.snapshot() as snapshot:
        assert snapshot.oldest_transaction_at is None
    with airflow.connection() as connection:
        started: datetime = connection.execute(sa.text("SELECT now()")).scalar_one()
        with source.snapshot() as snapshot:
            assert (snapshot.oldest_transaction_at, snapshot.taken_at > started) == (started, True)
    with airflow.connection() as connection:
        connection.exec_driver_sql("INSERT INTO dag (dag_id) VALUES ('prepared')")
        connection.exec_driver_sql("PREPARE TRANSACTION 'xcomctl'")
    with source.snapshot() as snapshot:
        prepared = snapshot.oldest_transaction_at
    engine = sa.create_engine(airflow.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK PREPARED 'xcomctl'")
    engine.dispose()
    assert prepared is not None
    assert abs(prepared - datetime.now(timezone.utc)) < timedelta(minutes=1)


def test_tables_are_found_by_the_search_path_or_the_schema(postgres_database: str) -> None:
    """Airflow's tables may be in a schema of their own: by its name, by the URL's options, or by the role's setting."""
    engine = sa.create_engine(postgres_database)
    with engine.begin() as connection:
        connection.exec_driver_sql('CREATE SCHEMA "Air flow"')
        connection.exec_driver_sql("CREATE TABLE public.other (id integer)")
    engine.dispose()
    inside = f"{postgres_database}?options=-csearch_path%3D%22Air%5C%20flow%22"
    with AirflowDatabase(inside, "airflow-3.4") as airflow:
        airflow.create()
        airflow.add_xcom("etl", "run", "load", 1)
    cause, hint = _failure(postgres_database)
    assert cause.endswith("expected a table xcom, or xcom_v1 and xcom_v2; found other")
    assert "--db-schema" in hint
    for url, schema in ((inside, None), (postgres_database, "Air flow")):
        with closing(DatabaseSource(url, schema)) as source:
            assert source.info().shape == "airflow-3.4"
            (row,) = source.rows(Selection())
            assert source.delete_rows([RowTarget(row.table, row.row_key, row.written_at, "0" * 64)]) == [
                "changed"
            ]
            assert (source.run_ids("etl"), source.dag_ids()) == (["run"], {"etl"})
            with source.snapshot() as snapshot:
                assert sum(batch.num_rows for batch in snapshot.batches()) == 1


@pytest.mark.parametrize("driver", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+asyncpg"])
def test_every_form_of_the_url_connects(airflow: AirflowDatabase, driver: str) -> None:
    """Airflow's other drivers are not needed."""
    url = airflow.url.replace("postgresql+psycopg2", driver) + (
        "?ssl=disable" if driver.endswith("asyncpg") else ""
    )
    with closing(DatabaseSource(url)) as source:
        assert source.info().engine == "postgresql"


def test_failures_to_connect_are_told_in_one_line(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Each cause of failure has its own line and hint, and none shows a password."""
    url = make_url(airflow.url)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
        wrong = {
            "password": url.set(password="se'cr%et"),  # noqa: S106 - a wrong one
            "role": url.set(username="nobody"),
            "database": url.set(database="nothing"),
            "port": url.set(port=closed),
            "host": url.set(host="no-such-host.invalid"),
            "parameter": url.set(query={"colour": "blue"}),
            "tls": url.set(query={"sslmode": "require"}),
        }
        told = {name: _failure(bad.render_as_string(hide_password=False)) for name, bad in wrong.items()}
    label = source.info().label
    assert told["password"] == (
        f'{label}: password authentication failed for user "airflow"',
        "check user and password in --db",
    )
    assert told["role"][1] == "check user and password in --db"
    assert told["database"] == (
        f'{label.replace(str(url.database), "nothing")}: database "nothing" does not exist',
        "check the database name in --db",
    )
    assert "Connection refused" in told["port"][0]
    assert "could not translate host name" in told["host"][0]
    assert {told[name][1] for name in ("port", "host")} == {
        "check host and port of --db, and that the database may be reached from here"
    }
    assert "colour" in told["parameter"][0]
    assert told["parameter"][1] == "check the parameters behind the ? of --db"
    assert "TLS parameters" in told["tls"][1]


def test_a_missing_right_is_told(airflow: AirflowDatabase) -> None:
    """A role that may not read or lock a table gets the list of rights; nothing is left out in silence."""
    airflow.add_xcom("etl", "run", "load", 1)
    role = f"reader_{make_url(airflow.url).database}"
    for statement in (
        f"CREATE ROLE {role} LOGIN PASSWORD 'reads'",
        f"GRANT SELECT ON dag, dag_run, task_instance TO {role}",
    ):
        airflow.execute(statement)
    try:
        url = make_url(airflow.url).set(username=role, password="reads")  # noqa: S106 - of this test alone
        with closing(DatabaseSource(url.render_as_string(hide_password=False))) as source:
            with pytest.raises(SourceError, match="permission denied for table xcom") as caught:
                list(source.rows(Selection()))
            assert "SELECT on dag, dag_run" in str(caught.value.hint)
            airflow.execute(f"GRANT SELECT, DELETE ON xcom TO {role}")
            (row,) = source.rows(Selection())
            with source.snapshot() as snapshot:
                assert sum(batch.num_rows for batch in snapshot.batches()) == 1
            with pytest.raises(SourceError, match="permission denied"):
                source.delete_rows([_target(row)])
            airflow.execute(f"GRANT UPDATE ON xcom, dag_run TO {role}")
            assert source.delete_rows([_target(row)]) == ["deleted"]
    finally:
        airflow.execute(f"DROP OWNED BY {role}")
        airflow.execute(f"DROP ROLE {role}")


def test_a_database_that_cannot_be_written_keeps_its_rows(airflow: AirflowDatabase) -> None:
    """A replica, or a database that is set to read only, refuses; the hint names the primary."""
    airflow.add_xcom("etl", "run", "load", 1)
    name = make_url(airflow.url).database
    airflow.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with closing(DatabaseSource(airflow.url)) as source:
        (row,) = source.rows(Selection())
        with pytest.raises(SourceError, match="read-only transaction") as caught:
            source.delete_rows([_target(row)])
        assert caught.value.hint == "point --db at the primary, with a user that may delete"
        assert list(source.rows(Selection())) == [row]


def test_a_row_that_withstands_undoes_the_whole_call(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """All or nothing: a rule that keeps one row keeps them all, and is told."""
    for index in (1, 2):
        airflow.add_xcom("etl", "run", "load", index, map_index=index)
    airflow.execute("CREATE RULE keep AS ON DELETE TO xcom WHERE OLD.map_index = 1 DO INSTEAD NOTHING")
    rows = list(source.rows(Selection()))
    with pytest.raises(SourceError, match="let go of 1 rows instead of 2; nothing was deleted"):
        source.delete_rows([_target(row) for row in rows])
    assert list(source.rows(Selection())) == rows


def test_a_lock_of_another_session_is_not_waited_for_for_ever(
    airflow: AirflowDatabase, source: DatabaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that Airflow is changing right now stops the deletion; nothing is deleted."""
    from xcomctl.airflow import connections

    monkeypatch.setattr(connections, "_LOCK_SECONDS", 1)
    airflow.add_xcom("etl", "run", "load", 1)
    (row,) = source.rows(Selection())
    with airflow.connection() as connection:
        connection.exec_driver_sql("UPDATE dag_run SET state = 'queued'")
        with pytest.raises(SourceError, match="lock timeout") as caught:
            source.delete_rows([_target(row)])
    assert caught.value.hint == "another session holds a lock; run the command again, later if need be"
    assert source.delete_rows([_target(row)]) == ["run_active"]


def test_a_run_cannot_start_again_while_its_rows_are_deleted(
    airflow: AirflowDatabase, source: DatabaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at the run and the commit, nobody else can change the state of the run."""
    airflow.add_xcom("etl", "run", "load", 1)
    (row,) = source.rows(Selection())
    blocked: list[str] = []
    look = deletion.Deletion._of_table

    def look_while_airflow_clears(self: deletion.Deletion, *arguments: object) -> object:
        clear = "SET lock_timeout = '200ms'; UPDATE dag_run SET state = 'queued'"
        with pytest.raises(sa.exc.OperationalError) as caught, airflow.connection() as connection:
            connection.exec_driver_sql(clear)
        blocked.append(type(caught.value.orig).__name__)
        return look(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(deletion.Deletion, "_of_table", look_while_airflow_clears)
    assert (source.delete_rows([_target(row)]), blocked) == (["deleted"], ["LockNotAvailable"])


def test_task_processes_of_airflow_3_have_no_database(tmp_path: Path) -> None:
    """The URL that Airflow 3 shows to its tasks is explained."""
    with pytest.raises(UsageError, match="airflow-db-not-allowed") as caught:
        DatabaseSource("airflow-db-not-allowed:///")
    assert caught.value.hint == "give the URL of the metadata database with --db or XCOMCTL_DB"
