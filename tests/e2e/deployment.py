"""A running Airflow of any release: its processes, and what people do to its runs."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy

from tests.backend.airflow_environments import AirflowEnvironment
from tests.services.processes import free_port

_TRIGGER = """
from datetime import datetime, timezone
from airflow.api.common.trigger_dag import trigger_dag
trigger_dag({dag_id!r}, run_id={run_id!r}, execution_date=datetime.fromisoformat({at!r}))
"""
_DELETE_RUN = """
from airflow.models import DagRun
from airflow.utils.session import create_session
with create_session() as session:
    session.query(DagRun).filter_by(dag_id={dag_id!r}, run_id={run_id!r}).delete()
"""
_DELETE_XCOM = """
from airflow.models import XCom
from airflow.utils.session import create_session
with create_session() as session:
    where = dict(dag_id={dag_id!r}, run_id={run_id!r}, task_id={task_id!r}, key={key!r})
    for xcom in session.query(XCom).filter_by(**where):
        session.delete(xcom)
"""
_FINAL = ("success", "failed")


@dataclass
class Deployment:
    """Processes of one release. `url` is that of its metadata database."""

    environment: AirflowEnvironment
    url: str
    port: int
    log: Path
    _token: str | None = field(default=None, repr=False)

    @property
    def generation(self) -> int:
        """2 or 3."""
        return self.environment.release.generation

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """What a statement gives."""
        engine = sqlalchemy.create_engine(self.url, poolclass=sqlalchemy.pool.NullPool)
        with engine.connect() as connection:
            rows = [tuple(row) for row in connection.execute(sqlalchemy.text(statement))]
        engine.dispose()
        return rows

    def run(self, dag_id: str, run_id: str, at: str) -> str:
        """Trigger a run and wait until it is over; its state."""
        self.wait(
            lambda: bool(self.query(f"select 1 from serialized_dag where dag_id = '{dag_id}'")),
            "a parsed DAG",
        )
        if self.generation == 2:
            self.environment.python(_TRIGGER.format(dag_id=dag_id, run_id=run_id, at=at))
        else:
            self.rest("POST", f"dags/{dag_id}/dagRuns", {"dag_run_id": run_id, "logical_date": at})
        return self.outcome(dag_id, run_id)

    def outcome(self, dag_id: str, run_id: str) -> str:
        """State of a run when it is over."""
        statement = f"select state from dag_run where dag_id = '{dag_id}' and run_id = '{run_id}'"
        self.wait(lambda: self.query(statement)[0][0] in _FINAL, f"the end of {dag_id} {run_id}")
        return str(self.query(statement)[0][0])

    def clear(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Clear a task of a run, with all its map indexes, and wait until it ran again; the state of the run."""
        if self.generation == 2:
            # This clears the task in every run of the DAG, and all of them run again.
            self.environment.airflow("tasks", "clear", dag_id, "-t", f"^{task_id}$", "-y")
            going = f"select 1 from dag_run where dag_id = '{dag_id}' and state not in ('success', 'failed')"
            self.wait(lambda: not self.query(going), f"end of the runs of {dag_id}")
        else:
            body = {"dry_run": False, "task_ids": [task_id], "dag_run_id": run_id, "only_failed": False}
            self.rest("POST", f"dags/{dag_id}/clearTaskInstances", body)
        return self.outcome(dag_id, run_id)

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Delete a run, as the web interface does."""
        if self.generation == 2:
            self.environment.python(_DELETE_RUN.format(dag_id=dag_id, run_id=run_id))
        else:
            self.rest("DELETE", f"dags/{dag_id}/dagRuns/{run_id}")

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> str:
        """Path of an XCom of a task that is not mapped, in the REST API."""
        return f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"

    def delete_xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> None:
        """Delete an XCom: by REST in Airflow 3, and in Airflow 2 as its web interface does."""
        if self.generation == 2:
            program = _DELETE_XCOM.format(dag_id=dag_id, run_id=run_id, task_id=task_id, key=key)
            self.environment.python(program)
        else:
            self.rest("DELETE", self.xcom(dag_id, run_id, task_id, key))

    def change_xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> None:
        """Write another value over an XCom, by the REST API of Airflow 3."""
        self.rest("PATCH", self.xcom(dag_id, run_id, task_id, key), {"value": "changed", "map_index": -1})

    def rest(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the REST API of Airflow 3."""
        if self._token is None:
            self._token = self._ask("GET", "/auth/token", None, {})["access_token"]
        return self._ask(method, f"/api/v2/{path}", body, {"Authorization": f"Bearer {self._token}"})

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None, headers: dict[str, str]) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data,
            {"Content-Type": "application/json", **headers},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
                content = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from None
        return json.loads(content) if content else None

    def wait(self, done: Callable[[], bool], what: str, seconds: float = 600) -> None:
        """Wait until `done`. Raises AssertionError with the end of the log where it takes too long."""
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise AssertionError(f"no {what}: {self.log.read_text(errors='replace')[-6000:]}")
            time.sleep(0.5)


@contextmanager
def running(environment: AirflowEnvironment, url: str, port: int, log: Path) -> Iterator[Deployment]:
    """Start scheduler, DAG processor and API server as the release has them; stop them at the end."""
    commands = [["scheduler", "--skip-serve-logs"]]
    if environment.release.generation == 3:
        commands += [
            ["dag-processor"],
            ["api-server", "--port", str(port), "--host", "127.0.0.1", "--workers", "1"],
        ]
    processes = []
    deployment = Deployment(environment, url, port, log)
    with log.open("wb") as output:
        try:
            for command in commands:
                processes.append(
                    subprocess.Popen(
                        [str(environment.folder / "bin" / "airflow"), *command],
                        cwd=environment.home,
                        env=environment.environment(),
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=subprocess.STDOUT,
                        start_new_session=True,
                    )
                )
            if environment.release.generation == 3:
                deployment.wait(lambda: _answers(deployment), "API server")
            yield deployment
        finally:
            for process in processes:
                _stop(process)


def _answers(deployment: Deployment) -> bool:
    try:
        deployment.rest("GET", "version")
    except (OSError, AssertionError):
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and its children, which are in a session of their own."""
    import os

    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def settings_for(environment_url: str, port: int, dags: Path, generation: int) -> dict[str, str]:
    """Variables that make a deployment quick and quiet."""
    settings = {
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": environment_url,
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__FERNET_KEY": "",
    }
    if generation == 3:
        settings |= {
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__API_AUTH__JWT_SECRET": "a secret of this test only, long enough for HS512, and then some more of it",
            "AIRFLOW__API__SECRET_KEY": "another secret of this test only",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        }
    return settings


__all__ = ["Deployment", "free_port", "running", "settings_for"]
