"""The examples name what exists."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from xcomctl_backend._settings import OPTIONS, SECTION, load

EXAMPLES = Path(__file__).parents[2] / "examples"
COMPOSE = EXAMPLES / "docker-compose.yaml"


@pytest.fixture
def compose() -> Any:
    """The compose file, parsed."""
    return yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))


def test_compose_sets_what_the_backend_reads(compose: Any) -> None:
    """Every variable of the backend in the compose file is a setting that exists, and all together are accepted."""
    prefix = f"AIRFLOW__{SECTION.upper()}__"
    for service in compose["services"].values():
        variables = service.get("environment", {})
        options = {
            name[len(prefix) :].lower(): value.replace("${XCOM_BUCKET:?name a bucket}", "my-bucket")
            for name, value in variables.items()
            if name.startswith(prefix)
        }
        assert set(options) <= set(OPTIONS)
        if service["image"].startswith("apache/airflow"):
            assert load(options.get).bucket == "my-bucket"
            assert variables["AIRFLOW__CORE__XCOM_BACKEND"] == "xcomctl_backend.S3XComBackend"


def test_compose_is_whole(compose: Any) -> None:
    """Services depend on services that are there, and volumes are named or are folders of the examples."""
    services = compose["services"]
    for service in services.values():
        assert set(service.get("depends_on", {})) <= set(services)
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in compose["volumes"] or (EXAMPLES / source).is_dir()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("dags/*.py")), ids=lambda path: path.stem)
def test_dags_run_on_python_3_8(path: Path) -> None:
    """The example DAGs parse as Python 3.8, which workers of older releases have."""
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
