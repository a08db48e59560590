"""The built distributions, once a session."""

from __future__ import annotations

import pytest

from tests.packaging.distributions import BACKEND, TOOL, Built, build


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The tool's distributions."""
    return build(TOOL.project, tmp_path_factory.mktemp("tool") / "dist")


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The backend's distributions."""
    return build(BACKEND.project, tmp_path_factory.mktemp("backend") / "dist")
