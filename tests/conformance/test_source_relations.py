"""Half a picture is no picture: views, policies and column grants that would show a part of the rows are errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy.engine import make_url

from tests.conformance.sources import airflow, source
from tests.conformance.test_source_places import reader
from tests.schemas.airflow_database import AirflowDatabase
from tests.services.mariadb import MariaDBServer
from tests.services.pgbouncer import running_pgbouncer
from xcomctl.airflow.database import DatabaseSource
from xcomctl.errors import SourceError

__all__ = ["airflow", "source"]


@pytest.fixture
def newest(postgres_database: str) -> Iterator[AirflowDatabase]:
    """A database of Airflow 3 on PostgreSQL."""
    with AirflowDatabase(postgres_database, "airflow-3") as database:
        yield database.create()


def scanned(source: DatabaseSource) -> list[tuple[str, str]]:
    """Table and DAG of every row."""
    with source.snapshot() as snapshot:
        return sorted(
            (row["source_table"], row["dag_id"]) for batch in snapshot.batches() for row in batch.to_pylist()
        )


def test_a_view_in_the_place_of_a_table_is_refused(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A view of one team's rows under the name of the table would make the objects of all others look orphaned."""
    airflow.add_xcom("own", "r1", "load", 1)
    airflow.add_xcom("other", "r1", "load", 1)
    table = airflow.legacy_table
    airflow.execute(f"ALTER TABLE {table} RENAME TO all_of_them")
    airflow.execute(f"CREATE VIEW {table} AS SELECT * FROM all_of_them WHERE dag_id = 'own'")
    with pytest.raises(SourceError, match=f"{table} is a view, not a table of Airflow's own") as told:
        scanned(source)
    assert "--db-schema" in str(told.value.hint)


@pytest.mark.parametrize("name", ["_xcom_archive", "_airflow_deleted__xcom__20261101", "dag_run"])
def test_a_view_in_the_place_of_an_archive_or_the_runs_is_refused(
    airflow: AirflowDatabase, source: DatabaseSource, name: str
) -> None:
    """What keeps objects, and what tells that runs are over, has to be whole, too."""
    table = airflow.legacy_table
    if name == "dag_run":
        airflow.execute("ALTER TABLE dag_run RENAME TO runs")
        airflow.execute("CREATE VIEW dag_run AS SELECT * FROM runs")
    else:
        airflow.execute(f"CREATE VIEW {name} AS SELECT * FROM {table} WHERE dag_id = 'own'")
    with pytest.raises(SourceError, match=f"{name} is a view"):
        scanned(source)


@pytest.mark.parametrize(
    "name", ["_airflow_moved__2_3__dangling__xcom", "_AIRFLOW_DELETED__XCOM__1", "_Xcom_Archive"]
)
def test_archives_of_any_release_are_read(
    airflow: AirflowDatabase, source: DatabaseSource, name: str
) -> None:
    """Upgrades moved rows aside under several names; where names lose their case they come in capitals."""
    airflow.add_xcom("etl", "r1", "load", 1)
    quote = "`" if airflow.engine == "mysql" else '"'
    airflow.execute(f"CREATE TABLE {quote}{name}{quote} AS SELECT * FROM {airflow.table}")
    stored = source.info().archive_tables
    assert [one.lower() for one in stored] == [name.lower()]
    assert [table for table, _ in scanned(source)] == sorted([*stored, airflow.table])


@pytest.mark.parametrize("adbc", [True, False])
@pytest.mark.parametrize("pooled", [False, pytest.param(True, marks=pytest.mark.pgbouncer)])
def test_no_snapshot_lets_a_policy_filter(
    newest: AirflowDatabase, monkeypatch: pytest.MonkeyPatch, adbc: bool, pooled: bool
) -> None:
    """Row-level security is an error by either driver, directly and through a pooler; for each snapshot anew."""
    newest.add_xcom("own", "r1", "load", 1)
    newest.add_xcom("other", "r1", "load", 1)
    if not adbc:
        monkeypatch.setattr("xcomctl.airflow.adbc._opened", lambda *_: None)
    newest.execute("ALTER TABLE xcom ENABLE ROW LEVEL SECURITY")
    newest.execute("CREATE POLICY own ON xcom USING (dag_id = 'own')")
    with reader(newest, "SELECT ON dag_run, task_instance") as url:
        if pooled:
            with running_pgbouncer(url, pool_mode="transaction", default_pool_size=2) as pooler:
                _is_refused_each_time(pooler.url)
        else:
            _is_refused_each_time(url)


def _is_refused_each_time(url: str) -> None:
    with closing(DatabaseSource(url)) as source:
        for _ in range(3):
            with pytest.raises(SourceError, match="row-level security policy") as told:
                scanned(source)
            assert "BYPASSRLS" in str(told.value.hint)


def test_a_grant_of_some_columns_is_an_error(newest: AirflowDatabase) -> None:
    """Who may read the coordinates of XComs but not their values sees no references: an error with the hint."""
    newest.add_xcom("etl", "r1", "load", 1)
    newest.execute("CREATE TABLE _xcom_archive AS SELECT * FROM xcom")
    grants = "SELECT ON dag_run, task_instance", "SELECT (dag_id, key) ON _xcom_archive"
    with (
        reader(newest, *grants) as url,
        closing(DatabaseSource(url)) as source,
        pytest.raises(SourceError, match="permission denied for table _xcom_archive") as told,
    ):
        scanned(source)
    assert "grant the user SELECT" in str(told.value.hint)


@pytest.mark.mariadb
def test_a_grant_of_some_columns_is_an_error_in_mysql(mariadb: MariaDBServer, mariadb_database: str) -> None:
    """MySQL hides columns that may not be read: an archive without its values is not taken for none."""
    with AirflowDatabase(mariadb_database, "airflow-3") as database:
        database.create().add_xcom("etl", "r1", "load", 1)
        database.execute("CREATE TABLE _xcom_archive AS SELECT * FROM xcom")
        name = make_url(mariadb_database).database
        database.execute("CREATE USER IF NOT EXISTS partly IDENTIFIED BY 'reads'")
        try:
            for table in ("xcom", "dag", "dag_run", "task_instance"):
                database.execute(f"GRANT SELECT ON {name}.{table} TO partly")
            database.execute(f"GRANT SELECT (dag_id, `key`) ON {name}._xcom_archive TO partly")
            url = make_url(mariadb_database).set(username="partly", password="reads")  # noqa: S106 - of this test
            with (
                closing(DatabaseSource(url.render_as_string(False))) as source,
                pytest.raises(SourceError, match="_xcom_archive has no value") as told,
            ):
                scanned(source)
            assert "GRANT SELECT" in str(told.value.hint)
        finally:
            database.execute("DROP USER partly")


def test_a_table_of_another_server_or_kind_is_refused(newest: AirflowDatabase) -> None:
    """A materialized view is of yesterday, and rows of another server are in no snapshot of this one."""
    newest.execute("CREATE MATERIALIZED VIEW _xcom_archive AS SELECT * FROM xcom")
    with closing(DatabaseSource(newest.url)) as source:
        with pytest.raises(SourceError, match="_xcom_archive is a materialized view"):
            scanned(source)
        newest.execute("DROP MATERIALIZED VIEW _xcom_archive")
        newest.execute("CREATE TABLE _xcom_archive (LIKE xcom) PARTITION BY LIST (dag_id)")
        newest.execute("CREATE TABLE part PARTITION OF _xcom_archive DEFAULT")
        newest.add_xcom("etl", "r1", "load", 1)
        newest.execute("INSERT INTO _xcom_archive SELECT * FROM xcom")
        assert scanned(source) == [("_xcom_archive", "etl"), ("xcom", "etl")]


def test_xcoms_in_two_schemas_of_the_search_path_are_refused(newest: AirflowDatabase) -> None:
    """Which one is found first hangs on who asks: a copy in a schema of the user's name must not stand for Airflow's."""
    newest.add_xcom("etl", "r1", "load", 1)
    newest.execute("CREATE SCHEMA copied")
    newest.execute("CREATE TABLE copied.xcom (LIKE public.xcom)")
    url = make_url(newest.url).update_query_dict({"options": "-csearch_path=copied,public"})
    with closing(DatabaseSource(url.render_as_string(False))) as source:
        with pytest.raises(
            SourceError, match="several schemas of the search path have XComs: copied, public"
        ) as told:
            scanned(source)
        assert told.value.hint == "say in which one Airflow's tables are: --db-schema public"
    with closing(DatabaseSource(url.render_as_string(False), "public")) as source:
        assert scanned(source) == [("xcom", "etl")]


def test_a_temporary_table_is_not_found(newest: AirflowDatabase) -> None:
    """A session that a pooler shares may have a temporary table of that name: it is in no schema that is looked into."""
    newest.add_xcom("etl", "r1", "load", 1)
    with closing(DatabaseSource(newest.url)) as source:
        reading = source._connections.reading
        with reading() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("CREATE TEMPORARY TABLE xcom (LIKE public.xcom)")
            assert source._look_up(connection).shape.schema == "public"
