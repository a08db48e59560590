"""The source on databases that real Airflow releases wrote."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from tests.services.sweeps import sweep
from tests.services.worlds import World
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import Selection

# Shape, rows of the live tables, rows of the archives. Counted with SQL when the worlds were made.
_WORLDS = {
    "2.5.0-default-sqlite": ("airflow-2", 45, 0),
    "2.5.0-naive-sqlite": ("airflow-2", 60, 0),
    "2.5.0-pickle-sqlite": ("airflow-2", 26, 0),
    "2.11.2-commonio-gz-sqlite": ("airflow-2", 26, 0),
    "2.11.2-commonio-pg": ("airflow-2", 60, 0),
    "2.11.2-commonio-pg-after-scenarios": ("airflow-2", 45, 57),
    "2.11.2-default-sqlite": ("airflow-2", 54, 0),
    "2.11.2-naive-sqlite": ("airflow-2", 54, 0),
    "3.0.6-commonio-sqlite": ("airflow-3", 56, 0),
    "3.3.2-commonio-pg": ("airflow-3", 64, 0),
    "3.3.2-commonio-sqlite": ("airflow-3", 64, 0),
    "3.3.2-default-pg": ("airflow-3", 64, 0),
    "3.4.0b2-commonio-sqlite": ("airflow-3.4", 66, 0),
    "migrated-2.11.2-to-3.3.2-pg": ("airflow-3", 43, 59),
}


@pytest.mark.parametrize(
    "name",
    sweep(
        _WORLDS,
        lambda name: (
            name in ("2.5.0-pickle-sqlite", "migrated-2.11.2-to-3.3.2-pg", "3.4.0b2-commonio-sqlite")
        ),
    ),
)
def test_every_row_of_a_world_is_read(world: Callable[..., World], name: str) -> None:
    """The shape is recognised, every row is scanned and listed once, and is found by its short id."""
    shape, live, archived = _WORLDS[name]
    with closing(DatabaseSource(world(name, store=False).db_url)) as source:
        assert source.info().shape == shape
        with source.snapshot() as snapshot:
            records = [record for batch in snapshot.batches() for record in batch.to_pylist()]
            dags = snapshot.dag_ids()
        rows = list(source.rows(Selection(all_attempts=True)))
        assert [source.row_by_short_id(row.short_id) for row in rows[:10]] == rows[:10]
        assert source.run_ids("xt_types")
    assert sum(not record["archived"] for record in records) == live
    assert sum(record["archived"] for record in records) == archived
    assert {(row.table, row.row_key) for row in rows} == {
        (record["source_table"], record["row_key"]) for record in records if not record["archived"]
    }
    assert {row.dag_id for row in rows} <= dags
    assert all(row.run_at is not None and row.written_at is not None and row.raw for row in rows)
