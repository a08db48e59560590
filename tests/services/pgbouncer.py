"""A real PgBouncer in front of a PostgreSQL server, where Debian's `pgbouncer` is installed."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.services.processes import folder_for, free_port, server_program, unprivileged_user, wait_until


@dataclass(frozen=True)
class PgBouncer:
    """A running pooler: the URL of the database by way of it, and the certificate that it shows."""

    url: str
    certificate: Path


def make_certificate(folder: Path, user: str | None = None) -> Path:
    """A certificate for 127.0.0.1, `tls.crt` in this folder, with its key beside it; both belong to `user`."""
    command = [
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=127.0.0.1"),
        *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "tls.key", "-out", "tls.crt"),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60, user=user, cwd=folder)
    return folder / "tls.crt"


@contextmanager
def running_pgbouncer(url: str, **settings: object) -> Iterator[PgBouncer]:
    """Put a pooler before the database of this URL. Settings are those of its `[pgbouncer]`.

    It speaks TLS with a certificate of its own where clients ask for it. Skips the test where it is not installed.
    """
    program = server_program("pgbouncer")
    if program is None:
        pytest.skip("needs PgBouncer: apt-get install pgbouncer")
    target, user, port = make_url(url), unprivileged_user(), free_port()
    with folder_for(user) as folder:
        log = folder / "log"
        certificate = make_certificate(folder, user)
        (folder / "users").write_text(f'"{target.username}" "{target.password}"\n')
        chosen = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": folder / "users",
            "ignore_startup_parameters": "extra_float_digits",
            "client_tls_sslmode": "allow",
            "client_tls_key_file": folder / "tls.key",
            "client_tls_cert_file": certificate,
            **settings,
        }
        lines = [
            "[databases]",
            f"* = host={target.host} port={target.port}",
            "[pgbouncer]",
            *(f"{name} = {value}" for name, value in chosen.items()),
        ]
        (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        for name in ("users", "pgbouncer.ini"):
            (folder / name).chmod(0o644)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [program, str(folder / "pgbouncer.ini")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=user,
                cwd=folder,
                start_new_session=True,
            )
        try:
            wait_until(lambda: _accepts(port), process, log)
            through = target.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
            yield PgBouncer(through, certificate)
        finally:
            # At once: clients are not waited for.
            process.terminate()
            process.wait(20)


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
