"""The demonstration's world for the examples of the documentation."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path

import pytest

from tests.docs.console import REPOSITORY, Example, Run, in_colour, run
from tests.services.fork_client import ForkServer
from tests.services.object_stores import WatchedSeaweedFS
from xcomctl.demo.server import SeaweedFS
from xcomctl.demo.world import BUCKET, ROOT, DemoWorld


class Shell:
    """Runs examples in the world of `xcomctl demo`, which is made anew after one that deletes something.

    The shell is a real one; the `xcomctl` that it finds is run by a fork server.
    """

    def __init__(self, server: SeaweedFS, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._clean = False
        self._world: DemoWorld | None = None
        self._untouched = folder / "untouched.db"
        self.home = folder / "home"
        self.database = folder / "airflow.db"
        programs = folder / "bin"
        for made in (self.home, programs):
            made.mkdir()
        path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        self._environment = {
            "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
            "HOME": str(self.home),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": path,
            "PYTHONWARNINGS": "error",
            "XCOMCTL_DB": f"sqlite:///{self.database}",
            "XCOMCTL_STORE": ROOT,
            **server.environment(),
        }
        self._forks = ForkServer(self._environment, folder / "forks.log")
        program, self._inherited = self._forks.program()
        script = programs / "xcomctl"
        script.write_text(f'#!/bin/sh\nexec {program} "$@"\n')
        script.chmod(0o755)

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        self._forks.close()

    def make_world(self) -> None:
        """Make the world as it is when the demonstration begins, unless it still is."""
        if self._clean:
            return
        if self._world is None:
            self._world = DemoWorld(self._server, self.database, datetime.now(timezone.utc))
            self._world.build()
            shutil.copyfile(self.database, self._untouched)
        else:
            self._restore(self._world)
        self._make_staging()
        self._clean = True

    def _restore(self, world: DemoWorld) -> None:
        """Take back what examples did: a tenth of the work of making the world anew."""
        shutil.copyfile(self._untouched, self.database)
        wanted = {upload.key: upload for upload in world._uploads}
        with closing(self._server.client()) as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
            found = {item["Key"]: item for page in pages for item in page.get("Contents", [])}
            for key in found.keys() - wanted.keys():
                client.delete_object(Bucket=BUCKET, Key=key)
            aged = {key: upload.at for key, upload in wanted.items() if upload.at < world._now}
            changed = [
                key
                for key in wanted
                if key not in found or aged.get(key, found[key]["LastModified"]) != found[key]["LastModified"]
            ]
            for key in changed:
                client.put_object(Bucket=BUCKET, Key=key, Body=wanted[key].body)
        self._server.backdate({(BUCKET, key): aged[key] for key in changed if key in aged})

    def _make_staging(self) -> None:
        """The database of another Airflow, which knows the same DAGs and has no XCom yet."""
        staging = self.home / "staging.db"
        shutil.copyfile(self.database, staging)
        with closing(sqlite3.connect(staging)) as connection, connection:
            connection.execute("DELETE FROM xcom")

    def __call__(self, example: Example) -> Run:
        """Run one example in the home folder."""
        if "--yes" in example.command:
            self._clean = False
        return run(example.command, self._environment, self.home, [self._inherited])

    def in_colour(self, command: str) -> tuple[int, str]:
        """Run a command that changes nothing: its exit code, and what it wrote as a terminal takes it."""
        return in_colour(command, self._environment, self.home, [self._inherited])


@pytest.fixture(scope="session")
def _shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with WatchedSeaweedFS() as server, Shell(server, tmp_path_factory.mktemp("docs")) as shell:
        yield shell


@pytest.fixture
def shell(_shell: Shell) -> Shell:
    """A shell in a world where nothing was deleted yet."""
    _shell.make_world()
    return _shell
