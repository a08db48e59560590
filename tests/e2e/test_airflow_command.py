"""`airflow xcom`: xcomctl within Airflow's own command line."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backend.airflow_environments import RELEASES, AirflowEnvironment, find_uv, install
from tests.docs.console import REPOSITORY

pytestmark = pytest.mark.airflow

AT_START = """
import sys
import airflow.__main__
from airflow.cli import cli_parser
cli_parser.get_parser()
print(*sorted(name for name in sys.modules if name.partition(".")[0] in ("xcomctl", "duckdb", "typer")))
"""
"""What `airflow` does before it knows what is asked of it; what of ours that imports."""


def beside(version: str, environments: Path, folder: Path) -> AirflowEnvironment:
    """An installation of that release, with xcomctl beside it on its path; Airflow's packages stay as they are."""
    release = next(release for release in RELEASES if release.version == version)
    airflow = install(release, environments)
    here = ("--python", str(airflow / "bin" / "python"))
    there = _uv("freeze", *here).splitlines()
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(line for line in there if " @ " not in line), encoding="utf-8")
    site = folder / "site"
    _uv("install", *here, "--constraints", str(constraints), "--target", str(site), str(REPOSITORY))
    home = folder / "home"
    home.mkdir()
    made = AirflowEnvironment(release, airflow, home, {})
    path = os.pathsep.join([str(site), made.environment()["PYTHONPATH"]])
    return replace(made, settings={"PYTHONPATH": path})


def _uv(command: str, *arguments: str) -> str:
    done = subprocess.run(
        [find_uv(), "pip", command, "--quiet", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _xcom(here: AirflowEnvironment, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(here.folder / "bin" / "airflow"), "xcom", *words],
        cwd=here.home,
        env={**here.environment(), **settings},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_airflow_has_the_commands(airflow_environments: Path, tmp_path: Path) -> None:
    """`airflow xcom` is xcomctl on Airflow's own database, with its exit codes; starting Airflow imports none of it."""
    here = beside("3.3.2", airflow_environments, tmp_path)
    assert here.python(AT_START).splitlines()[-1].split() == ["xcomctl", "xcomctl.airflow_provider"]
    assert "a command of xcomctl with its options" in here.airflow("xcom", "--help")
    here.migrate()
    assert here.airflow("xcom", "ls", "-o", "json").splitlines()[-1] == "[]"
    found = here.airflow("xcom", "doctor", "-o", "json")
    checks = {check["check"]: check["status"] for check in json.loads(found[found.index("{") :])["checks"]}
    assert (checks["database.shape"], checks["roots.given"]) == ("ok", "ok")
    assert "total: 0 B in 0 rows and 0 objects" in here.airflow("xcom", "du")
    wrong = _xcom(here, "ls", "--limits", "5")
    assert (wrong.returncode, wrong.stderr.splitlines()[-1]) == (2, "hint: airflow xcom ls --help")
    nobody = ("--store", "s3://bucket/xcom", "--endpoint-url", "http://127.0.0.1:1")
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    away = _xcom(here, "fsck", *nobody, "-o", "json", **keys)
    # What boto3 says of the credentials is not printed between our JSON.
    assert (away.returncode, away.stdout) == (7, "")


def test_an_airflow_that_lacks_them_is_not_disturbed(airflow_environments: Path, tmp_path: Path) -> None:
    """Airflow 2.11 lists the provider, and is otherwise as it was."""
    here = beside("2.11.2", airflow_environments, tmp_path)
    assert "xcomctl" in here.airflow("providers", "list", "-o", "plain")
    assert "xcom " not in here.airflow("--help")
