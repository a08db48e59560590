from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy.engine import make_url

from tests.docs.conftest import Shell
from tests.docs.console import REPOSITORY, Example, blocks
from tests.schemas.airflow_database import NEWEST, AirflowDatabase

# What Airflow 3.3 has beside the tables of XComs and runs that mentions objects, as far as it is looked through.
PLACES = {
    **dict.fromkeys(("asset", "asset_event", "connection"), "extra"),
    **dict.fromkeys(("hitl_detail", "hitl_detail_history"), "subject"),
    **dict.fromkeys(("task_state_store", "asset_state_store"), "value"),
    "backfill": "dag_run_conf",
    "callback": "output",
    "rendered_task_instance_fields": "rendered_fields",
    "serialized_dag": "data",
    "task_instance_history": "next_kwargs",
    "trigger": "kwargs",
    "variable": "val",
}

PAGE = REPOSITORY / "docs" / "configuration.md"


@pytest.fixture
def airflow(postgres_database: str) -> Iterator[AirflowDatabase]:
    """An old run with one XCom, a newer one, and the roles of the page's SQL blocks."""
    with AirflowDatabase(postgres_database, "airflow-3") as database:
        database.create()
        for number, age in enumerate((400, 1)):
            at = NEWEST - timedelta(days=age)
            database.add_xcom("etl", f"run{number}", "load", number, at=at)
        for table, column in PLACES.items():
            database.execute(
                f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, key TEXT, conn_id TEXT, {column} TEXT)"
            )
        statements = [part for _, lines in blocks(PAGE, "sql") for part in "\n".join(lines).split(";")]
        for statement in statements:
            if statement.strip():
                database.execute(statement)
        yield database
        for role in ("xcomctl_reader", "xcomctl_collector"):
            database.execute(f"DROP OWNED BY {role}")
            database.execute(f"DROP ROLE {role}")


def test_the_rights_of_the_page_are_enough_and_no_more(airflow: AirflowDatabase, shell: Shell) -> None:
    """The reader can list, check and weigh, and cannot delete; the collector can."""

    def exit_code(role: str, command: str) -> int:
        url = make_url(airflow.url).set(username=role, password="secret")  # noqa: S106 - that of the page
        text = f"env -u XCOMCTL_STORE xcomctl {command} --db '{url.render_as_string(hide_password=False)}'"
        return shell(Example("", text, 0, ())).exit_code

    collect = "gc --older-than 30d --yes"
    assert [exit_code("xcomctl_reader", command) for command in ("ls", "fsck", "du", collect)] == [0, 0, 0, 6]
    assert [exit_code("xcomctl_collector", command) for command in ("ls", "fsck", collect)] == [0, 0, 0]
    assert airflow.scalar("SELECT count(*) FROM xcom") == 1
