"""A metadata database of every generation of Airflow on every engine, and the source on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.schemas.airflow_database import SHAPES, AirflowDatabase
from tests.services.sweeps import of_each, sweep
from xcomctl.airflow.database import DatabaseSource

_DATABASES = {"sqlite": None, "postgresql": "postgres_database", "mysql": "mariadb_database"}


@pytest.fixture(
    params=sweep(
        [
            pytest.param(
                (engine, shape),
                id=f"{engine}-{shape}",
                marks=[pytest.mark.mariadb] if engine == "mysql" else [],
            )
            for engine in _DATABASES
            for shape in SHAPES
        ],
        lambda pair: of_each(*pair),
    )
)
def airflow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AirflowDatabase]:
    """An empty metadata database of one generation on one engine."""
    engine, shape = request.param
    fixture = _DATABASES[engine]
    url = request.getfixturevalue(fixture) if fixture else f"sqlite:///{tmp_path / 'airflow.db'}"
    with AirflowDatabase(url, shape) as database:
        yield database.create()


@pytest.fixture
def source(airflow: AirflowDatabase) -> Iterator[DatabaseSource]:
    """A source on that database."""
    opened = DatabaseSource(airflow.url)
    yield opened
    opened.close()
