from __future__ import annotations

import os
import sys
from pathlib import Path

import coverage
import pytest

from tests.packaging.distributions import BACKEND, TOOL, Built, Distribution, build, run, unpack_sdist
from xcomctl import __version__


@pytest.fixture(params=[TOOL, BACKEND], ids=lambda distribution: distribution.name)
def distribution(request: pytest.FixtureRequest) -> Distribution:
    """Each of the two projects."""
    found: Distribution = request.param
    return found


@pytest.fixture
def built(request: pytest.FixtureRequest, distribution: Distribution) -> Built:
    """What was built of it."""
    found: Built = request.getfixturevalue("tool" if distribution is TOOL else "backend")
    return found


def test_the_wheel_holds_the_package_and_nothing_else(distribution: Distribution, built: Built) -> None:
    """Every file of the package is in it, the SQL files and the marker of typed packages too; no test, no other folder."""
    inside = {path for path in built.wheel_files() if ".dist-info/" not in path}
    assert inside == distribution.package_files()
    assert f"{distribution.package.name}/py.typed" in inside


def test_the_sql_files_are_data_of_the_tool(tool: Built) -> None:
    """What the tool reads at run time with importlib.resources is in the wheel."""
    inside = tool.wheel_files()
    expected = {
        "xcomctl/demo/airflow33.sql",
        "xcomctl/inventory/sql/schema.sql",
        "xcomctl/inventory/sql/states.sql",
    }
    assert sorted(expected - inside.keys()) == []


def test_the_metadata_is_that_of_a_release(distribution: Distribution, built: Built) -> None:
    """One version for both, the oldest Python, the licence with its text, a description that a page can show."""
    metadata = built.metadata()
    found = {name: metadata[name] for name in ("Name", "Version", "License-Expression", "Requires-Python")}
    assert found == {
        "Name": distribution.name,
        "Version": __version__,
        "License-Expression": "Apache-2.0",
        "Requires-Python": ">=3.10" if distribution is TOOL else ">=3.8",
    }
    assert metadata["Description-Content-Type"] == "text/markdown"
    licence = built.wheel_files()[f"{built.wheel.name.split('-py3')[0]}.dist-info/licenses/LICENSE"]
    assert licence == (distribution.project / "LICENSE").read_bytes()


def test_neither_distribution_needs_airflow_or_the_other(built: Built) -> None:
    """The two are apart, and Airflow is there or not."""
    required = [requirement.lower() for requirement in built.metadata().get_all("Requires-Dist", [])]
    assert [one for one in required if one.startswith(("apache-airflow", "xcomctl"))] == []


def test_the_two_can_share_an_environment(tool: Built, backend: Built) -> None:
    """No file of one wheel is in the other."""
    assert set(tool.wheel_files()) & set(backend.wheel_files()) == set()


def test_a_wheel_of_the_source_distribution_is_the_same(built: Built, tmp_path: Path) -> None:
    """The source distribution has all that a build needs, and what it builds is what the repository builds."""
    again = build(unpack_sdist(built.sdist, tmp_path), tmp_path / "dist")
    assert again.wheel_files() == built.wheel_files()


def test_a_copy_of_the_package_is_not_measured(tmp_path: Path) -> None:
    """Coverage counts the package of the repository, whatever stands where a process starts."""
    (tmp_path / "xcomctl").mkdir()
    (tmp_path / "xcomctl" / "copied.py").write_text("COPIED = True\n")
    measured = {
        "COVERAGE_PROCESS_START": str(TOOL.project / "pyproject.toml"),
        "COVERAGE_FILE": str(tmp_path / "data"),
    }
    path = os.pathsep.join([str(TOOL.project), *sys.path])
    program = "import sys; sys.path.pop(0); import xcomctl.units; print(xcomctl.units.__file__)"
    told = run(
        [sys.executable, "-c", program], cwd=tmp_path, env={**os.environ, "PYTHONPATH": path, **measured}
    )
    [data] = tmp_path.glob("data.*")
    found = coverage.CoverageData(str(data))
    found.read()
    assert Path(told.strip()) == TOOL.project / "xcomctl" / "units.py"
    assert {Path(name).is_relative_to(TOOL.project) for name in found.measured_files()} == {True}
