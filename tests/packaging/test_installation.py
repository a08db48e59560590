from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.packaging.distributions import BACKEND, TOOL, Built, Environment, find_python
from tests.services.worlds import unpack
from xcomctl import __version__

pytestmark = pytest.mark.packaging

PUSH_AND_PULL = """
import os, sys
from xcomctl_backend._exchange import Exchange
from xcomctl_backend._reference import Coordinates
from xcomctl_backend._s3 import S3Objects, default_client
from xcomctl_backend._settings import Settings

value = {"rows": list(range(1000))}
objects = S3Objects(lambda: default_client(endpoint_url=os.environ["AWS_ENDPOINT_URL"], region=None))
exchange = Exchange(Settings(sys.argv[1], "prefix"), objects)
reference = exchange.push(value, Coordinates("dag", "run", "task", -1, "key"))
print(reference.uri, exchange.pull(reference.to_json()) == value)
objects.close()
"""
"""Takes a bucket; prints the URI of the object and whether what came back is what was stored."""


@pytest.fixture(scope="module")
def installed_tool(tool: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The tool's wheel in an empty environment, of the oldest supported Python where there is one, else of this."""
    interpreter = find_python("3.10") or Path(sys.executable)
    environment = Environment.create(interpreter, tmp_path_factory.mktemp("environment") / "venv")
    environment.install(str(tool.wheel))
    return environment


@pytest.fixture(scope="module")
def installed_backend(backend: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The backend's wheel in an empty environment of the oldest supported Python. Skips the test where there is none."""
    interpreter = find_python("3.8")
    if interpreter is None:
        pytest.skip("needs a Python 3.8, on PATH or of pyenv")
    environment = Environment.create(interpreter, tmp_path_factory.mktemp("environment") / "venv")
    environment.install(str(backend.wheel))
    return environment


def test_the_command_is_installed(installed_tool: Environment) -> None:
    """`xcomctl --version` runs, from the wheel and not from here."""
    assert installed_tool.run("xcomctl", "--version") == f"xcomctl {__version__}\n"
    location = installed_tool.python("-c", "import xcomctl; print(xcomctl.__file__)")
    assert location.startswith(f"{installed_tool.folder}/lib/")


def test_the_installed_tool_lists_and_shows(installed_tool: Environment, tmp_path: Path) -> None:
    """What a database of Airflow holds is listed and shown by the tool with no more than it depends on."""
    database = f"sqlite:///{unpack('2.5.0-default-sqlite', tmp_path)}/airflow.db"
    words = ("ls", "--db", database, "--no-stat", "--limit", "0", "-o", "json")
    listed = json.loads(installed_tool.run("xcomctl", *words))
    [first, *_] = [entry for entry in listed if entry["key"] == "return_value"]
    shown = json.loads(installed_tool.run("xcomctl", "show", "--db", database, first["id"], "-o", "json"))
    assert shown["dag_id"] == first["dag_id"]


def test_the_demo_needs_its_extra(installed_tool: Environment) -> None:
    """Without the extra, `xcomctl demo` says what to install."""
    done = subprocess.run(
        [str(installed_tool.folder / "bin" / "xcomctl"), "demo"],
        cwd=installed_tool.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (2, ["hint: pip install 'xcomctl[demo]'"])


def test_the_backend_works_with_no_more_than_it_depends_on(
    installed_backend: Environment, seaweed_bucket: str
) -> None:
    """A dict goes to S3 and comes back where there is neither Airflow nor pandas."""
    uri, equal = installed_backend.python("-c", PUSH_AND_PULL, seaweed_bucket).split()
    assert (uri.startswith(f"s3://{seaweed_bucket}/prefix/dag/run/task/-1/key/"), equal) == (True, "True")


def test_both_share_an_environment(installed_tool: Environment, backend: Built) -> None:
    """The backend can be installed beside the tool, and both still work."""
    installed_tool.install(str(backend.wheel))
    packages = f"{TOOL.package.name}, {BACKEND.package.name}"
    assert installed_tool.python("-c", f"import {packages}; print({packages})").count("site-packages") == 2
