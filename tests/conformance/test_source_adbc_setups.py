"""ADBC as databases are set up: behind a pooler, on a replica, with TLS, with passwords in all the places libpq knows."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from tests.schemas.airflow_database import AirflowDatabase
from tests.services.database_proxy import database_proxy
from tests.services.pgbouncer import make_certificate, running_pgbouncer
from tests.services.postgres import PostgresServer, running_standby
from xcomctl.airflow import adbc, arrow_rows
from xcomctl.airflow.connections import connection_string
from xcomctl.airflow.database import DatabaseSource
from xcomctl.errors import SourceError

ROWS = 300


@pytest.fixture
def airflow(postgres_database: str) -> Iterator[AirflowDatabase]:
    """A database of Airflow 3.3 with a few rows."""
    with AirflowDatabase(postgres_database, "airflow-3") as database:
        fill(database.create(), ROWS, "repeat('x', 100)")
        yield database


def fill(airflow: AirflowDatabase, rows: int, value: str) -> None:
    """So many rows of one task, with this SQL as text in each."""
    airflow.execute("INSERT INTO dag_run (id, dag_id, run_id, run_after) VALUES (1, 'etl', 'run', now())")
    airflow.execute("ALTER TABLE xcom DROP CONSTRAINT xcom_task_instance_fkey")
    airflow.execute(
        "INSERT INTO xcom (dag_run_id, dag_id, run_id, task_id, map_index, key, value, timestamp)"
        f" SELECT 1, 'etl', 'run', 'load', n, 'k', to_jsonb({value}), now() FROM generate_series(1, :rows) n",
        rows=rows,
    )


@pytest.fixture
def by_adbc(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tables that were read by ADBC until now."""
    found: list[str] = []
    read = arrow_rows._Rows.batches

    def noted(self: arrow_rows._Rows, *arguments: Any) -> Any:
        found.append(self.table.name)
        return read(self, *arguments)

    monkeypatch.setattr(arrow_rows._Rows, "batches", noted)
    return found


def rows_of(url: URL | str) -> int:
    """How many rows a scan gives."""
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    with closing(DatabaseSource(text)) as source, source.snapshot() as snapshot:
        return sum(batch.num_rows for batch in snapshot.batches())


@pytest.mark.pgbouncer
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_behind_a_pooler(airflow: AirflowDatabase, by_adbc: list[str], mode: str) -> None:
    """Two places of the pool are used, in session and in transaction pooling."""
    with running_pgbouncer(airflow.url, pool_mode=mode, default_pool_size=2) as pooler:
        assert (rows_of(pooler.url), by_adbc) == (ROWS, ["xcom"])


@pytest.mark.pgbouncer
@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_a_pool_without_a_second_place_is_not_waited_for(
    airflow: AirflowDatabase, by_adbc: list[str], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """A pool of one would let a second session in when the first one ends, which waits for it: a cursor reads the rows."""
    monkeypatch.setattr(adbc, "_PLACE_SECONDS", 1)
    with running_pgbouncer(airflow.url, pool_mode=mode, default_pool_size=1) as pooler:
        begun = time.monotonic()
        assert (rows_of(pooler.url), by_adbc) == (ROWS, [])
    assert time.monotonic() - begun < 20


@pytest.mark.pgbouncer
def test_a_pooler_that_ends_idle_transactions(
    airflow: AirflowDatabase, by_adbc: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session of the view is kept awake while the one beside it gives the rows."""
    from xcomctl.airflow import scanning

    monkeypatch.setattr(scanning, "BATCH_BYTES", 10_000)
    with (
        running_pgbouncer(airflow.url, pool_mode="transaction", idle_transaction_timeout=2) as pooler,
        closing(DatabaseSource(pooler.url)) as source,
        source.snapshot() as snapshot,
    ):
        rows = 0
        for number, batch in enumerate(snapshot.batches()):
            rows += batch.num_rows
            time.sleep(1 if number < 4 else 0)
        assert (rows, snapshot.dag_ids(), by_adbc) == (ROWS, {"etl"}, ["xcom"])


@pytest.mark.pgbouncer
def test_with_tls(
    airflow: AirflowDatabase, by_adbc: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both drivers bring an OpenSSL of their own: certificates are verified by each, and refused by each."""
    with running_pgbouncer(airflow.url, client_tls_sslmode="require") as pooler:
        address = make_url(pooler.url)
        assert rows_of(address.update_query_dict({"sslmode": "require"})) == ROWS
        with pytest.raises(SourceError) as caught:
            rows_of(address.update_query_dict({"sslmode": "disable"}))
        assert "TLS parameters" in str(caught.value.hint)
        trusted = {"sslmode": "verify-full", "sslrootcert": str(pooler.certificate)}
        assert rows_of(address.update_query_dict(trusted)) == ROWS
        wrong = make_certificate(tmp_path)
        refused = address.update_query_dict({"sslmode": "verify-ca", "sslrootcert": str(wrong)})
        with pytest.raises(SourceError, match="certificate verify failed"):
            rows_of(refused)
        with pytest.raises(adbc_driver_manager.Error, match="certificate verify failed"):
            adbc_driver_postgresql.connect(
                refused.set(drivername="postgresql").render_as_string(hide_password=False)
            )
        assert by_adbc == ["xcom", "xcom"]


@pytest.mark.pgbouncer
def test_two_libraries_in_threads(airflow: AirflowDatabase, by_adbc: list[str]) -> None:
    """Two copies of libpq and of OpenSSL work side by side with Python's own, in many threads."""
    with running_pgbouncer(airflow.url, default_pool_size=20) as pooler:
        address = make_url(pooler.url).update_query_dict({"sslmode": "require"})
        found: list[int] = []
        threads = [Thread(target=lambda: found.extend(rows_of(address) for _ in range(5))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (found, by_adbc) == ([ROWS] * 30, ["xcom"] * 30)


@pytest.fixture(scope="session")
def standby(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """A hot standby of the session's server."""
    with running_standby(postgres) as server:
        yield server


def test_on_a_hot_standby(
    airflow: AirflowDatabase, postgres: PostgresServer, standby: PostgresServer, by_adbc: list[str]
) -> None:
    """A server in recovery exports its snapshot as any other, and the view says that it is a replica."""
    name = str(make_url(airflow.url).database)
    replayed(airflow, standby.url(name))
    with closing(DatabaseSource(standby.url(name))) as source, source.snapshot() as snapshot:
        rows = sum(batch.num_rows for batch in snapshot.batches())
        assert (snapshot.is_replica, rows, by_adbc) == (True, ROWS, ["xcom"])


def replayed(airflow: AirflowDatabase, url: str) -> None:
    """Wait until the standby has what the primary has."""
    with airflow.connection() as connection:
        written = connection.execute(sa.text("SELECT CAST(pg_current_wal_insert_lsn() AS text)")).scalar()
    asked = sa.text("SELECT pg_last_wal_replay_lsn() >= CAST(:written AS pg_lsn)")
    engine = sa.create_engine(make_url(url).set(database="postgres"), poolclass=sa.pool.NullPool)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with engine.connect() as connection:
            if connection.execute(asked, {"written": written}).scalar():
                return
        time.sleep(0.1)
    raise AssertionError("the standby does not follow")


def test_a_name_that_leads_to_primary_and_replica(
    airflow: AirflowDatabase,
    postgres: PostgresServer,
    standby: PostgresServer,
    by_adbc: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second session may reach the other server, which does not have the snapshot: the first one reads the rows."""
    name = str(make_url(airflow.url).database)
    replayed(airflow, standby.url(name))
    monkeypatch.setattr(
        adbc,
        "connection_string",
        lambda address: connection_string(address).replace(f"port={postgres.port}", f"port={standby.port}"),
    )
    assert (rows_of(airflow.url), by_adbc) == (ROWS, [])


@pytest.mark.parametrize("form", ["quoted", "PGPASSWORD", "pgpass", "passfile", "service", "query"])
def test_wherever_the_password_is(
    airflow: AirflowDatabase, by_adbc: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, form: str
) -> None:
    """Both drivers find it as libpq does, whatever is in it."""
    password = "p %40@/:'\\\"ü#?&=+"  # noqa: S105 - of this test alone
    role = f"reader_{make_url(airflow.url).database}"
    with airflow.connection() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD %(password)s", {"password": password})
        connection.exec_driver_sql(f"GRANT SELECT ON dag, dag_run, task_instance, xcom TO {role}")
    bare = make_url(airflow.url).set(username=role)._replace(password=None)
    pgpass = f"{bare.host}:*:*:{role}:" + password.replace("\\", "\\\\").replace(":", "\\:") + "\n"
    url = {
        "quoted": bare.set(password=password),
        "query": bare.update_query_dict({"password": password}),
        "passfile": bare.update_query_dict({"passfile": str(tmp_path / ".pgpass")}),
        "service": URL.create("postgresql", query={"service": "airflow"}),
    }.get(form, bare)
    if form == "PGPASSWORD":
        monkeypatch.setenv("PGPASSWORD", password)
    elif form == "service":
        monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
        (tmp_path / "services").write_text(
            f"[airflow]\nhost={bare.host}\nport={bare.port}\ndbname={bare.database}\nuser={role}\npassword={password}\n"
        )
    elif form in ("pgpass", "passfile"):
        (tmp_path / ".pgpass").write_text(pgpass)
        (tmp_path / ".pgpass").chmod(0o600)
        if form == "pgpass":
            monkeypatch.setenv("PGPASSFILE", str(tmp_path / ".pgpass"))
    try:
        assert (rows_of(url), by_adbc) == (ROWS, ["xcom"])
    finally:
        airflow.execute(f"DROP OWNED BY {role}")
        airflow.execute(f"DROP ROLE {role}")


@pytest.mark.parametrize(
    "query",
    [
        {"options": "-c search_path=public -c work_mem=8MB"},
        {"application_name": "ours", "connect_timeout": "3"},
        {"target_session_attrs": "read-write"},
        {"sslmode": "prefer", "channel_binding": "prefer"},
        {"gssencmode": "prefer"},
        {"keepalives_idle": "5"},
    ],
    ids=lambda query: "-".join(query),
)
def test_parameters_of_the_address(
    airflow: AirflowDatabase, by_adbc: list[str], query: dict[str, str]
) -> None:
    """What is behind the ? reaches both sessions."""
    assert (rows_of(make_url(airflow.url).update_query_dict(query)), by_adbc) == (ROWS, ["xcom"])


def test_a_parameter_that_only_one_library_knows(
    airflow: AirflowDatabase, by_adbc: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the second session cannot be opened, whatever the cause, the first one reads the rows."""
    monkeypatch.setattr(
        adbc, "connection_string", lambda address: f"{connection_string(address)} colour=blue"
    )
    assert (rows_of(airflow.url), by_adbc) == (ROWS, [])


def test_another_server_behind_the_address_is_noticed(airflow: AirflowDatabase, by_adbc: list[str]) -> None:
    """Servers number their snapshots alike: a session whose view is not the same one is not used."""
    with database_proxy(airflow.url) as proxy:
        # What the second session tells of its server and its view, and only that.
        proxy.row = lambda statement, fields: (
            [b"1 1:1:", *fields[1:]]
            if statement.startswith("COPY") and "lock_timeout" in statement
            else fields
        )
        assert (rows_of(proxy.url), by_adbc) == (ROWS, [])


@pytest.mark.parametrize("module", ["adbc_driver_postgresql", "adbc_driver_manager"])
def test_without_the_driver_rows_are_read_by_a_cursor(
    airflow: AirflowDatabase, by_adbc: list[str], monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    """There are platforms without a wheel of it."""
    monkeypatch.setitem(sys.modules, module, None)
    assert (rows_of(airflow.url), by_adbc) == (ROWS, [])


def test_without_the_right_to_export_rows_are_read_by_a_cursor(
    airflow: AirflowDatabase, by_adbc: list[str]
) -> None:
    """A refusal would end the transaction that is the view, so it is not provoked."""
    role = f"reader_{airflow.url.rpartition('/')[2]}"
    airflow.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'reads'")
    airflow.execute(f"GRANT SELECT ON dag, dag_run, task_instance, xcom TO {role}")
    airflow.execute("REVOKE EXECUTE ON FUNCTION pg_export_snapshot() FROM PUBLIC")
    url = make_url(airflow.url).set(username=role, password="reads")  # noqa: S106 - of this test alone
    try:
        assert (rows_of(url), by_adbc) == (ROWS, [])
    finally:
        airflow.execute("GRANT EXECUTE ON FUNCTION pg_export_snapshot() TO PUBLIC")
        airflow.execute(f"DROP OWNED BY {role}")
        airflow.execute(f"DROP ROLE {role}")


_MEASURE = """
import resource, sys
from xcomctl.airflow.database import DatabaseSource

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

with DatabaseSource(sys.argv[1]).snapshot() as snapshot:
    batches = snapshot.batches()
    next(batches)
    first, held = peak(), 0
    for batch in batches:
        held += batch.nbytes
    print(first, peak(), held >> 20)
"""


@pytest.mark.slow
def test_a_large_table_is_never_held_whole(postgres_database: str) -> None:
    """200 MiB of values come through a process that grows by a few batches."""
    with AirflowDatabase(postgres_database, "airflow-3") as airflow:
        fill(
            airflow.create(),
            400,
            "(SELECT string_agg(md5((i * n)::text), '') FROM generate_series(1, 16384) i)",
        )
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, postgres_database], capture_output=True, text=True, check=True
    )
    first, most, held = map(int, done.stdout.split())
    assert (held > 180, most - first < 60) == (True, True), done.stdout
