"""A bucket of its own on each kind of server, with the store under test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from mypy_boto3_s3 import S3Client

from tests.services.fault_proxy import FaultProxy, fault_proxy
from tests.services.object_stores import ObjectServer, new_bucket, point_to, remove_bucket
from xcomctl.demo.server import SeaweedFS
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.interface import ObjectInfo
from xcomctl.s3.store import S3Settings, S3Store


class Bench:
    """A server, a new bucket on it, and the store under test."""

    def __init__(self, server: ObjectServer) -> None:
        self.server = server
        self.bucket = new_bucket(server)
        self.store = S3Store(S3Settings())
        self.client = server.client()
        self._keeps_versions = False

    def at(self, key: str) -> ObjectAddress:
        """The address of `key` in the bucket."""
        return ObjectAddress(self.bucket, key)

    def put(self, key: str, body: bytes = b"content") -> ObjectAddress:
        """Write an object past the store under test."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)
        return self.at(key)

    def described(self, key: str) -> ObjectInfo:
        """What the store says of an object that exists."""
        info = self.store.stat(self.at(key))
        assert info is not None
        return info

    def listed(self) -> list[str]:
        """All keys in the bucket, as the store lists them."""
        return [row["key"] for row in self.rows()]

    def rows(self, prefix: str = "") -> list[dict[str, Any]]:
        """The listing as dicts."""
        return [row for batch in self.store.batches(Root(self.bucket, prefix)) for row in batch.to_pylist()]

    def keep_versions(self, status: Literal["Enabled", "Suspended"] = "Enabled") -> None:
        """Let the bucket keep versions from now on."""
        self._keeps_versions = True
        self.client.put_bucket_versioning(Bucket=self.bucket, VersioningConfiguration={"Status": status})

    def close(self) -> None:
        """Remove everything."""
        self.store.close()
        if self._keeps_versions:
            remove_versions(self.client, self.bucket)
        self.client.close()
        remove_bucket(self.server, self.bucket)


def remove_versions(client: S3Client, bucket: str) -> None:
    """Remove every version and delete marker of a small bucket."""
    page = client.list_object_versions(Bucket=bucket)
    for item in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
        client.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])


class FaultyBench(Bench):
    """A bench on SeaweedFS behind a proxy that injects faults."""

    def __init__(self, proxy: FaultProxy) -> None:
        super().__init__(proxy)
        self.proxy = proxy


@pytest.fixture
def server_without_faults(seaweed: SeaweedFS) -> Iterator[FaultProxy]:
    """The server into which other tests inject faults, without any."""
    with fault_proxy(seaweed) as server:
        yield server


@pytest.fixture(params=["seaweed", "moto_server"])
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The store under test on each server."""
    yield from _bench_on(request.getfixturevalue(request.param), monkeypatch)


@pytest.fixture(params=["seaweed", "moto_server", "server_without_faults"])
def bench_or_proxy(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The same, and also behind the proxy that injects faults, without any: it must not change what it passes on."""
    yield from _bench_on(request.getfixturevalue(request.param), monkeypatch)


def _bench_on(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    point_to(monkeypatch, server)
    bench = Bench(server)
    yield bench
    bench.close()


@pytest.fixture
def seaweed_bench(seaweed: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """The store under test on SeaweedFS, which checks credentials and conditions."""
    point_to(monkeypatch, seaweed)
    bench = Bench(seaweed)
    yield bench
    bench.close()


@pytest.fixture
def faulty_bench(server_without_faults: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyBench]:
    """The store under test on SeaweedFS, to which a test adds faults."""
    point_to(monkeypatch, server_without_faults)
    bench = FaultyBench(server_without_faults)
    yield bench
    server_without_faults.faults.clear()
    bench.close()
