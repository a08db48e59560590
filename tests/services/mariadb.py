"""A real MariaDB server, where Debian's `mariadb-server` is installed: one a session, a database a test."""

from __future__ import annotations

import itertools
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy

from tests.services.processes import folder_for, free_port, server_program, unprivileged_user, wait_until
from tests.services.watcher import watched


@dataclass
class MariaDBServer:
    """A running server on loopback. Its user `airflow` may do anything."""

    port: int
    password: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str) -> str:
        """The URL of a database, with the driver that `xcomctl[mysql]` installs."""
        return f"mysql+pymysql://airflow:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self) -> str:
        """Create a database of a new name, with the character set that Airflow asks for; its name."""
        name = f"airflow_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database."""
        self._execute(f"DROP DATABASE IF EXISTS {name}")

    def _execute(self, statement: str) -> None:
        engine = sqlalchemy.create_engine(self.url("mysql"), poolclass=sqlalchemy.pool.NullPool, future=True)
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text(statement))
        engine.dispose()


@contextmanager
def running_mariadb() -> Iterator[MariaDBServer]:
    """Start a server of our own; stop it and remove its data at the end. Skips the test where it is not installed."""
    server, install = server_program("mariadbd"), server_program("mariadb-install-db")
    if server is None or install is None:
        pytest.skip("needs MariaDB: apt-get install mariadb-server")
    user, port, password = unprivileged_user(), free_port(), secrets.token_hex(8)
    with folder_for(user) as folder:
        data, log = folder / "data", folder / "log"
        options = ["--no-defaults", f"--datadir={data}"]
        subprocess.run(
            [install, *options, "--auth-root-authentication-method=normal", "--skip-test-db"],
            check=True,
            capture_output=True,
            timeout=120,
            user=user,
            cwd=folder,
        )
        (folder / "init.sql").write_text(
            # One statement a line, or the server stops reading.
            f"CREATE USER airflow@'%' IDENTIFIED BY '{password}';\n"
            "GRANT ALL ON *.* TO airflow@'%' WITH GRANT OPTION;\n"
        )
        (folder / "init.sql").chmod(0o644)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    *(server, *options, "--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve"),
                    *(f"--socket={folder / 'mariadb.sock'}", f"--pid-file={folder / 'pid'}"),
                    *(f"--init-file={folder / 'init.sql'}", "--innodb-flush-log-at-trx-commit=0"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=user,
                cwd=folder,
                start_new_session=True,
            )
        with watched(process.pid, folder):
            try:
                running = MariaDBServer(port, password)
                wait_until(lambda: _accepts(running, folder), process, log)
                yield running
            finally:
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _accepts(server: MariaDBServer, folder: Path) -> bool:
    if not (folder / "pid").exists():
        return False
    engine = sqlalchemy.create_engine(server.url("mysql"), poolclass=sqlalchemy.pool.NullPool)
    try:
        with engine.connect():
            return True
    except sqlalchemy.exc.OperationalError:
        return False
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    """A MariaDB server that lives as long as the session."""
    with running_mariadb() as server:
        yield server


@pytest.fixture
def mariadb_database(mariadb: MariaDBServer) -> Iterator[str]:
    """URL of a new, empty MariaDB database, dropped after the test."""
    name = mariadb.create_database()
    yield mariadb.url(name)
    mariadb.drop_database(name)
