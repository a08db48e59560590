"""The demonstration's S3 server comes up alone, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from importlib import metadata
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from xcomctl.demo import server
from xcomctl.demo.server import SeaweedFS
from xcomctl.errors import StoreError, UsageError


def leftovers(folder: Path, pid: int | None) -> list[Path]:
    """What a stopped server left behind: its folder, its process, its sockets."""
    return [path for path in (folder, Path(f"/proc/{pid}")) if path.exists()]


def test_leaving_the_block_removes_everything() -> None:
    """After the block there is no process, no folder and no socket of the server."""
    with SeaweedFS() as running:
        running.create_bucket("bucket")
        folder, pid, ports = running.folder, running.pid, dict(running._ports)
        during = leftovers(folder, pid)
    sockets = [f"/tmp/seaweedfs-{name}-grpc-{ports[f'{name}.grpc']}.sock" for name in server._SERVICES]  # noqa: S108
    assert during == [folder, Path(f"/proc/{pid}")]
    assert leftovers(folder, pid) == []
    assert [path for path in sockets if os.path.exists(path)] == []
    with pytest.raises(RuntimeError, match="not running"):
        _ = running.folder


def test_an_interrupt_removes_everything() -> None:
    """Ctrl-C ends the program and its server, and leaves no folder."""
    program = (
        "import time\n"
        "from xcomctl.demo.server import SeaweedFS\n"
        "with SeaweedFS() as running:\n"
        "    print(running.folder, running.pid, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as child:
        assert child.stdout is not None
        folder, pid = child.stdout.readline().decode().split()
        child.send_signal(signal.SIGINT)
        child.wait(30)
    assert leftovers(Path(folder), int(pid)) == []


def test_a_detached_server_goes_on() -> None:
    """A detached server outlives its block, and is ended by its process id."""
    with SeaweedFS() as running:
        running.create_bucket("bucket")
        running.detach()
    folder, pid = running.folder, running.pid
    assert pid is not None
    try:
        with closing(running.client()) as client:
            assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["bucket"]
    finally:
        running.stop()
    assert leftovers(folder, pid) == []


def test_only_its_own_credentials_open_it(seaweed: SeaweedFS) -> None:
    """Another server's key pair is refused, so that no server is mistaken for another."""
    stranger = SeaweedFS()
    stranger._ports = seaweed._ports
    with closing(stranger.client()) as client, pytest.raises(ClientError, match="InvalidAccessKeyId"):
        client.list_buckets()


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's server is an extra; without it there is one line and the command."""

    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "files", missing)
    with pytest.raises(UsageError) as caught:
        SeaweedFS().__enter__()
    assert str(caught.value) == "the S3 server for the demo is not installed"
    assert caught.value.hint == "pip install 'xcomctl[demo]'"


def test_a_server_that_dies_is_an_error_with_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ends at once is reported with what it said, and nothing is left."""
    monkeypatch.setattr(server, "weed_binary", lambda: "/bin/echo")
    with pytest.raises(StoreError, match=r"^the S3 server did not start: .* -s3.port.grpc=\d+$"):
        SeaweedFS().__enter__()
