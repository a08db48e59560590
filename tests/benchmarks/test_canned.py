"""The server on which listing is measured gives the pages that a complete one gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from benchmarks.bucket import NAME, airflow_keys, even, skewed, write_bucket
from benchmarks.canned import CannedServer, serving
from tests.services.object_stores import MotoServer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_AT = datetime(2026, 1, 1, tzinfo=timezone.utc)
_KEYS = sorted(
    [
        *(key for key, _ in airflow_keys([20, 30])),
        *("a&b/<c>", "a&b/d+e", "a b/%2F", "b", "b/", "b//c", "b/é", "xcom", "zz/日本"),
    ],
    key=str.encode,
)


@pytest.fixture(scope="module")
def canned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CannedServer]:
    """A canned server with all of `_KEYS`."""
    folder = tmp_path_factory.mktemp("canned")
    write_bucket(folder, ((key, _AT) for key in _KEYS))
    with serving(folder) as server:
        yield server


@pytest.fixture(scope="module")
def complete(moto_server: MotoServer) -> Iterator[MotoServer]:
    """Moto with all of `_KEYS`."""
    with closing(moto_server.client()) as client:
        client.create_bucket(Bucket=NAME)
        for key in _KEYS:
            client.put_object(Bucket=NAME, Key=key, Body=b"x")
        yield moto_server
        for key in _KEYS:
            client.delete_object(Bucket=NAME, Key=key)
        client.delete_bucket(Bucket=NAME)


def _client(server: CannedServer) -> S3Client:
    session = boto3.session.Session("canned", "canned", region_name=server.region)
    return session.client("s3", endpoint_url=server.endpoint_url)


def _pages(client: S3Client, **question: Any) -> list[tuple[list[str], list[str], int]]:
    """Keys, folders and the count of each page."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=NAME, **question)
    return [
        (
            [item["Key"] for item in page.get("Contents", [])],
            [found["Prefix"] for found in page.get("CommonPrefixes", [])],
            page["KeyCount"],
        )
        for page in pages
    ]


@pytest.mark.parametrize(
    "question",
    [
        pytest.param({}, id="all"),
        pytest.param({"Prefix": "xcom/"}, id="prefix"),
        pytest.param({"Prefix": "xcom/team_etl_pipeline_00001", "Delimiter": "/"}, id="folders"),
        pytest.param({"Delimiter": "/"}, id="folders and keys"),
        pytest.param({"Prefix": "b/", "Delimiter": "/"}, id="a key that is the prefix"),
        pytest.param({"StartAfter": "a&b/d+e"}, id="after a key"),
        pytest.param({"StartAfter": "b/c"}, id="after no key"),
        pytest.param({"Prefix": "xcom/", "StartAfter": "zz"}, id="nothing left"),
        pytest.param({"Prefix": "nowhere"}, id="nothing there"),
    ],
)
def test_pages_are_those_of_a_complete_server(
    canned: CannedServer, complete: MotoServer, question: dict[str, str]
) -> None:
    """Keys, folders and counts, in one page and in pages of seven."""
    with closing(_client(canned)) as ours, closing(complete.client()) as theirs:
        assert _pages(ours, **question) == _pages(theirs, **question)
        small = {**question, "PaginationConfig": {"PageSize": 7}}
        assert _gathered(_pages(ours, **small)) == _gathered(_pages(theirs, **question))


def _gathered(pages: list[tuple[list[str], list[str], int]]) -> tuple[list[str], list[str]]:
    return [key for keys, _, _ in pages for key in keys], [name for _, names, _ in pages for name in names]


def test_what_is_written_and_deleted_shows(canned: CannedServer) -> None:
    """In the listing, by HEAD and by GET, whole and in part."""
    with closing(_client(canned)) as client:
        listed = client.list_objects_v2(Bucket=NAME, Prefix="zz/")["Contents"]
        assert [(listed[0]["Key"], listed[0]["LastModified"])] == [("zz/日本", _AT)]
        head = client.head_object(Bucket=NAME, Key="zz/日本")
        assert (head["ETag"], head["ContentLength"]) == (listed[0]["ETag"], listed[0]["Size"])
        client.put_object(Bucket=NAME, Key="zz/a", Body=b"hello")
        assert [keys for keys, _, _ in _pages(client, Prefix="zz/")] == [["zz/a", "zz/日本"]]
        part = client.get_object(Bucket=NAME, Key="zz/a", Range="bytes=1-2")
        with closing(part["Body"]) as body:
            assert body.read() == b"el"
        gone = client.delete_objects(Bucket=NAME, Delete={"Objects": [{"Key": "zz/a"}, {"Key": "a&b/<c>"}]})
        assert [item["Key"] for item in gone["Deleted"]] == ["zz/a", "a&b/<c>"]
        assert _gathered(_pages(client, Prefix="zz/"))[0] == ["zz/日本"]
        with pytest.raises(client.exceptions.ClientError, match="404"):
            client.head_object(Bucket=NAME, Key="a&b/<c>")


def test_a_bucket_is_in_order_and_has_its_size(tmp_path: Path) -> None:
    """Every key is found where it stands, and most of a skewed bucket is in one DAG."""
    bucket = write_bucket(tmp_path / "skewed", airflow_keys(skewed(1000)))
    keys = [bucket.key(number) for number in range(bucket.count)]
    assert keys == sorted(set(keys))
    assert [bucket.number(key) for key in keys] == list(range(1000))
    assert sum(key.startswith(b"xcom/team_etl_pipeline_00015/") for key in keys) == 710
    assert sum(even(1000, dags=10)) == 1000
