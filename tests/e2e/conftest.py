"""What the tests on real releases of Airflow share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.backend.airflow_environments import environments


@pytest.fixture(scope="session")
def airflow_environments() -> Iterator[Path]:
    """The folder of the environments: kept if XCOMCTL_AIRFLOW_ENVS names one, else made for this session."""
    with environments(os.environ.get("XCOMCTL_AIRFLOW_ENVS")) as folder:
        yield folder
