"""A scene: an Airflow with its bucket, whose tool talks through proxies that misbehave, and an oracle beside it."""

from __future__ import annotations

import io
import itertools
import json
import subprocess
import sys
import uuid
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
import sqlalchemy as sa

from tests.faults.oracle import Oracle
from tests.services.command import COMMAND, Command, Result
from tests.services.database_proxy import DatabaseProxy
from tests.services.deployment import DAY, NO_WAIT, Deployment
from tests.services.fault_proxy import FaultProxy
from xcomctl.models import RESERVED_FOLDER

OLD = ("--older-than", "30d")
"""The policy of most scenarios: the rows of `expired` go, all others stay."""


_SLEEPER = """
import sys, time
from pathlib import Path
asleep, awake = Path(sys.argv.pop(1)), time.time
time.time = lambda: awake() + 3600 * asleep.exists()
from xcomctl.cli.app import main
main()
"""


class Scene:
    """Writers reach both sides directly, the tool through the proxies. Every object is old enough at once: see `scene`."""

    def __init__(
        self, here: Deployment, proxy: FaultProxy, command: Command, database: DatabaseProxy | None = None
    ) -> None:
        self.here = here
        self.proxy = proxy
        self.command = command
        self.database = database
        self.oracle = Oracle(here)
        self._numbers = itertools.count(1)

    # --- what writers do -------------------------------------------------------------------------------------------

    def upload(
        self, dag: str = "etl", run: str = "r1", *, key: str | None = None, body: bytes | None = None
    ) -> str:
        """An object without a row, of a content that no other one has; its key."""
        chosen = key or f"{self.here.prefix}/{dag}/{run}/load/{uuid.uuid4()}"
        content = self.new_body() if body is None else body
        self.here.client.put_object(Bucket=self.here.bucket, Key=chosen, Body=content)
        self.oracle.uploaded(chosen, content)
        return chosen

    def push(
        self,
        dag: str = "etl",
        run: str = "new",
        *,
        task: str = "load",
        name: str | None = None,
        key: str | None = None,
        body: bytes | None = None,
        age: timedelta = timedelta(0),
        state: str = "success",
        stays: bool = True,
        uri: str | None = None,
    ) -> str:
        """A task uploads an object and then writes its row, `age` ago; the key of the object."""
        content = self.new_body() if body is None else body
        chosen = self.upload(dag, run, key=key, body=content)
        self.commit(
            chosen, content, dag, run, task=task, name=name, age=age, state=state, stays=stays, uri=uri
        )
        return chosen

    def commit(
        self,
        key: str,
        body: bytes,
        dag: str = "etl",
        run: str = "new",
        *,
        task: str = "load",
        name: str | None = None,
        age: timedelta = timedelta(0),
        state: str = "success",
        stays: bool = True,
        uri: str | None = None,
    ) -> str:
        """The row of an object that was uploaded before; the row's ref."""
        xcom = name or f"k{next(self._numbers)}"
        self.here.add_row(dag, run, uri or self.here.uri(key), task=task, name=xcom, age=age, state=state)
        ref = f"{dag}/{run}/{task}:{xcom}"
        self.oracle.wrote(ref, key, body, stays=stays)
        return ref

    def expired(self, dag: str = "etl", run: str = "old", **more: Any) -> str:
        """A row that expired, with its object; the key."""
        return self.push(dag, run, age=40 * DAY, stays=False, **more)

    def reusable(self, dag: str = "etl", run: str = "gone") -> str:
        """A key of a layout that every push of a task writes again (Airflow 3.4)."""
        return f"{self.here.prefix}/{dag}/{run}/load/ti-{uuid.uuid4()}/return_value.json"

    def keep_versions(self, status: Literal["Enabled", "Suspended"] = "Enabled") -> None:
        """Turn the versioning of the bucket on, or suspend it."""
        self.here.client.put_bucket_versioning(
            Bucket=self.here.bucket, VersioningConfiguration={"Status": status}
        )

    def new_body(self) -> bytes:
        """A content that no other object has."""
        return json.dumps({"number": next(self._numbers)}).encode()

    # --- what the tool does ----------------------------------------------------------------------------------------

    @property
    def options(self) -> tuple[str, ...]:
        """Options that point the command here, through the proxies."""
        database = self.here.database.url if self.database is None else self.database.url
        return ("--db", database, "--store", self.here.root, "--endpoint-url", self.proxy.endpoint_url)

    def run(self, verb: str, *arguments: str) -> Result:
        """Run a verb in this process."""
        return run_here(*verb.split(), *self.options, *arguments)

    def gc(self, *arguments: str) -> Result:
        """Collect at once, without a question; the outcome is JSON."""
        return self.run("gc", *NO_WAIT, "--yes", "-o", "json", *arguments)

    def start(self, verb: str, *arguments: str, asleep: Path | None = None) -> subprocess.Popen[bytes]:
        """Run a verb in a process of its own, which a test may stop or kill.

        Once the file `asleep` is there, an hour has passed on the clock of that process.
        """
        command = COMMAND if asleep is None else (sys.executable, "-c", _SLEEPER, str(asleep))
        return subprocess.Popen(
            [*command, *verb.split(), *self.options, *arguments],
            cwd=self.command.folder,
            env=self.command.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    # --- what is there ---------------------------------------------------------------------------------------------

    def present(self, *keys: str) -> list[bool]:
        """Whether each object is in its place."""
        there = self.here.keys()
        return [key in there for key in keys]

    def rows_where(self, statement: str, **parameters: datetime) -> list[str]:
        """What a query of one column gives."""
        stored = {name: self.here.database._time(value) for name, value in parameters.items()}
        with self.here.database.connection() as connection:
            return [record[0] for record in connection.execute(sa.text(statement), stored)]

    def tools_own(self) -> set[str]:
        """Every key below the tool's own folder."""
        pages = self.here.client.get_paginator("list_objects_v2").paginate(Bucket=self.here.bucket)
        keys = {item["Key"] for page in pages for item in page.get("Contents", [])}
        return {key for key in keys if f"/{RESERVED_FOLDER}" in key}

    def log(self) -> list[dict[str, Any]]:
        """What `xcomctl log` tells of past operations, newest first."""
        shown = run_here("log", *self.options[2:], "-o", "json")
        assert shown.code == 0, shown.stderr
        operations: list[dict[str, Any]] = json.loads(shown.stdout)
        return operations


def run_here(*arguments: str) -> Result:
    """Run the command in this process: how it ended, and what it wrote."""
    from xcomctl.cli.app import main

    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(list(arguments))
    assert "Traceback" not in err.getvalue()
    assert isinstance(ended.value.code, int)
    return Result(ended.value.code, out.getvalue(), err.getvalue())


def outcome(result: Result) -> dict[str, dict[str, int]]:
    """Rows and objects by what became of them, without those of which there are none."""
    assert result.stdout, result.stderr
    document = json.loads(result.stdout)
    return {
        what: {name: number for name, number in document[what].items() if number}
        for what in ("rows", "objects")
    }


def cause(result: Result) -> str:
    """The line of stderr that says what went wrong."""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    return errors[0].removeprefix("error: ") if errors else ""
