"""What goes over the wire: the headers of every request, and what is done when the store is busy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from botocore.exceptions import ClientError

from tests.services.scripted_store import Answer, Asked, ScriptedStore, scripted_store
from xcomctl_backend._exchange import Exchange
from xcomctl_backend._reference import Coordinates, Reference
from xcomctl_backend._s3 import S3Objects, default_client
from xcomctl_backend._settings import Settings

WHERE = Coordinates("d", "r", "t", -1, "return_value")
BIG = list(range(1000))
SETTINGS = Settings(
    "bucket",
    "x",
    encryption="aws:kms",
    kms_key_id="alias/xcom",
    storage_class="STANDARD_IA",
    tags=(("team", "a b"), ("cost", "etl")),
    requester_pays=True,
)
WRITTEN = {
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-aws-kms-key-id": "alias/xcom",
    "x-amz-storage-class": "STANDARD_IA",
    "x-amz-tagging": "team=a+b&cost=etl",
}
_STARTED = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
_COMPLETE = b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>"


def _answer(asked: Asked) -> Answer:
    """What a store answers that keeps nothing: to a GET it gives the list that the tests push."""
    if asked.method == "POST":
        return Answer(_STARTED if "uploads" in asked.query else _COMPLETE)
    if asked.method == "GET":
        return Answer(json.dumps(BIG, separators=(",", ":")).encode())
    return Answer(b"", 204 if asked.method == "DELETE" else 200, (("ETag", '"e"'),))


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some credentials, and none of the person who runs the tests."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)


@contextmanager
def _exchange(store: ScriptedStore) -> Iterator[Exchange]:
    options = {"write_options": SETTINGS.write_options, "request_options": SETTINGS.request_options}
    connected = S3Objects(lambda: default_client(endpoint_url=store.endpoint_url, region=None), **options)
    with closing(connected):
        yield Exchange(SETTINGS, connected)


def _push(exchange: Exchange, value: object) -> Reference:
    pushed = exchange.push(value, WHERE)
    assert isinstance(pushed, Reference)
    return pushed


@pytest.mark.parametrize("value", [BIG, b"x" * (65 << 20)], ids=["whole", "in parts"])
def test_a_write_carries_the_settings(value: object) -> None:
    """The request that makes an object has encryption, key, storage class and tags of the settings, and only that one."""
    with scripted_store(_answer) as store, _exchange(store) as exchange:
        _push(exchange, value)
    first, *parts = store.asked
    assert {name: first.headers.get(name) for name in WRITTEN} == WRITTEN
    assert [name for asked in parts for name in asked.headers if name in WRITTEN] == []
    assert len(parts) == (0 if value is BIG else 10)


def test_every_request_says_who_pays() -> None:
    """With `requester_pays` every request says so: writing, in parts too, reading, asking for a file, and deleting."""
    with scripted_store(_answer) as store, _exchange(store) as exchange:
        reference = _push(exchange, BIG)
        assert exchange.pull(reference.to_json()) == BIG
        _push(exchange, b"x" * (65 << 20))
        exchange._objects.size(reference.bucket, reference.key)
        exchange.purge(reference.to_json(), {"key": "return_value"})
    assert {asked.method for asked in store.asked} == {"PUT", "GET", "POST", "HEAD", "DELETE"}
    assert {asked.headers.get("x-amz-request-payer") for asked in store.asked} == {"requester"}


def test_nothing_is_left_of_a_write_that_failed() -> None:
    """If the store refuses a part, the parts before it are given up, and the task gets the store's error."""

    def answer(asked: Asked) -> Answer:
        if asked.query.get("partNumber") == "3":
            return Answer(b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>", 403)
        return _answer(asked)

    denied = pytest.raises(ClientError, match="AccessDenied")
    with scripted_store(answer) as store, _exchange(store) as exchange, denied:
        _push(exchange, b"x" * (65 << 20))
    last = store.asked[-1]
    assert (last.method, last.query) == ("DELETE", {"uploadId": "u"})


def test_a_pull_downloads_once() -> None:
    """A pull is one request, and so is a push."""
    with scripted_store(_answer) as store, _exchange(store) as exchange:
        exchange.pull(_push(exchange, BIG).to_json())
    assert [asked.method for asked in store.asked] == ["PUT", "GET"]


def test_a_busy_store_is_asked_again() -> None:
    """A store that asks to slow down gets the request again, and the task gets its value."""
    busy = {"PUT", "GET", "DELETE"}

    def answer(asked: Asked) -> Answer:
        if asked.method in busy:
            busy.remove(asked.method)
            return Answer(b"<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>", 503)
        return _answer(asked)

    with scripted_store(answer) as store, _exchange(store) as exchange:
        reference = _push(exchange, BIG)
        assert exchange.pull(reference.to_json()) == BIG
        exchange.purge(reference.to_json(), {"key": "return_value"})
    assert [asked.method for asked in store.asked] == ["PUT", "PUT", "GET", "GET", "DELETE", "DELETE"]
