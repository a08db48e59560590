"""Whole payloads into stores and out of them, on each server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from io import BytesIO

import pytest

from tests.services.object_stores import ObjectServer, new_bucket, remove_bucket
from xcomctl.backup.s3_target import S3Target
from xcomctl.errors import ConflictError, NotFoundError, StoreError
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.interface import Description
from xcomctl.s3.store import S3Settings, S3Store

LARGE = hashlib.shake_256(b"payload").digest((17 << 20) + 3)


@pytest.fixture(params=["seaweed", "moto_server"])
def server(request: pytest.FixtureRequest, aws_environment: None) -> ObjectServer:
    """A server."""
    found: ObjectServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bucket(server: ObjectServer) -> Iterator[str]:
    """An empty bucket."""
    name = new_bucket(server)
    yield name
    remove_bucket(server, name)


@pytest.fixture
def store(server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Store]:
    """A store on that server."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    with closing(S3Store(S3Settings(endpoint_url=server.endpoint_url))) as opened:
        yield opened


@pytest.mark.parametrize("content", [b"", b"small", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("if_absent", [False, True])
def test_a_payload_comes_back_as_it_went(
    store: S3Store, bucket: str, content: bytes, if_absent: bool
) -> None:
    """Content of any size with its description; a key that is taken is a conflict if it must be free."""
    address = ObjectAddress(bucket, "a/é +%20 b")
    described = Description("text/csv", "gzip", {"who": "me"})
    made = store.upload(address, BytesIO(content), len(content), described, if_absent=if_absent)
    assert (made.address, made.size) == (address, len(content))
    with store.download(address) as download:
        assert (download.info, download.description) == (made, described)
        assert b"".join(download.chunks) == content
    if if_absent:
        with pytest.raises(ConflictError):
            store.upload(address, BytesIO(b"other"), 5, Description(), if_absent=True)
        with pytest.raises(ConflictError):
            store.upload(address, BytesIO(LARGE), len(LARGE), Description(), if_absent=True)
        assert store.stat(address) == made
    else:
        assert store.upload(address, BytesIO(b"other"), 5, Description()).size == 5


def test_a_body_that_ends_early_writes_nothing(store: S3Store, bucket: str) -> None:
    """Fewer bytes than were announced are an error, whatever the size."""
    address = ObjectAddress(bucket, "short")
    for size in (10, 20 << 20):
        with pytest.raises(StoreError, match="came with 5 bytes"):
            store.upload(address, BytesIO(b"short"), size, Description())
        assert store.stat(address) is None


def test_what_is_not_there_is_not_found(store: S3Store, bucket: str) -> None:
    """A missing object is told from a missing bucket."""
    with pytest.raises(NotFoundError), store.download(ObjectAddress(bucket, "none")):
        pass
    with (
        pytest.raises(StoreError, match="does not exist at"),
        store.download(ObjectAddress("no-bucket", "x")),
    ):
        pass


def test_a_prefix_is_a_backup_target(store: S3Store, bucket: str) -> None:
    """Names below a folder, at any depth; nothing outside of the prefix."""
    backup_target = S3Target(store, Root(bucket, "safe/"))
    for name in ("backups/1/manifest.json", "backups/1/rows", "objects/ab/abc"):
        backup_target.write(name, BytesIO(b"x"), 1)
    store.put(ObjectAddress(bucket, "backups/other"), b"x")
    assert sorted(backup_target.names("backups")) == ["backups/1/manifest.json", "backups/1/rows"]
    assert (backup_target.size_of("objects/ab/abc"), backup_target.size_of("nothing")) == (1, None)
    assert (list(backup_target.names("nothing")), b"".join(backup_target.read("backups/1/rows"))) == (
        [],
        b"x",
    )
    with pytest.raises(NotFoundError):
        list(backup_target.read("nothing"))
