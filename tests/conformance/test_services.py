"""The servers that the tests rely on do what the tests believe."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest
import sqlalchemy

from tests.services.sweeps import sweep
from tests.services.worlds import BUCKET_WORLDS, WORLDS, World
from xcomctl.demo.server import SeaweedFS

_FEW = ("2.5.0-naive-sqlite", "3.3.2-commonio-pg")


@pytest.mark.parametrize("name", sweep(WORLDS, lambda name: name in _FEW))
def test_every_world_has_a_database_with_xcoms(name: str, world: Callable[..., World]) -> None:
    """A world's database holds XCom rows, in SQLite or PostgreSQL."""
    engine = sqlalchemy.create_engine(world(name, store=False).db_url)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
        live = [table for table in ("xcom", "xcom_v1", "xcom_v2") if table in tables]
        rows = sum(connection.scalar(sqlalchemy.text(f"SELECT count(*) FROM {table}")) or 0 for table in live)
    engine.dispose()
    assert rows > 0


@pytest.mark.parametrize("name", sweep(BUCKET_WORLDS, lambda name: name in _FEW))
def test_a_bucket_holds_exactly_its_world(name: str, world: Callable[..., World], seaweed: SeaweedFS) -> None:
    """Keys with `:`, `+` and `%2F` arrive literally, and nothing of another test is left in the bucket."""
    loaded = world(name)
    with closing(seaweed.client()) as client:
        found = sorted(item["Key"] for item in client.list_objects_v2(Bucket="xcoms")["Contents"])
    assert found == loaded.keys
    assert len(found) == loaded.truth["objects"]


def test_backdated_objects_are_old_and_unchanged(seaweed: SeaweedFS, seaweed_bucket: str) -> None:
    """Back-dating changes what LIST and HEAD say of the time, and neither bytes nor ETag."""
    keys = ["a/b c/é+x:y%2Fz.json", "plain", "many/+/%20"]
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    with closing(seaweed.client()) as client:
        etags = {
            key: client.put_object(Bucket=seaweed_bucket, Key=key, Body=key.encode())["ETag"] for key in keys
        }
        times = {key: at - timedelta(days=number) for number, key in enumerate(keys)}
        seaweed.backdate({(seaweed_bucket, key): time for key, time in times.items()})
        listed = {item["Key"]: item for item in client.list_objects_v2(Bucket=seaweed_bucket)["Contents"]}
        heads = {key: client.head_object(Bucket=seaweed_bucket, Key=key) for key in keys}
        bodies = {key: client.get_object(Bucket=seaweed_bucket, Key=key)["Body"].read() for key in keys}
    assert {key: item["LastModified"] for key, item in listed.items()} == times
    assert {key: head["LastModified"] for key, head in heads.items()} == times
    assert {key: item["ETag"] for key, item in listed.items()} == etags
    assert bodies == {key: key.encode() for key in keys}


def test_backdating_names_the_object_that_is_missing(seaweed: SeaweedFS, seaweed_bucket: str) -> None:
    """An object that does not exist is a KeyError, not silence."""
    with pytest.raises(KeyError, match="nothing-here"):
        seaweed.backdate({(seaweed_bucket, "nothing-here"): datetime(2026, 1, 1, tzinfo=timezone.utc)})


def test_a_postgres_database_is_empty_and_asks_for_a_password(postgres_database: str) -> None:
    """The server checks passwords, so that a wrong one can be tested."""
    url = sqlalchemy.make_url(postgres_database)
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
    engine.dispose()
    wrong = sqlalchemy.create_engine(url.set(password=f"not {url.password}"))
    with pytest.raises(sqlalchemy.exc.OperationalError, match="password authentication failed"):
        wrong.connect()
    wrong.dispose()
    assert tables == []


@pytest.mark.mariadb
def test_a_mariadb_database_is_empty(mariadb_database: str) -> None:
    """Each test has a MariaDB database of its own."""
    engine = sqlalchemy.create_engine(mariadb_database)
    with engine.connect() as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
    engine.dispose()
    assert tables == []
