from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any

import pandas as pd
import pytest

from tests.backend.golden import golden_cases, orders
from tests.services.object_stores import MotoServer, empty_bucket, new_bucket, remove_bucket
from xcomctl.demo.server import SeaweedFS
from xcomctl_backend._codecs import Inline
from xcomctl_backend._exchange import Exchange, describe
from xcomctl_backend._reference import Coordinates, Reference, object_key, quote_component
from xcomctl_backend._s3 import S3Objects, default_client
from xcomctl_backend._settings import Settings
from xcomctl_backend.errors import CorruptObjectError, EncodingError, MissingObjectError, ReferenceFormatError

WHERE = Coordinates("sales_daily", "manual__2024-01-01T00:00:00+00:00", "extract", -1, "return_value")
ROW = {
    "dag_id": "sales_daily",
    "run_id": WHERE.run_id,
    "task_id": "extract",
    "map_index": -1,
    "key": "return_value",
}
BIG = {"rows": list(range(1000))}


@pytest.fixture(scope="module")
def shared_bucket(seaweed: SeaweedFS) -> Iterator[str]:
    """One bucket for all tests of this module: making one takes longer than most of them."""
    name = new_bucket(seaweed)
    yield name
    remove_bucket(seaweed, name)


@pytest.fixture
def bucket(seaweed: SeaweedFS, shared_bucket: str) -> Iterator[str]:
    """An empty bucket on SeaweedFS."""
    yield shared_bucket
    with closing(seaweed.client()) as client:
        empty_bucket(client, shared_bucket)


@pytest.fixture
def objects(aws_environment: SeaweedFS) -> Iterator[S3Objects]:
    """Objects on SeaweedFS, with the credentials of the environment."""
    endpoint_url = aws_environment.endpoint_url
    with closing(S3Objects(lambda: default_client(endpoint_url=endpoint_url, region=None))) as connected:
        yield connected


@pytest.fixture
def exchange(bucket: str, objects: S3Objects) -> Exchange:
    """An exchange with the default settings, under `airflow/xcom` of a new bucket."""
    return _exchange(Settings(bucket, "airflow/xcom"), objects)


def _exchange(settings: Settings, objects: S3Objects) -> Exchange:
    return Exchange(settings, objects)


def _push(exchange: Exchange, value: object, where: Coordinates = WHERE) -> Reference:
    pushed = exchange.push(value, where)
    assert isinstance(pushed, Reference)
    return pushed


def _keys(server: SeaweedFS, bucket: str) -> list[str]:
    with closing(server.client()) as client:
        return [found["Key"] for found in client.list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.mark.parametrize(
    "value", [BIG, list(range(1000)), "id,name\n" * 500, b"\x00\xff", {"__xcomctl__": 1, "rows": "x" * 1024}]
)
def test_what_is_pushed_is_pulled(exchange: Exchange, value: object) -> None:
    """A value that went to S3 is pulled as it was."""
    assert exchange.pull(_push(exchange, value).to_json()) == value


def test_a_frame_is_pulled_as_it_was(exchange: Exchange) -> None:
    """A DataFrame of any size goes to S3 and comes back equal."""
    pd.testing.assert_frame_equal(exchange.pull(_push(exchange, orders()).to_json()), orders())


def test_small_values_stay_in_the_row(exchange: Exchange, seaweed: SeaweedFS, bucket: str) -> None:
    """Below the threshold the value is the row's JSON, and nothing goes to S3."""
    values = {"a": "é"}, None, "x"
    assert [exchange.push(value, WHERE) for value in values] == [
        Inline('{"a":"é"}'.encode(), {"a": "é"}),
        Inline(b"null", None),
        Inline(b'"x"', "x"),
    ]
    assert _keys(seaweed, bucket) == []


def test_the_threshold_counts_bytes_of_json(bucket: str, objects: S3Objects) -> None:
    """A value whose JSON has as many bytes as the threshold goes to S3, one byte less stays; with 0 all but None go."""
    exchange = _exchange(Settings(bucket, "", threshold=10), objects)
    assert exchange.push("é" * 3 + "x", WHERE) == Inline(b'"\xc3\xa9\xc3\xa9\xc3\xa9x"', "éééx")
    assert _push(exchange, "é" * 4).size == 8
    everything = _exchange(Settings(bucket, "", threshold=0), objects)
    assert _push(everything, 1).codec == "json"
    assert everything.push(None, WHERE) == Inline(b"null", None)


def test_the_object_says_whose_it_is(exchange: Exchange, seaweed: SeaweedFS, bucket: str) -> None:
    """Key, content type and metadata of the object are those of the format."""
    reference = _push(exchange, orders())
    folder = "airflow/xcom/sales_daily/manual__2024-01-01T00%3A00%3A00%2B00%3A00/extract/-1/return_value"
    unique = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert re.fullmatch(re.escape(folder) + f"/{unique}" + r"\.parquet", reference.key)
    with closing(seaweed.client()) as client:
        head = client.head_object(Bucket=bucket, Key=reference.key)
    assert (head["ContentLength"], head["ContentType"]) == (reference.size, "application/vnd.apache.parquet")
    assert head["Metadata"] == {
        "xcomctl-format": "1",
        "xcomctl-codec": "parquet",
        "xcomctl-sha256": reference.sha256,
        "xcomctl-dag-id": "sales_daily",
        "xcomctl-run-id": "manual__2024-01-01T00%3A00%3A00%2B00%3A00",
        "xcomctl-task-id": "extract",
        "xcomctl-map-index": "-1",
        "xcomctl-key": "return_value",
    }


def test_every_golden_key_is_kept_by_a_real_store(
    seaweed: SeaweedFS, bucket: str, objects: S3Objects
) -> None:
    """The store lists every golden key exactly as it was written, with its metadata."""
    cases = golden_cases()
    for case in cases:
        objects.put(bucket, case.key, case.payload, content_type="text/plain", metadata=case.metadata)
    assert sorted(_keys(seaweed, bucket)) == sorted(case.key for case in cases)
    with closing(seaweed.client()) as client:
        for case in cases:
            assert client.head_object(Bucket=bucket, Key=case.key)["Metadata"] == case.metadata


@pytest.mark.parametrize("key", ["..", ".", "a/b", "/", "é ?#%+&", "~", "a//b", "line\nbreak", "x" * 512])
def test_any_xcom_key_works(exchange: Exchange, key: str) -> None:
    """An XCom key of any characters is stored, pulled and purged."""
    where = Coordinates("d", "r", "t", 3, key)
    reference = _push(exchange, BIG, where)
    assert exchange.pull(reference.to_json()) == BIG
    exchange.purge(
        reference.to_json(), {"dag_id": "d", "run_id": "r", "task_id": "t", "map_index": 3, "key": key}
    )
    with pytest.raises(MissingObjectError):
        exchange.pull(reference.to_json())


def test_every_write_has_a_key_of_its_own(exchange: Exchange, seaweed: SeaweedFS, bucket: str) -> None:
    """Pushing the same XCom again never overwrites an object."""
    assert _push(exchange, BIG).key != _push(exchange, BIG).key
    assert len(_keys(seaweed, bucket)) == 2


def test_a_missing_object_is_an_error(exchange: Exchange, objects: S3Objects) -> None:
    """If the object is gone the pull fails, naming XCom, object and command; it never returns the reference."""
    reference = _push(exchange, BIG)
    objects.delete(reference.bucket, reference.key)
    with pytest.raises(MissingObjectError) as caught:
        exchange.pull(reference.to_json())
    message = str(caught.value)
    assert message.startswith(f"XCom {WHERE}: its object {reference.uri} does not exist.")
    assert f"xcomctl explain '{reference.uri}', xcomctl fsck" in message


@pytest.mark.parametrize("payload", [b"[]", b"[1]"], ids=["size", "checksum"])
def test_a_changed_object_is_an_error(exchange: Exchange, objects: S3Objects, payload: bytes) -> None:
    """An object of another size or checksum than the reference says is not decoded."""
    reference = _push(exchange, BIG)
    small = Reference.to_payload(reference.bucket, reference.key, "json", b"[2]", type_name="list")
    objects.put(small.bucket, small.key, payload, content_type="application/json", metadata={})
    with pytest.raises(CorruptObjectError, match="is not what was written"):
        exchange.pull(small.to_json())


def test_a_missing_bucket_is_not_a_missing_object(exchange: Exchange) -> None:
    """A bucket that is not there is the store's error, and not taken for a deleted object."""
    from botocore.exceptions import ClientError

    reference = Reference.to_payload("no-such-bucket", "k", "json", b"1", type_name="int")
    with pytest.raises(ClientError):
        exchange.pull(reference.to_json())


def test_what_cannot_be_stored_leaves_nothing(exchange: Exchange, seaweed: SeaweedFS, bucket: str) -> None:
    """A value of an unknown type is an error that names the XCom, and no object is left."""
    with pytest.raises(
        EncodingError,
        match=r"XCom sales_daily/.*/extract:return_value: a value of type dict cannot be stored: it holds a object",
    ):
        exchange.push({"rows": BIG, "frame": orders(), "bad": object()}, WHERE)
    assert _keys(seaweed, bucket) == []


def test_purge_deletes_the_object_of_the_row(exchange: Exchange, seaweed: SeaweedFS, bucket: str) -> None:
    """When Airflow clears a row its object goes, and only that one; a second purge is no error."""
    gone, kept = _push(exchange, BIG), _push(exchange, BIG)
    exchange.purge(gone.to_json(), ROW)
    exchange.purge(gone.to_json(), ROW)
    assert _keys(seaweed, bucket) == [kept.key]


def test_purge_knows_only_the_key_in_airflow_3(exchange: Exchange, seaweed: SeaweedFS, bucket: str) -> None:
    """Airflow 3 tells the key of the row and no other coordinate; that is enough."""
    exchange.purge(_push(exchange, BIG).to_json(), {**dict.fromkeys(ROW), "key": "return_value"})
    assert _keys(seaweed, bucket) == []


@pytest.mark.parametrize(
    "change",
    [
        {"dag_id": "other"},
        {"run_id": "r2"},
        {"task_id": "extract2"},
        {"map_index": 0},
        {"key": "return_values"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_purge_leaves_the_object_of_another_row(
    exchange: Exchange, change: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A row that names the object of another XCom, as anybody may write who edits XComs, deletes nothing."""
    reference = _push(exchange, BIG)
    with caplog.at_level(logging.WARNING):
        exchange.purge(reference.to_json(), {**ROW, **change})
    assert caplog.messages == [f"Left {reference.uri} alone: it is not where this XCom's object would be"]
    assert exchange.pull(reference.to_json()) == BIG


def test_purge_leaves_what_is_not_under_the_path(
    exchange: Exchange, bucket: str, objects: S3Objects, caplog: pytest.LogCaptureFixture
) -> None:
    """After the path was changed the old objects are left to the collector, and so is whatever else a row names."""
    reference = _push(exchange, BIG)
    moved = _exchange(Settings(bucket, "airflow/xcom2"), objects)
    moved.purge(reference.to_json(), ROW)
    other = Reference.to_payload(bucket, "airflow/xcom/precious.parquet", "json", b"1", type_name="int")
    exchange.purge(other.to_json(), ROW)
    exchange.purge({"__xcomctl__": 2}, ROW)
    assert len(caplog.messages) == 3
    assert exchange.pull(reference.to_json()) == BIG


def test_purge_survives_a_store_that_refuses(
    exchange: Exchange, seaweed: SeaweedFS, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    """If the store denies the deletion the task goes on; the log says that the object stays."""
    reference = _push(exchange, BIG)
    with closing(S3Objects(lambda: seaweed.client("reader"))) as readonly:
        _exchange(Settings(bucket, "airflow/xcom"), readonly).purge(reference.to_json(), ROW)
    assert caplog.messages == [f"Could not delete {reference.uri} (AccessDenied); xcomctl gc collects it"]
    assert _keys(seaweed, bucket) == [reference.key]


def test_a_later_format_is_refused(exchange: Exchange) -> None:
    """A reference of format 2 is not decoded by this release."""
    with pytest.raises(ReferenceFormatError, match="format 2"):
        exchange.pull({**_push(exchange, BIG).to_json(), "__xcomctl__": 2})


def test_threads_share_one_client(exchange: Exchange) -> None:
    """Pushes and pulls from many threads at once do not disturb each other."""

    def there_and_back(number: int) -> Any:
        where = Coordinates("d", "r", "t", number, "return_value")
        return exchange.pull(_push(exchange, [number] * 1000, where).to_json())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(there_and_back, range(40))) == [[number] * 1000 for number in range(40)]


def test_a_forked_child_has_a_client_of_its_own(exchange: Exchange, objects: S3Objects) -> None:
    """After a fork, as Airflow does for every task, parent and child both go on."""
    reference = _push(exchange, BIG)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if exchange.pull(reference.to_json()) == BIG and len(objects._clients) == 2 else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    assert exchange.pull(reference.to_json()) == BIG


def test_large_objects_go_in_parts(exchange: Exchange, seaweed: SeaweedFS) -> None:
    """An object beyond 64 MiB is sent in parts and pulled whole, with its metadata."""
    value = os.urandom(1 << 20) * 65
    reference = _push(exchange, value)
    assert exchange.pull(reference.to_json()) == value
    with closing(seaweed.client()) as client:
        head = client.head_object(Bucket=reference.bucket, Key=reference.key)
    assert head["Metadata"]["xcomctl-sha256"] == reference.sha256
    assert "-" in head["ETag"]


def test_settings_reach_the_store(moto_server: MotoServer) -> None:
    """Encryption, storage class and tags are those of the settings, for small objects and for those sent in parts."""
    moto_server.create_bucket("settings")
    settings = Settings(
        "settings",
        "",
        encryption="AES256",
        storage_class="STANDARD_IA",
        tags=(("team", "a b"),),
        requester_pays=True,
    )
    options = {"write_options": settings.write_options, "request_options": settings.request_options}
    with (
        closing(S3Objects(moto_server.client, **options)) as objects,
        closing(moto_server.client()) as client,
    ):
        exchange = Exchange(settings, objects)
        for value in (BIG, b"x" * (65 << 20)):
            reference = _push(exchange, value)
            head = client.head_object(Bucket="settings", Key=reference.key)
            tags = client.get_object_tagging(Bucket="settings", Key=reference.key)["TagSet"]
            assert (head["ServerSideEncryption"], head["StorageClass"]) == ("AES256", "STANDARD_IA")
            assert tags == [{"Key": "team", "Value": "a b"}]
            assert exchange.pull(reference.to_json()) == value


class _BrokenOnce:
    """A client whose first answer ends too early, as a connection does that breaks."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_object(self, **arguments: Any) -> Any:
        self.asked += 1
        answer = self._client.get_object(**arguments)
        if self.asked == 1:
            answer["Body"]._raw_stream.read(10)
        return answer


def _itself(client: Any) -> Any:
    return client


def test_a_connection_that_breaks_is_tried_again(seaweed: SeaweedFS, bucket: str) -> None:
    """If an answer ends too early the object is asked for again, in memory and into a file."""
    for value in (BIG, {"frame": orders()}):
        broken = _BrokenOnce(seaweed.client())
        with closing(S3Objects(partial(_itself, broken))) as objects:
            exchange = _exchange(Settings(bucket, "x"), objects)
            reference = _push(exchange, value)
            assert list(exchange.pull(reference.to_json())) == list(value)
        assert broken.asked == 2


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_compression(compression: str, bucket: str, objects: S3Objects, seaweed: SeaweedFS) -> None:
    """With gzip, JSON is stored smaller, and suffix, codec and content type say so; Parquet stays as it is."""
    exchange = _exchange(Settings(bucket, "x", compression=compression), objects)
    reference, frame = _push(exchange, BIG), _push(exchange, orders())
    gzip = compression == "gzip"
    assert (reference.codec, reference.key[-8:].partition(".")[2]) == (
        ("json+gzip", "json.gz") if gzip else ("json", "json")
    )
    assert (reference.size < 2000, frame.codec) == (gzip, "parquet")
    with closing(seaweed.client()) as client:
        head = client.head_object(Bucket=bucket, Key=reference.key)
    assert head["ContentType"] == ("application/gzip" if gzip else "application/json")
    assert exchange.pull(reference.to_json()) == BIG


def test_the_line_for_people() -> None:
    """An offloaded value is described by type, size and place, without loading it."""
    reference = Reference("s3://b/k", "parquet", 3_400_000, "0" * 64, "pandas.DataFrame")
    assert describe(reference.to_json()) == "pandas.DataFrame, 3.4 MB, in s3://b/k"
    assert describe({"__xcomctl__": 9}) == "value, unknown size, in None"


def test_a_quoted_key_is_not_decoded_on_the_way(seaweed: SeaweedFS, bucket: str, objects: S3Objects) -> None:
    """`%2F` in a key is three characters to the store, and not a slash."""
    key = object_key("", Coordinates("d", "r", "t", -1, "a/b"), "0c9f7c1e-3a52-4b7e-9d0a-0000deadbeef", "txt")
    objects.put(bucket, key, b"x", content_type="text/plain", metadata={})
    assert _keys(seaweed, bucket) == [key]
    assert f"/{quote_component('a/b')}/" in key
