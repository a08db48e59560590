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

ENCODE = """
import json, xcomctl_backend
from xcomctl_backend._codecs import plain_json
from xcomctl_backend._exchange import Exchange
from xcomctl_backend._reference import Coordinates
from xcomctl_backend._settings import Settings

class Objects:
    def put(self, bucket, key, payload, *, content_type, metadata):
        self.payload = payload
    def get(self, bucket, key):
        return self.payload

class Kept(Objects):
    pass

value = {"rows": list(range(1000))}
exchange = Exchange(Settings("bucket", "prefix"), Kept(), dump_json=plain_json, load_json=json.loads)
reference = exchange.push(value, Coordinates("dag", "run", "task", -1, "key"))
print(reference.uri, exchange.pull(reference.to_json()) == value)
"""


def python_or_skip(version: str) -> Path:
    """A CPython of that version. Skips the test where there is none."""
    found = find_python(version)
    if found is None:
        pytest.skip(f"there is no Python {version} on PATH or of pyenv")
    return found


@pytest.fixture(scope="module", params=["this", "3.10"])
def installed_tool(
    request: pytest.FixtureRequest, tool: Built, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """The tool's wheel, in an empty environment of this Python and of the oldest supported one."""
    if request.param == "this":
        interpreter = Path(sys.executable)
    elif sys.version_info[:2] == (3, 10):
        pytest.skip("this Python is the oldest supported one")
    else:
        interpreter = python_or_skip(request.param)
    environment = Environment.create(interpreter, tmp_path_factory.mktemp("environment") / "venv")
    environment.install(str(tool.wheel))
    return environment


@pytest.fixture(scope="module", params=["this", "3.8"])
def installed_backend(
    request: pytest.FixtureRequest, backend: Built, tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """The backend's wheel, in an empty environment of this Python and of the oldest supported one."""
    interpreter = Path(sys.executable) if request.param == "this" else python_or_skip(request.param)
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
    [first, *_] = [entry for entry in listed["entries"] if entry["key"] == "return_value"]
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
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == "hint: pip install 'xcomctl[demo]'"


def test_the_backend_works_with_no_more_than_it_depends_on(installed_backend: Environment) -> None:
    """A dict is encoded, written and read where there is neither Airflow nor pandas."""
    printed = installed_backend.python("-W", "error", "-c", ENCODE)
    uri, equal = printed.split()
    assert (uri.startswith("s3://bucket/prefix/dag/run/task/-1/key/"), equal) == (True, "True")


def test_both_share_an_environment(installed_tool: Environment, backend: Built) -> None:
    """The backend can be installed beside the tool, and both still work."""
    installed_tool.install(str(backend.wheel))
    packages = f"{TOOL.package.name}, {BACKEND.package.name}"
    assert installed_tool.python("-c", f"import {packages}; print({packages})").count("site-packages") == 2
