from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from tests.services.worlds import World
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import Selection


@pytest.mark.parametrize(
    "name", ["2.5.0-default-sqlite", "3.4.0b2-commonio-sqlite", "migrated-2.11.2-to-3.3.2-pg"]
)
def test_names_in_a_run_are_those_of_its_rows(name: str, world: Callable[..., World]) -> None:
    """Task, map index and key are told for each XCom of a run, once whatever its attempts, up to a limit."""
    with closing(DatabaseSource(world(name, store=False).db_url)) as source:
        expected: dict[tuple[str, str], set[tuple[str, int, str]]] = {}
        for row in source.rows(Selection(all_attempts=True)):
            index = -1 if row.map_index is None else row.map_index
            expected.setdefault((str(row.dag_id), str(row.run_id)), set()).add(
                (str(row.task_id), index, row.key)
            )
        assert len(expected) > 1
        for (dag_id, run_id), names in expected.items():
            assert source.names_in_run(dag_id, run_id) == sorted(names)
            assert len(source.names_in_run(dag_id, run_id, limit=1)) == 1
        assert source.names_in_run("nothing", "there") == []
