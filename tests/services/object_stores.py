"""Real S3 servers: SeaweedFS, and moto's, which keeps any key and ignores conditions as some products do."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any, Protocol

import boto3
import pytest
from mypy_boto3_s3 import S3Client

from tests.services.processes import free_port
from tests.services.watcher import forget, watch
from xcomctl.demo.server import SeaweedFS

_bucket_numbers = itertools.count()


class WatchedSeaweedFS(SeaweedFS):
    """SeaweedFS, which also ends when the process that started it is killed, and has a new bucket ready for who asks.

    A bucket takes objects a fifth of a second after it was made, in which the server does nothing.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._maker: ThreadPoolExecutor | None = None
        self._ahead: Future[str] | None = None

    def new_bucket(self) -> str:
        """Create a bucket of a name that nobody had before, and the one for the next who asks."""
        ahead, self._ahead = self._ahead, None
        # What a test does to the environment may have kept it from being made.
        name = self._make_bucket() if ahead is None or ahead.exception() else ahead.result()
        if self._maker is None:
            self._maker = ThreadPoolExecutor(1, "bucket")
        self._ahead = self._maker.submit(self._make_bucket)
        return name

    def remove_bucket(self, name: str) -> None:
        """Remove a bucket with all that is in it, versions too: past S3, in a tenth of the time."""
        self.shell(f"s3.bucket.delete -name {name}")

    def _make_bucket(self) -> str:
        name = f"test-{next(_bucket_numbers)}"
        self.create_bucket(name)
        return name

    def _start(self, binary: str) -> None:
        super()._start(binary)
        assert self.pid is not None
        watch(self.pid, self.folder)

    def stop(self) -> None:
        """Stop the server and remove everything."""
        pid = self.pid
        maker, self._maker = self._maker, None
        if maker is not None:
            maker.shutdown(cancel_futures=True)
        super().stop()
        if pid is not None:
            forget(pid)


class MotoServer:
    """Moto's HTTP server: it knows no users and keeps every key exactly as it came."""

    region = "us-east-1"

    def __init__(self, port: int) -> None:
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self._session = boto3.session.Session("moto", "moto", region_name=self.region)

    def environment(self) -> dict[str, str]:
        """The AWS variables with which boto3 talks to this server."""
        return {
            "AWS_ACCESS_KEY_ID": "moto",
            "AWS_SECRET_ACCESS_KEY": "moto",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint_url,
        }

    def client(self) -> S3Client:
        """A boto3 client for this server. The caller closes it."""
        return self._session.client("s3", endpoint_url=self.endpoint_url)

    def create_bucket(self, name: str) -> None:
        """Create a bucket."""
        with closing(self.client()) as client:
            client.create_bucket(Bucket=name)


@contextmanager
def running_moto() -> Iterator[MotoServer]:
    """Serve moto from a thread of this process."""
    from moto.server import ThreadedMotoServer

    port = free_port()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        yield MotoServer(port)
    finally:
        server.stop()


class ObjectServer(Protocol):
    """An S3 server, whichever it is."""

    @property
    def endpoint_url(self) -> str:
        """Where it answers."""

    def environment(self) -> dict[str, str]:
        """The AWS variables with which boto3 talks to it."""

    def client(self) -> S3Client:
        """A boto3 client for it. The caller closes it."""

    def create_bucket(self, name: str) -> None:
        """Create a bucket."""


def new_bucket(server: ObjectServer) -> str:
    """Create an empty bucket of a name that no test had before."""
    behind = getattr(server, "server", server)
    if isinstance(behind, WatchedSeaweedFS):
        return behind.new_bucket()
    name = f"test-{next(_bucket_numbers)}"
    server.create_bucket(name)
    return name


def remove_bucket(server: ObjectServer, name: str) -> None:
    """Remove a bucket with all that is in it."""
    behind = getattr(server, "server", server)
    if isinstance(behind, WatchedSeaweedFS):
        behind.remove_bucket(name)
        return
    with closing(server.client()) as client:
        empty_bucket(client, name)
        client.delete_bucket(Bucket=name)


@contextmanager
def buckets(server: ObjectServer, *names: str) -> Iterator[None]:
    """Empty buckets of these names, removed at the end with all that is in them."""
    with closing(server.client()) as client:
        for name in names:
            client.create_bucket(Bucket=name)
        try:
            yield
        finally:
            for name in names:
                empty_bucket(client, name)
                client.delete_bucket(Bucket=name)


def empty_bucket(client: S3Client, name: str) -> None:
    """Delete every object of a bucket."""
    while keys := [item["Key"] for item in client.list_objects_v2(Bucket=name).get("Contents", [])]:
        client.delete_objects(Bucket=name, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})


@pytest.fixture(scope="session")
def seaweed() -> Iterator[SeaweedFS]:
    """SeaweedFS for the whole session; `reader` may list and read, `stranger` may nothing."""
    with WatchedSeaweedFS(
        guests={"reader": ("Read", "List"), "stranger": ("Read:no-such-bucket",)}
    ) as server:
        yield server


@pytest.fixture(scope="session")
def moto_server() -> Iterator[MotoServer]:
    """Moto's HTTP server for the whole session."""
    with running_moto() as server:
        yield server


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch, seaweed: SeaweedFS) -> SeaweedFS:
    """SeaweedFS, with the environment pointing to it as a user's would."""
    point_to(monkeypatch, seaweed)
    return seaweed


@pytest.fixture
def seaweed_bucket(aws_environment: SeaweedFS) -> Iterator[str]:
    """A new bucket on SeaweedFS, with the environment pointing to the server; removed after the test."""
    name = new_bucket(aws_environment)
    yield name
    remove_bucket(aws_environment, name)


def point_to(monkeypatch: pytest.MonkeyPatch, server: ObjectServer) -> None:
    """Make the environment's AWS settings those of `server`, and nothing else."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    # No file of the person who runs the tests may matter, and no cloud's metadata service be asked.
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
