"""Real releases of Airflow, each in an environment of its own that `uv` makes, with the backend installed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from xcomctl.demo.server import SeaweedFS

BACKEND = Path(__file__).parents[2] / "backend"
DAGS = Path(__file__).parent / "dags"
_PYTHONS = ">=3.10,<3.13"
"""What all the releases below run on."""


@dataclass(frozen=True)
class Release:
    """A release of Airflow, with what PyPI had when it was current, so that no constraints file is needed."""

    version: str
    until: str
    """Packages uploaded later than this date are not considered."""
    packages: tuple[str, ...] = ()

    @property
    def generation(self) -> int:
        """2 or 3."""
        return int(self.version.partition(".")[0])


_POSTGRES = "apache-airflow-providers-postgres"

RELEASES = (
    # Before purge, and before Airflow's own serialisation.
    Release("2.5.0", "2022-12-20", ("pandas", "pyarrow")),
    # With the Amazon provider here, and without it elsewhere: both ways to an Airflow connection.
    Release(
        "2.11.2",
        "2026-03-25",
        ("apache-airflow-providers-amazon", _POSTGRES, "pandas<3", "pyarrow", "polars"),
    ),
    Release("3.0.6", "2025-09-15", ("pandas", "pyarrow")),
    Release("3.3.2", "2026-09-25", (_POSTGRES, "asyncpg", "pandas", "pyarrow", "polars")),
    # With store_value and load_value, and loops.
    Release("3.4.0b2", "2026-11-20", ("pandas", "pyarrow")),
)


@dataclass(frozen=True)
class AirflowEnvironment:
    """One installed release, with a home of its own on SQLite. `settings` are variables for every command."""

    release: Release
    folder: Path
    home: Path
    settings: Mapping[str, str]

    @property
    def database(self) -> Path:
        """The SQLite file of the metadata database."""
        return self.home / "airflow.db"

    def migrate(self) -> None:
        """Make the tables of the metadata database."""
        self.airflow("db", "init" if self.release.version.startswith("2.5.") else "migrate")

    def airflow(self, *arguments: str, timeout: float = 600) -> str:
        """Run an `airflow` command; its output. Fails the test, with the end of the output, if it fails."""
        return self._run([str(self.folder / "bin" / "airflow"), *arguments], {}, timeout)

    def python(self, program: Path | str, *, timeout: float = 300, **settings: str) -> str:
        """Run a program file, or the text of one; what it prints on stdout."""
        source = [str(program)] if isinstance(program, Path) else ["-c", program]
        return self._run([str(self.folder / "bin" / "python"), *source], settings, timeout)

    def _run(self, command: list[str], settings: Mapping[str, str], timeout: float) -> str:
        done = subprocess.run(
            command,
            cwd=self.home,
            env={**self.environment(), **settings},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            pytest.fail(
                f"{' '.join(command)[:200]}: exit {done.returncode}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"
            )
        return done.stdout

    def environment(self) -> dict[str, str]:
        """The variables of every process of this installation; of the person who runs the tests only what is harmless."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR", "TZ") if name in os.environ}
        return {
            **kept,
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # Globs, which are what they mean as the regular expressions of the older releases too.
            "AIRFLOW__CORE__ALLOWED_DESERIALIZATION_CLASSES": "airflow.* backend_samples.*",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.database}",
            "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor"
            if self.release.generation == 2
            else "LocalExecutor",
            # Not every release puts the folder of the DAGs there in `dags test`.
            "PYTHONPATH": str(DAGS),
            "PYTHONDONTWRITEBYTECODE": "1",
            # No credentials and no files of the person who runs the tests may matter.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            **self.settings,
        }


@contextmanager
def environments(kept: str | None) -> Iterator[Path]:
    """The folder of environments: `kept` if it is given, else one that is gone at the end."""
    if kept:
        yield Path(kept).resolve()
        return
    with tempfile.TemporaryDirectory(prefix="airflow-") as folder:
        yield Path(folder)


def connection_to(server: SeaweedFS) -> str:
    """The JSON of an Airflow connection to `server`."""
    extra = {"endpoint_url": server.endpoint_url, "region_name": server.region}
    return json.dumps(
        {"conn_type": "aws", "login": server.access_key, "password": server.secret_key, "extra": extra}
    )


def install(release: Release, base: Path) -> Path:
    """The environment with `release` and the backend under `base`, made where it is not there yet.

    Skips the test, with the reason, where uv, a fitting Python or the package registry is missing.
    """
    base.mkdir(parents=True, exist_ok=True)
    folder = base / f"airflow-{release.version}"
    # One worker makes it, the others wait.
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _install(release, folder)
    return folder


def _install(release: Release, folder: Path) -> None:
    uv = find_uv()
    ready = folder / "ready.json"
    wanted = {"until": release.until, "packages": [f"apache-airflow=={release.version}", *release.packages]}
    if not (ready.exists() and json.loads(ready.read_text()) == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        _or_skip([uv, "venv", "--quiet", "--no-python-downloads", "--python", _python(), str(folder)])
        until = ["--exclude-newer", release.until]
        prerelease = ["--prerelease=allow"] if "b" in release.version else []
        _or_skip(
            [
                *(uv, "pip", "install", "--quiet", *_into(folder), *until, *prerelease),
                *(*wanted["packages"], "boto3", "psycopg2-binary"),
            ]
        )
        ready.write_text(json.dumps(wanted))
    # The backend is what is tested, so each run of the tests installs it anew; a failure here is one of ours.
    installed, run = folder / "backend-of-run", os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))
    if installed.exists() and installed.read_text() == run:
        return
    subprocess.run(
        [uv, "pip", "install", "--quiet", *_into(folder), "--no-deps", "--reinstall", str(BACKEND)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    installed.write_text(run)


def _into(folder: Path) -> list[str]:
    return ["--python", str(folder / "bin" / "python")]


def find_uv() -> str:
    """The program uv. Skips the test where it is missing."""
    beside = Path(sys.executable).parent / "uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        pytest.skip("needs uv to install Airflow: pip install uv")
    return found


def _python() -> str:
    return sys.executable if (3, 10) <= sys.version_info[:2] <= (3, 12) else _PYTHONS


def _or_skip(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[-300:]
        pytest.skip(f"could not make an environment with Airflow: {reason}")
