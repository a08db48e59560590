"""What a metadata source says of the weight of its tables, on each engine and each generation."""

from __future__ import annotations

from tests.schemas.airflow_database import AirflowDatabase
from xcomctl.airflow import weights
from xcomctl.airflow.database import DatabaseSource


def test_the_tables_are_weighed(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Each live table and each archive has its rows and the bytes of table and indexes; a large value is in them."""
    for index in range(3):
        airflow.add_xcom("etl", "run", "load", "x" * 100_000, map_index=index)
    archive = "_airflow_deleted__xcom__20261101"
    airflow.execute(f"CREATE TABLE {archive} AS SELECT * FROM {airflow.table}")
    found = {weight.name: weight for weight in source.weights()}
    live = ["xcom_v2", "xcom_v1"] if airflow.shape == "airflow-3.4" else ["xcom"]
    assert list(found) == [*live, archive]
    assert [weight.archived for weight in found.values()] == [*(False for _ in live), True]
    assert [(found[name].rows, found[name].exact) for name in (airflow.table, archive)] == [(3, True)] * 2
    heavy = found[airflow.table]
    # PostgreSQL compresses what repeats; a table has a page at least.
    least = 8192 if airflow.engine == "postgresql" else 0 if airflow.engine == "mysql" else 300_000
    assert heavy.table_bytes is not None
    assert heavy.index_bytes is not None
    assert heavy.table_bytes >= least
    assert (heavy.index_bytes > 0, found[archive].index_bytes) == (True, 0)


def test_the_rows_of_a_large_table_are_the_servers_estimate(
    airflow: AirflowDatabase, source: DatabaseSource
) -> None:
    """Counting would read all of it, so the statistics are told, and that they are; SQLite has none."""
    for index in range(5):
        airflow.add_xcom("etl", "run", "load", index, map_index=index)
    if airflow.engine != "sqlite":
        airflow.execute(f"ANALYZE {'TABLE ' if airflow.engine == 'mysql' else ''}{airflow.table}")
    with source._connections.reading() as connection:
        found = weights.weights_of(connection, source._look_up(connection), counted=0)
    heavy = found[0]
    assert (heavy.name, heavy.rows, heavy.exact) == (airflow.table, 5, airflow.engine == "sqlite")


def test_a_partitioned_table_weighs_what_its_parts_do(postgres_database: str) -> None:
    """PostgreSQL keeps nothing in the table itself; names that need quotes are found."""
    archive = "_airflow_deleted__xcom__Old:1"
    with AirflowDatabase(postgres_database, "airflow-3") as airflow:
        with airflow.create().connection() as connection:
            for statement in (
                f'CREATE TABLE "{archive}" (value json, part integer) PARTITION BY LIST (part)',
                f'CREATE TABLE old_1 PARTITION OF "{archive}" FOR VALUES IN (1)',
                f"INSERT INTO \"{archive}\" SELECT '{{}}', 1 FROM generate_series(1, 3000)",
                f'CREATE INDEX ON "{archive}" (part)',
            ):
                connection.exec_driver_sql(statement)
        source = DatabaseSource(airflow.url)
        found = {weight.name: weight for weight in source.weights()}[archive]
        source.close()
    assert (found.rows, found.exact, found.archived) == (3000, True, True)
    assert found.table_bytes is not None
    assert found.table_bytes > 50_000
    assert found.index_bytes
