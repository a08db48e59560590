"""What a metadata source tells of its server, of the rights of its user and of its upkeep, on each engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url

from tests.schemas.airflow_database import NEWEST, AirflowDatabase
from xcomctl.airflow import condition
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import PRIVILEGES, SourceRights

SERVERS = {"postgresql": "PostgreSQL ", "mysql": "MariaDB ", "sqlite": "SQLite "}


def test_a_server_tells_what_it_is(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Product, version and clock, also of a database without a table of Airflow; its owner lacks no right."""
    airflow.add_run("etl", "old", at=NEWEST - timedelta(days=40))
    airflow.add_xcom("etl", "new", "load", 1)
    found = source.condition()
    assert found.server.startswith(SERVERS[airflow.engine])
    assert found.server[-1].isdigit()
    assert (found.label, found.is_replica) == (source.info().label, False)
    assert abs(found.clock_at - source.condition().clock_at) < timedelta(hours=1)
    assert source.rights() == SourceRights({})
    upkeep = source.upkeep()
    assert upkeep.oldest_run_at == NEWEST - timedelta(days=40)
    assert upkeep.without_dag_index == ()
    if airflow.engine != "mysql":
        # There the foreign key holds on to it.
        airflow.execute("DROP INDEX idx_xcom_task_instance")
        assert source.upkeep().without_dag_index == (airflow.legacy_table,)


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[AirflowDatabase]:
    """A database of a server that knows users."""
    with AirflowDatabase(request.getfixturevalue(request.param), "airflow-3") as database:
        yield database.create()


@pytest.mark.parametrize(
    "served",
    ["postgres_database", pytest.param("mariadb_database", marks=pytest.mark.mariadb)],
    indirect=True,
)
def test_rights_are_told_without_using_them(served: AirflowDatabase) -> None:
    """A user who may only read lacks the other rights, and one who may not read a table is told which."""
    postgresql = served.engine == "postgresql"
    quoted = "reader" if postgresql else "reader@'%'"
    served.execute(f"CREATE USER {quoted} {'PASSWORD' if postgresql else 'IDENTIFIED BY'} 'secret'")
    try:
        served.execute(f"GRANT SELECT ON dag_run TO {quoted}")
        served.execute(f"GRANT SELECT, DELETE, UPDATE ON xcom TO {quoted}")
        url = make_url(served.url).set(username="reader", password="secret")  # noqa: S106 - made here
        with closing(DatabaseSource(url.render_as_string(hide_password=False))) as source:
            if postgresql:
                # MySQL does not even show such a table.
                assert source.rights().lacking["SELECT"] == ("dag", "task_instance")
            for table in ("dag", "task_instance"):
                served.execute(f"GRANT SELECT ON {table} TO {quoted}")
            assert source.rights() == SourceRights({"INSERT": ("xcom",), "UPDATE": ("dag_run",)})
            served.execute(f"GRANT INSERT ON xcom TO {quoted}")
            served.execute(f"GRANT UPDATE ON dag_run TO {quoted}")
            assert source.rights() == SourceRights({})
    finally:
        if postgresql:
            served.execute("DROP OWNED BY reader")
        served.execute(f"DROP USER {quoted}")


@pytest.mark.parametrize(
    ("grants", "expected"),
    [
        (["GRANT ALL PRIVILEGES ON *.* TO `a`@`%`"], SourceRights({})),
        (
            ["GRANT USAGE ON *.* TO `a`@`%`", "GRANT ALL PRIVILEGES ON `air\\_flow`.* TO `a`@`%`"],
            SourceRights({}),
        ),
        (["GRANT SELECT (a, b), DELETE, UPDATE, INSERT, SELECT ON `air%`.* TO `a`@`%`"], SourceRights({})),
        (
            ["GRANT SELECT ON `air_flow`.`xcom` TO `a`@`%`"],
            SourceRights({"DELETE": ("xcom",), "INSERT": ("xcom",), "UPDATE": ("xcom",)}),
        ),
        (
            ["GRANT ALL PRIVILEGES ON `other`.* TO `a`@`%`"],
            SourceRights(dict.fromkeys(sorted(PRIVILEGES), ("xcom",))),
        ),
        (
            ["GRANT `readers`@`%` TO `a`@`%`", "GRANT USAGE ON *.* TO `a`@`%`"],
            SourceRights(dict.fromkeys(sorted(PRIVILEGES), ("xcom",)), certain=False),
        ),
    ],
    ids=["everywhere", "in a database", "in databases", "on a table", "elsewhere", "by a role"],
)
def test_grants_of_mysql_are_read(grants: list[str], expected: SourceRights) -> None:
    """Grants on servers, databases, patterns and tables count; where there is a role, what is missing is not certain."""
    assert condition._lacking_in_mysql(grants, {"xcom": PRIVILEGES}, "air_flow") == expected
