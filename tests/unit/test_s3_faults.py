"""Stores that lie, stumble or are no stores: nothing is lost, and nothing is taken for absent."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timezone

import pytest

from tests.services.scripted_store import Answer, Asked, ScriptedStore, scripted_store
from xcomctl.errors import StoreError, UsageError
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3 import delete
from xcomctl.s3.interface import DeleteOutcome, ObjectInfo
from xcomctl.s3.store import S3Settings, S3Store

WRITTEN_AT = datetime(2026, 11, 1, 6, 0, 0, tzinfo=timezone.utc)
HEAD = Answer(
    b"12345",
    headers=(("ETag", '"abc"'), ("Last-Modified", "Sun, 01 Nov 2026 06:00:00 GMT")),
)


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(delete, "_PAUSE_SECONDS", 0.001)


@contextmanager
def store_of(script: Callable[[Asked], Answer]) -> Iterator[tuple[S3Store, ScriptedStore]]:
    """The store under test on a server with this script."""
    with (
        scripted_store(script) as server,
        closing(S3Store(S3Settings(endpoint_url=server.endpoint_url))) as store,
    ):
        yield store, server


def judged(*keys: str) -> list[ObjectInfo]:
    """Objects as HEAD describes them."""
    return [ObjectInfo(ObjectAddress("bucket", key), 5, "abc", WRITTEN_AT) for key in keys]


def page(
    *keys: str, after: str | None = None, truncated: bool | None = None, count: int | None = None
) -> Answer:
    """One page of a listing."""
    contents = "".join(
        f"<Contents><Key>{key}</Key><Size>5</Size><ETag>&quot;abc&quot;</ETag>"
        "<LastModified>2026-11-01T06:00:00.123Z</LastModified></Contents>"
        for key in keys
    )
    more = str(after is not None if truncated is None else truncated).lower()
    marker = "" if after is None else f"<NextContinuationToken>{after}</NextContinuationToken>"
    announced = len(keys) if count is None else count
    return Answer(
        f"<ListBucketResult><Name>bucket</Name><KeyCount>{announced}</KeyCount><IsTruncated>{more}</IsTruncated>"
        f"{marker}{contents}</ListBucketResult>".encode()
    )


def error(code: str, status: int) -> Answer:
    """An error as S3 tells it."""
    return Answer(f"<Error><Code>{code}</Code><Message>said so</Message></Error>".encode(), status)


def listed(script: Callable[[Asked], Answer], root: str = "") -> list[str]:
    """Keys that a store with this script lists."""
    with store_of(script) as (store, _):
        return [
            key for batch in store.batches(Root("bucket", root)) for key in batch.column("key").to_pylist()
        ]


def test_pages_are_followed_to_the_end() -> None:
    """Each page's marker asks for the next one; an empty page in between is no end."""
    pages = {"": page("a", "b", after="one"), "one": page(after="two"), "two": page("c")}
    assert listed(lambda asked: pages[asked.query.get("continuation-token", "")]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("pages", "cause"),
    [
        ({"": page("a", truncated=True)}, "a page says that there is more, and not where"),
        ({"": page("a", after="x"), "x": page(after="x")}, "the store gave the same page marker twice"),
        ({"": page("a", after="x"), "x": page("a", after="y")}, "the store gave the same page twice"),
        ({"": page("a", "b", count=3)}, "a page announced 3 objects and held 2"),
        ({"": Answer(b"<html><body>Sign in</body></html>")}, "the answer is not a listing"),
    ],
    ids=["no marker", "same marker", "same page", "lost key", "login page"],
)
def test_a_listing_that_does_not_add_up_is_an_error(pages: dict[str, Answer], cause: str) -> None:
    """A lost or repeated page is an incomplete listing, never a short one."""
    with pytest.raises(StoreError, match=f"^incomplete listing of s3://bucket: {re.escape(cause)}$"):
        listed(lambda asked: pages[asked.query.get("continuation-token", "")])


def test_a_listing_from_elsewhere_is_an_error() -> None:
    """A store that ignores the prefix would offer somebody else's objects."""
    with pytest.raises(StoreError, match="the store gave objects from elsewhere"):
        listed(lambda asked: page("xcom/a", "other/b"), root="xcom/")


def test_a_page_that_fails_late_fails_the_listing() -> None:
    """A 403 in the middle of a listing is an error, not its end."""
    pages = {"": page("a", after="one"), "one": error("AccessDenied", 403)}
    with pytest.raises(StoreError, match=r"access to s3://bucket at .* is denied"):
        listed(lambda asked: pages[asked.query.get("continuation-token", "")])


@pytest.mark.parametrize(
    ("answer", "cause", "hint"),
    [
        (
            error("AccessDenied", 403),
            "access to s3://bucket/key at ENDPOINT is denied",
            "grant s3:GetObject on",
        ),
        (error("ExpiredToken", 400), "the credentials for ENDPOINT have expired", "sign in again"),
        (
            Answer(status=301, headers=(("x-amz-bucket-region", "eu-west-3"),)),
            "the bucket 'bucket' is in another region, eu-west-3",
            "add --region eu-west-3",
        ),
        (
            Answer(status=301, headers=(("Location", "https://127.0.0.1/"),)),
            "ENDPOINT redirects every request",
            "https instead of http",
        ),
        (error("InvalidObjectState", 403), "s3://bucket/key is in an archive storage class", "restore it"),
        (error("RequestTimeTooSkewed", 403), "the clock of this machine is too far off", "set the clock"),
        (
            error("Teapot", 418),
            "refused s3:GetObject on s3://bucket/key (Teapot: said so)",
            "check the network",
        ),
        (
            Answer(b"short", headers=(("Content-Length", "100"),)),
            "the connection to ENDPOINT broke",
            "try again",
        ),
    ],
)
def test_every_refusal_has_a_cause_and_a_way_out(answer: Answer, cause: str, hint: str) -> None:
    """What a store may answer to a read is told in one line, with what to do."""
    with store_of(lambda asked: answer) as (store, server), pytest.raises(StoreError) as caught:
        store.read(ObjectAddress("bucket", "key"))
    assert cause in str(caught.value).replace(server.endpoint_url, "ENDPOINT")
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("status", [403, 500, 503])
def test_only_a_404_means_absent(status: int) -> None:
    """A HEAD that fails otherwise is an error."""
    with store_of(lambda asked: Answer(status=status)) as (store, _), pytest.raises(StoreError):
        store.stat(ObjectAddress("bucket", "key"))


def test_a_404_of_a_bucket_that_may_not_be_asked_for_is_an_error() -> None:
    """Where nobody may say whether the bucket exists, the object is not taken for absent."""

    def script(asked: Asked) -> Answer:
        return Answer(status=404 if asked.path == "/bucket/key" else 403)

    with store_of(script) as (store, _), pytest.raises(StoreError) as caught:
        store.stat(ObjectAddress("bucket", "key"))
    assert "grant s3:ListBucket on arn:aws:s3:::bucket," in str(caught.value.hint)


def test_a_store_without_ranges_is_an_error() -> None:
    """A whole object where a part was asked for is not taken for the part."""
    with store_of(lambda asked: Answer(b"whole object")) as (store, _):
        assert store.read(ObjectAddress("bucket", "key"), 0, 5) == b"whole"
        with pytest.raises(StoreError, match="gives whole objects only"):
            store.read(ObjectAddress("bucket", "key"), 5, 3)


def deleted(script: Callable[[Asked], Answer], *keys: str) -> tuple[list[DeleteOutcome], list[Asked]]:
    """Outcomes of deleting `keys` where HEAD finds all as judged; and the requests to delete."""

    def with_heads(asked: Asked) -> Answer:
        return HEAD if asked.method == "HEAD" else script(asked)

    with store_of(with_heads) as (store, server):
        outcomes = store.delete(judged(*keys))
    return outcomes, [asked for asked in server.asked if asked.method != "HEAD"]


def keys_in(asked: Asked) -> list[str]:
    """Keys of a request to delete a batch."""
    return re.findall("<Key>(.*?)</Key>", asked.body.decode())


def confirmed(*keys: str, errors: str = "") -> Answer:
    """The answer that these keys were deleted."""
    done = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
    return Answer(f"<DeleteResult>{done}{errors}</DeleteResult>".encode())


def failure(key: str, code: str) -> str:
    """One key's failure, in the answer to a batch."""
    return f"<Error><Key>{key}</Key><Code>{code}</Code><Message>said so</Message></Error>"


def test_the_etag_is_given_as_a_condition() -> None:
    """Every key of a batch carries the etag of the object that was judged."""
    outcomes, asked = deleted(lambda asked: confirmed(*keys_in(asked)), "a", "b")
    assert [outcome.result for outcome in outcomes] == ["deleted", "deleted"]
    assert re.findall("<ETag>(.*?)</ETag>", asked[0].body.decode()) in (
        [""""abc\""""] * 2,
        ["&quot;abc&quot;"] * 2,
    )


def test_every_key_has_its_own_outcome() -> None:
    """Refused, changed, vanished and unmentioned keys are told apart; only confirmed ones count as deleted."""
    errors = failure("b", "AccessDenied") + failure("c", "PreconditionFailed") + failure("d", "NoSuchKey")
    outcomes, _ = deleted(lambda asked: confirmed("a", errors=errors), "a", "b", "c", "d", "e")
    assert [(outcome.address.key, outcome.result, outcome.cause) for outcome in outcomes] == [
        ("a", "deleted", None),
        ("b", "failed", "AccessDenied: said so"),
        ("c", "changed", "PreconditionFailed"),
        ("d", "gone", None),
        ("e", "failed", "the store did not confirm it"),
    ]


def test_a_key_that_stumbles_is_tried_again_alone() -> None:
    """A passing failure of one key is repeated for that key only."""
    rounds = iter([confirmed("a", errors=failure("b", "InternalError")), confirmed("b")])
    outcomes, asked = deleted(lambda asked: next(rounds), "a", "b")
    assert [outcome.result for outcome in outcomes] == ["deleted", "deleted"]
    assert [keys_in(request) for request in asked] == [["a", "b"], ["b"]]


def test_a_key_that_keeps_stumbling_has_failed() -> None:
    """After a few attempts a failure is final."""
    outcomes, asked = deleted(lambda asked: confirmed(errors=failure("a", "SlowDown")), "a")
    assert [(outcome.result, outcome.cause) for outcome in outcomes] == [("failed", "SlowDown: said so")]
    assert len(asked) == 4


@pytest.mark.parametrize(("code", "status"), [("NotImplemented", 501), ("MalformedXML", 400)])
def test_a_store_that_knows_no_conditions_is_asked_without(code: str, status: int) -> None:
    """A store that refuses the whole request for its conditions gets it without: the object was asked for just before."""

    def script(asked: Asked) -> Answer:
        return error(code, status) if b"<ETag>" in asked.body else confirmed(*keys_in(asked))

    outcomes, _ = deleted(script, "a", "b")
    assert [outcome.result for outcome in outcomes] == ["deleted", "deleted"]


def test_a_refused_batch_fails_each_of_its_objects() -> None:
    """A request that fails as a whole has deleted nothing that could be relied on."""
    outcomes, _ = deleted(lambda asked: error("AccessDenied", 403), "a", "b")
    assert [outcome.result for outcome in outcomes] == ["failed", "failed"]
    assert all("denied" in str(outcome.cause) for outcome in outcomes)


def test_a_batch_carries_the_checksum_that_older_products_demand() -> None:
    """They refuse one without Content-MD5, whatever other checksum there is."""

    def script(asked: Asked) -> Answer:
        expected = base64.b64encode(hashlib.md5(asked.body, usedforsecurity=False).digest()).decode()
        if asked.headers.get("content-md5") != expected:
            return error("MissingContentMD5", 400)
        return confirmed(*keys_in(asked))

    outcomes, _ = deleted(script, "a", "b")
    assert [outcome.result for outcome in outcomes] == ["deleted", "deleted"]


def test_a_key_that_xml_cannot_carry_is_deleted_alone() -> None:
    """A control character in one key does not spoil the batch of the others."""

    def script(asked: Asked) -> Answer:
        return Answer(status=204) if asked.method == "DELETE" else confirmed(*keys_in(asked))

    outcomes, asked = deleted(script, "a", "bell\a", "b")
    assert [outcome.result for outcome in outcomes] == ["deleted"] * 3
    assert [(request.method, request.path) for request in asked] == [
        ("DELETE", "/bucket/bell%07"),
        ("POST", "/bucket"),
    ]
    assert asked[0].headers["if-match"] == '"abc"'


def test_a_fraction_of_a_second_is_no_change() -> None:
    """Some products list fractions of a second that a HEAD does not tell."""
    with_fraction = ObjectInfo(ObjectAddress("bucket", "a"), 5, "abc", WRITTEN_AT.replace(microsecond=123000))

    def script(asked: Asked) -> Answer:
        return HEAD if asked.method == "HEAD" else confirmed("a")

    with store_of(script) as (store, _):
        assert [outcome.result for outcome in store.delete([with_fraction])] == ["deleted"]


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        (S3Settings(endpoint_url="localhost:9000"), "'localhost:9000' is not an endpoint"),
        (S3Settings(profile="nobody"), "The config profile (nobody) could not be found"),
    ],
)
def test_settings_that_cannot_be_are_usage_errors(settings: S3Settings, cause: str) -> None:
    """A malformed endpoint or an unknown profile is the user's to correct."""
    with closing(S3Store(settings)) as store, pytest.raises(UsageError) as caught:
        store.stat(ObjectAddress("bucket", "key"))
    assert str(caught.value) == cause
    assert caught.value.hint is not None


def test_a_bucket_name_that_cannot_be_is_a_usage_error() -> None:
    """A name that no bucket can have is told before anything is sent."""
    settings = S3Settings(endpoint_url="http://127.0.0.1:1")
    expected = "s3://no bucket/key is not a possible S3 address"
    with closing(S3Store(settings)) as store, pytest.raises(UsageError, match=expected):
        store.stat(ObjectAddress("no bucket", "key"))


def test_an_endpoint_is_shown_without_its_password() -> None:
    """A user and password in the endpoint's URL stay out of every message."""
    settings = S3Settings(endpoint_url="http://me:secret@127.0.0.1:1")
    with closing(S3Store(settings)) as store, pytest.raises(StoreError) as caught:
        store.stat(ObjectAddress("bucket", "key"))
    assert str(caught.value) == "http://127.0.0.1:1 does not answer"
