"""The examples that run xcomctl by a schedule: each is read by a validator of its own, and its command lines are run."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from configparser import RawConfigParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from crontab import CronTab

from tests.services.command import COMMAND, Command
from tests.services.deployment import Deployment

EXAMPLES = Path(__file__).parents[2] / "examples"
CRONTAB = EXAMPLES / "cron" / "xcomctl.crontab"
SYSTEMD = EXAMPLES / "systemd"
CRON_JOB = EXAMPLES / "kubernetes" / "nightly-cronjob.yaml"
COMPOSE = EXAMPLES / "compose" / "docker-compose.yaml"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with a program of the name `xcomctl`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    file = folder / "xcomctl"
    file.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    file.chmod(0o755)
    return folder


@pytest.fixture
def variables(xcomctl: Command, here: Deployment, program: Path) -> dict[str, str]:
    """What a schedule's environment says, of a deployment with something to collect."""
    return xcomctl.environment(
        {
            "XCOMCTL_DB": here.database.url,
            "XCOMCTL_STORE": here.root,
            "XCOMCTL_ENDPOINT_URL": here.server.endpoint_url,
            "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
        }
    )


def test_the_crontab(xcomctl: Command, here: Deployment, variables: dict[str, str]) -> None:
    """Is one, collects and checks, leaves a record and metrics of each run, and says what is wrong and nothing else."""
    jobs = list(CronTab(tab=CRONTAB.read_text()))
    assert [(job.is_valid(), str(job.slices)) for job in jobs] == [(True, "0 4 * * *"), (True, "0 6 * * 0")]
    (xcomctl.folder / "metrics").mkdir()
    collected, checked = (_run(["/bin/sh", "-c", str(job.command)], variables) for job in jobs)
    assert (collected.stderr, collected.stdout) == ("", "")
    [record] = map(json.loads, (xcomctl.folder / "xcomctl-gc.ndjson").read_text().splitlines())
    assert (record["rows"]["deleted"], _old(here)) == (1, set())
    # One row of this world has lost its object.
    assert checked.stderr == "xcomctl fsck exited with 4\n"
    assert sorted(path.name for path in (xcomctl.folder / "metrics").iterdir()) == [
        "xcomctl_fsck.prom",
        "xcomctl_gc.prom",
    ]


def test_the_units_of_systemd_are_valid(tmp_path: Path) -> None:
    """By systemd's own word, but for the programs, which are not where they will be."""
    verify = shutil.which("systemd-analyze")
    if verify is None:
        pytest.skip("needs systemd-analyze (apt-get install systemd)")
    for unit in SYSTEMD.iterdir():
        text = unit.read_text().replace("/opt/xcomctl/bin/xcomctl", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    units = ["xcomctl-gc.timer", "xcomctl-gc.service", "xcomctl-failed@xcomctl-gc.service"]
    done = _run([verify, "verify", *(str(tmp_path / unit) for unit in units)], dict(os.environ))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_service_of_systemd_collects(here: Deployment, variables: dict[str, str], tmp_path: Path) -> None:
    """Its command line, run as systemd runs it."""
    (tmp_path / "metrics").mkdir()
    command = _unit("xcomctl-gc.service")["ExecStart"]
    command = command.replace("/opt/xcomctl/bin/", "").replace("/var/lib/xcomctl", str(tmp_path))
    done = _run(shlex.split(command), variables)
    assert done.returncode == 0, done.stderr
    assert all(json.loads(line)["level"] == "info" for line in done.stderr.splitlines())
    assert (tmp_path / "metrics" / "xcomctl_gc.prom").is_file()
    assert _old(here) == set()


def test_the_service_that_tells_of_a_failure(webhook: tuple[str, list[bytes]]) -> None:
    """Sends one document that says which unit failed."""
    url, received = webhook
    command = _unit("xcomctl-failed@.service")["ExecStart"]
    # As systemd puts in the unit, the host, and the variable.
    command = command.replace("%i", "xcomctl-gc").replace("%H", "worker-1").replace("${WEBHOOK_URL}", url)
    assert _run(shlex.split(command), dict(os.environ)).returncode == 0
    assert [json.loads(body) for body in received] == [
        {"text": "xcomctl-gc failed on worker-1: journalctl -u xcomctl-gc"}
    ]


def test_the_cron_job_of_kubernetes(here: Deployment, variables: dict[str, str], tmp_path: Path) -> None:
    """Is valid in the oldest release that it is for and in the newest that is known, and its command line collects."""
    job = yaml.safe_load(CRON_JOB.read_text())
    for release in ("1.29", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(job, release, strict=True)
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    done = _run(
        ["xcomctl", *(word.replace("/scratch", str(tmp_path)) for word in container["args"])], variables
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["deleted"] == 1
    assert _old(here) == set()


def test_the_service_of_compose(here: Deployment, variables: dict[str, str], tmp_path: Path) -> None:
    """Is valid by the schema of the specification, and its command line collects."""
    checked = _run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(COMPOSE)],
        dict(os.environ),
    )
    assert checked.returncode == 0, checked.stdout
    command = yaml.safe_load(COMPOSE.read_text())["services"]["xcomctl"]["command"]
    done = _run(["xcomctl", *(word.replace("/metrics", str(tmp_path)) for word in command)], variables)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "xcomctl_gc.prom").is_file()
    assert _old(here) == set()


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[bytes]]]:
    """URL of a server that takes documents, and what it took."""
    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", received
        server.shutdown()
        thread.join()


def _run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=env, cwd=env.get("HOME"), capture_output=True, text=True, timeout=60, check=False
    )


def _old(here: Deployment) -> set[str]:
    """Rows of old runs that are left."""
    return {ref for ref in here.refs() if "/old/" in ref}


def _unit(name: str) -> dict[str, str]:
    """The section `Service` of a unit."""
    # Some settings may be given more than once.
    parser = RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(SYSTEMD / name)
    return dict(parser["Service"])
