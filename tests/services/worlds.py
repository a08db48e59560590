"""Worlds: metadata databases and buckets that real Airflow releases wrote, with the truth about them.

`tests/worlds/<name>.tar.xz` holds `airflow.db` or `dump.sql`, and where the release wrote to S3 also
`bucket/<bucket>/<key>` and `truth.json`, which lists the objects that no live row names.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.services.object_stores import empty_bucket, point_to
from tests.services.postgres import PostgresServer, restore_dump
from xcomctl.demo.server import SeaweedFS

_ARCHIVES = Path(__file__).parent.parent / "worlds"
_BUCKET = "xcoms"

WORLDS = tuple(sorted(path.name.removesuffix(".tar.xz") for path in _ARCHIVES.glob("*.tar.xz")))
"""Names of all worlds."""

BUCKET_WORLDS = tuple(name for name in WORLDS if "-commonio-" in name or "-naive-" in name)
"""Names of the worlds with a bucket and a `truth.json`."""


@dataclass(frozen=True)
class World:
    """One world, ready for use. Without a bucket, the fields about the store are None and `truth` is empty."""

    name: str
    folder: Path
    db_url: str
    bucket: str | None
    root: str | None
    """`s3://bucket[/prefix]` under which the release wrote."""
    endpoint_url: str | None
    truth: dict[str, Any]

    def payload(self, key: str) -> bytes:
        """What the object at `key` of the bucket holds."""
        return (self.folder / "bucket" / str(self.bucket) / key).read_bytes()

    @property
    def keys(self) -> list[str]:
        """All keys of the bucket, sorted."""
        top = self.folder / "bucket" / str(self.bucket)
        return sorted(path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file())


def unpack(name: str, target: Path) -> Path:
    """Unpack the archive of a world into `target`; `target`."""
    with tarfile.open(_ARCHIVES / f"{name}.tar.xz") as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(target, filter="data")
        else:  # CPython before 3.10.12; the archive is our own
            archive.extractall(target)  # noqa: S202
    return target


class WorldBucket:
    """The bucket that the references of all worlds name. A world that nobody changed is not loaded again."""

    def __init__(self, server: SeaweedFS) -> None:
        self.server = server
        self._worlds: list[str] = []
        self._listed: list[Any] = []
        server.create_bucket(_BUCKET)

    def load(self, world: str, folder: Path, *, beside: bool) -> None:
        """Load what is below `folder`, beside what is there or alone."""
        if not beside and self._worlds == [world] and self._list() == self._listed:
            return
        if not beside:
            with closing(self.server.client()) as client:
                empty_bucket(client, _BUCKET)
            self._worlds = []
        with closing(self.server.client()) as client:
            # A key is a path, literally.
            for path in folder.rglob("*"):
                if path.is_file():
                    key = path.relative_to(folder).as_posix()
                    client.put_object(Bucket=_BUCKET, Key=key, Body=path.read_bytes())
        self._worlds.append(world)
        self._listed = self._list()

    def _list(self) -> list[Any]:
        with closing(self.server.client()) as client:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET)
            return [
                (one["Key"], one["ETag"], one["LastModified"])
                for page in pages
                for one in page.get("Contents", [])
            ]


class WorldLoader:
    """What the `world` fixture gives: `world(name)` brings up a world, `world(name, store=False)` only its database.

    A test sees the objects of its own worlds alone. Servers start only for a world that needs them.
    """

    def __init__(
        self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._request = request
        self._tmp_path = tmp_path
        self._monkeypatch = monkeypatch
        self._bucket: WorldBucket | None = None
        self._cleanups = ExitStack()

    def __call__(self, name: str, *, store: bool = True) -> World:
        """Bring up a world. Called twice in a test, it adds the second one to the first."""
        folder = self._tmp_path / "world" / name
        if not folder.exists():
            unpack(name, folder)
        truth_file = folder / "truth.json"
        with_store = store and name in BUCKET_WORLDS
        if with_store:
            server = self._load_bucket(name, folder / "bucket" / _BUCKET)
            # The common.io worlds were written under a prefix of their own, the naive ones flat into the bucket.
            prefixes = {path.name for path in (folder / "bucket" / _BUCKET).iterdir()}
            root = f"s3://{_BUCKET}/{prefixes.pop()}" if len(prefixes) == 1 else f"s3://{_BUCKET}"
        return World(
            name=name,
            folder=folder,
            db_url=self._database(name, folder),
            bucket=_BUCKET if with_store else None,
            root=root if with_store else None,
            endpoint_url=server.endpoint_url if with_store else None,
            truth=json.loads(truth_file.read_text()) if truth_file.exists() else {},
        )

    def close(self) -> None:
        """Drop the databases."""
        self._cleanups.close()

    def _database(self, name: str, folder: Path) -> str:
        if (folder / "airflow.db").exists():
            return f"sqlite:///{folder / 'airflow.db'}"
        postgres: PostgresServer = self._request.getfixturevalue("postgres")
        templates: dict[str, str] = self._request.getfixturevalue("_restored_dumps")
        if name not in templates:
            template = postgres.create_database()
            restore_dump(postgres.url(template), folder / "dump.sql")
            templates[name] = template
        database = postgres.create_database(templates[name])
        self._cleanups.callback(postgres.drop_database, database)
        return postgres.url(database)

    def _load_bucket(self, name: str, folder: Path) -> SeaweedFS:
        bucket: WorldBucket = self._request.getfixturevalue("_world_bucket")
        if self._bucket is None:
            point_to(self._monkeypatch, bucket.server)
        bucket.load(name, folder, beside=self._bucket is not None)
        self._bucket = bucket
        return bucket.server


@pytest.fixture(scope="session")
def _restored_dumps() -> dict[str, str]:
    """World -> PostgreSQL database into which its dump was restored once, to be copied for each test."""
    return {}


@pytest.fixture(scope="session")
def _world_bucket(seaweed: SeaweedFS) -> WorldBucket:
    """The bucket of all worlds, on SeaweedFS."""
    return WorldBucket(seaweed)


@pytest.fixture
def world(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., World]]:
    """Brings up worlds by name, see `WorldLoader`."""
    loader = WorldLoader(request, tmp_path, monkeypatch)
    yield loader
    loader.close()
