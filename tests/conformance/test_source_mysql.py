"""What is peculiar to MySQL and MariaDB as a metadata database: TLS, collations, sessions that end, tables that change."""

from __future__ import annotations

import gc
import socket
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from tests.schemas.airflow_database import AirflowDatabase
from tests.services.sweeps import sweep
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import RowTarget, Selection
from xcomctl.errors import SourceError, UsageError
from xcomctl.models import digest_of

pytestmark = pytest.mark.mariadb


@pytest.fixture
def airflow(mariadb_database: str) -> Iterator[AirflowDatabase]:
    """An empty database of Airflow 3.3."""
    with AirflowDatabase(mariadb_database, "airflow-3") as database:
        yield database.create()


@pytest.fixture
def source(airflow: AirflowDatabase) -> Iterator[DatabaseSource]:
    """A source on that database."""
    opened = DatabaseSource(airflow.url)
    yield opened
    opened.close()


def _fill(airflow: AirflowDatabase, rows: int) -> None:
    """Rows of one task, one run, each of a kilobyte."""
    airflow.add_run("etl", "run")
    airflow.add_task("etl", "run", "load")
    airflow.execute(
        "INSERT INTO xcom (dag_run_id, dag_id, run_id, task_id, map_index, `key`, value) "
        "SELECT 1, 'etl', 'run', 'load', -1, concat('k', seq), json_quote(repeat('x', 1000)) "
        f"FROM seq_1_to_{rows}"
    )


def test_a_connection_that_is_cut_is_an_error_and_not_a_short_result(
    airflow: AirflowDatabase, source: DatabaseSource, capfd: pytest.CaptureFixture[str]
) -> None:
    """When the server ends the session in the middle of a scan, the scan fails in one line; nothing is printed."""
    # More than the buffers on the way hold, or the answer would be here before the session is cut.
    _fill(airflow, 60_000)
    seen = 0
    with pytest.raises(SourceError) as caught, source.snapshot() as snapshot:  # noqa: PT012 - it fails after a while
        for batch in snapshot.batches():
            if not seen:
                session = "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
                with airflow.connection() as connection:
                    for (number,) in connection.execute(sa.text(session)).fetchall():
                        connection.exec_driver_sql(f"KILL {number}")
            seen += batch.num_rows
    assert 0 < seen < 60_000
    assert caught.value.hint == "nothing was taken from the incomplete answer; run the command again"
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("", "")
    # What PyMySQL lets go of later is let go of quietly, or pytest fails.
    gc.collect()


def test_a_table_that_changes_under_a_snapshot_is_an_error(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """Tables are not versioned as rows are: a table that was rebuilt since the view was taken cannot be read in it."""
    airflow.add_xcom("etl", "run", "load", 1)
    airflow.execute("CREATE TABLE _xcom_archive AS SELECT * FROM xcom")
    with pytest.raises(SourceError) as caught, source.snapshot() as snapshot:  # noqa: PT012 - it is the second half
        airflow.execute("ALTER TABLE _xcom_archive ADD COLUMN more INTEGER, FORCE")
        list(snapshot.batches())
    assert "the tables were changed meanwhile" in str(caught.value.hint)


def test_names_that_a_collation_takes_for_equal_are_told_apart(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """Where somebody changed the collation of a column, a selection still tells case apart."""
    airflow.add_xcom("etl", "run", "load", 1)
    airflow.execute("ALTER TABLE xcom DROP FOREIGN KEY xcom_task_instance_fkey")
    airflow.execute("ALTER TABLE xcom MODIFY dag_id VARCHAR(250) COLLATE utf8mb4_general_ci NOT NULL")
    assert list(source.rows(Selection(dag="ETL"), limit=1)) == []
    assert len(list(source.rows(Selection(dag="etl"), limit=1))) == 1


@pytest.mark.parametrize(
    "form",
    sweep(
        ["mysql", "mysql+mysqldb", "mysql+mysqlconnector", "mariadb", "mariadb+pymysql", "mysql+aiomysql"],
        lambda form: form in ("mysql+mysqldb", "mariadb"),
    ),
)
def test_every_form_of_the_url_connects(airflow: AirflowDatabase, form: str) -> None:
    """Airflow's other drivers are not needed, and their parameters are understood."""
    url = airflow.url.replace("mysql+pymysql", form) + "?charset=utf8mb4&ssl_mode=PREFERRED&use_unicode=1"
    with closing(DatabaseSource(url)) as source:
        assert source.info().engine == "mysql"


def test_failures_to_connect_are_told_in_one_line(airflow: AirflowDatabase) -> None:
    """Each cause of failure has its own line and hint, and none shows a password."""
    url = make_url(airflow.url)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        wrong = {
            "Access denied for user 'airflow'": (
                url.set(password="wrong-one"),  # noqa: S106 - a wrong one
                "check user and password in --db",
            ),
            "Unknown database 'nothing'": (url.set(database="nothing"), "check the database name in --db"),
            "Can't connect": (url.set(port=unused.getsockname()[1]), "check host and port of --db, "),
        }
        for cause, (bad, hint) in wrong.items():
            opened = closing(DatabaseSource(bad.render_as_string(hide_password=False)))
            with opened as source, pytest.raises(SourceError, match=cause) as caught:
                source.info()
            assert str(caught.value.hint).startswith(hint)
            assert str(bad.password) not in str(caught.value)


def test_a_server_that_is_read_only_keeps_its_rows(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A replica says so, and refuses to delete; the hint names the primary."""
    airflow.add_xcom("etl", "run", "load", 1)
    user = f"u{make_url(airflow.url).database}"
    airflow.execute(f"CREATE USER {user}@'%' IDENTIFIED BY 'plain'")
    airflow.execute(f"GRANT SELECT, UPDATE, DELETE ON {make_url(airflow.url).database}.* TO {user}@'%'")
    airflow.execute("SET GLOBAL read_only = 1")
    url = make_url(airflow.url).set(username=user, password="plain")  # noqa: S106 - of this test alone
    try:
        with closing(DatabaseSource(url.render_as_string(hide_password=False))) as replica:
            with replica.snapshot() as snapshot:
                assert snapshot.is_replica is True
            (row,) = replica.rows(Selection())
            with pytest.raises(SourceError, match="read-only") as caught:
                replica.delete_rows([RowTarget(row.table, row.row_key, row.written_at, digest_of(row.raw))])
            assert caught.value.hint == "point --db at the primary, with a user that may delete"
            assert list(replica.rows(Selection())) == [row]
    finally:
        airflow.execute("SET GLOBAL read_only = 0")
        airflow.execute(f"DROP USER {user}@'%'")


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyMySQL is an extra; the error says how to get it."""
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with closing(DatabaseSource("mysql://airflow@db/airflow")) as source, pytest.raises(UsageError) as caught:
        source.info()
    assert caught.value.hint == "pip install 'xcomctl[mysql]'"
