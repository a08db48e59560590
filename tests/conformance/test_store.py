"""What every object store must do to be read and swept, asked of real servers: SeaweedFS, and moto's, which keeps any key.

Also of SeaweedFS through the proxy that injects faults into other tests, here without a fault.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta, timezone

import pytest

from tests.conformance.bench import Bench
from tests.services.object_stores import MotoServer
from tests.services.processes import free_port
from xcomctl.demo.server import SeaweedFS
from xcomctl.errors import NotFoundError, StoreError
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.interface import ObjectInfo, StoreErrorInfo, object_schema
from xcomctl.s3.listing import listing
from xcomctl.s3.store import S3Settings, S3Store

ODD_KEYS = (
    "dag/manual__2024-03-01T00:00:00+00:00/task/1",
    "path%2Fwith%20%C3%A9%20key%3F%23.json",
    "sp ace/pl+us/per%cent/col:on",
    "é/ü/日本/😀",
    "<&>\"'",
    "trailing ",
    "a=b&c;d,e@f$g!h*i(j)k?l#m[n]{o}|p^q`r~s",
    "tab\there",
)
"""Keys that every store must keep as they are."""

ODDER_KEYS = ("a//b", "/leading", "//", "dots/./x", "dots/../y", "..", "folder/", "back\\slash", "e\u0301")
"""Keys that S3 keeps and some products normalise or refuse."""


def test_a_listing_says_what_a_stat_says(bench_or_proxy: Bench) -> None:
    """Key, size, etag and time are the same from a listing and from a stat, and complete."""
    bench = bench_or_proxy
    for key, body in (("a/1", b"one"), ("a/2", b""), ("b", b"x" * 5000)):
        bench.put(key, body)
    rows = sorted(bench.rows(), key=lambda row: str(row["key"]))
    stats = [bench.described(key) for key in ("a/1", "a/2", "b")]
    assert [(row["bucket"], row["key"], row["size"], row["etag"]) for row in rows] == [
        (bench.bucket, info.address.key, info.size, info.etag) for info in stats
    ]
    assert [row["last_modified"].replace(microsecond=0) for row in rows] == [
        info.last_modified for info in stats
    ]
    assert [info.size for info in stats] == [3, 0, 5000]
    assert '"' not in stats[0].etag


def test_more_objects_than_a_request_takes(seaweed_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over 1000 objects are listed whole, page after page, and deleted, request after request, each with its outcome."""
    bench = seaweed_bench
    monkeypatch.setattr(listing, "_BATCH_ROWS", 1000)
    keys = [f"dag/run-{number % 7}/{number:04}" for number in range(1010)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(bench.put, keys))
    batches = list(bench.store.batches(Root(bench.bucket)))
    described = bench.store.stat_many([bench.at(key) for key in keys])
    outcomes = bench.store.delete([info for info in described if isinstance(info, ObjectInfo)])
    assert [batch.num_rows for batch in batches] == [1000, 10]
    assert all(batch.schema == object_schema() for batch in batches)
    assert sorted(key for batch in batches for key in batch.column("key").to_pylist()) == sorted(keys)
    assert [(outcome.address.key, outcome.result) for outcome in outcomes] == [
        (key, "deleted") for key in keys
    ]
    assert bench.listed() == []


def test_a_listing_stays_below_its_root(bench: Bench) -> None:
    """A root `xcom/` does not list `xcom-prod/...`, and an empty root lists nothing."""
    for key in ("xcom/a", "xcom-prod/b", "xcom"):
        bench.put(key)
    assert [row["key"] for row in bench.rows("xcom/")] == ["xcom/a"]
    assert bench.rows("nothing-here/") == []


@pytest.mark.parametrize("key", ODD_KEYS)
def test_an_odd_key_is_kept_exactly(key: str, bench: Bench) -> None:
    """An object with an odd key is listed, described, read and deleted under exactly that key."""
    _round_trip(bench, key)


@pytest.mark.parametrize("key", ODDER_KEYS)
def test_a_key_that_looks_like_a_path_is_not_normalised(key: str, bench: Bench) -> None:
    """Double slashes, dots and a leading slash are part of the key."""
    if not isinstance(bench.server, MotoServer):
        pytest.skip("SeaweedFS normalises such keys itself")
    _round_trip(bench, key)


def _round_trip(bench: Bench, key: str) -> None:
    bench.put(key, key.encode())
    bench.put("neighbour", b"stays")
    info = bench.described(key)
    assert key in bench.listed()
    assert bench.store.read(info.address) == key.encode()
    assert [(outcome.address, outcome.result) for outcome in bench.store.delete([info])] == [
        (info.address, "deleted")
    ]
    assert bench.listed() == ["neighbour"]
    assert bench.store.stat(info.address) is None


def test_a_missing_object_is_none(bench: Bench) -> None:
    """Only the store's own word that there is no such key counts as absent."""
    assert bench.store.stat(bench.at("nothing/here")) is None


def test_many_objects_are_described_in_order(bench_or_proxy: Bench) -> None:
    """Descriptions come in the order of the question, None for what is missing."""
    bench = bench_or_proxy
    for number in range(40):
        bench.put(f"{number}", b"x" * number)
    asked = [bench.at(f"{number}") for number in (3, 99, 0, 39, 3)]
    found = bench.store.stat_many(asked)
    assert [info.size if isinstance(info, ObjectInfo) else info for info in found] == [3, None, 0, 39, 3]


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, None, b"0123456789"),
        (0, 4, b"0123"),
        (3, 4, b"3456"),
        (3, None, b"3456789"),
        (8, 100, b"89"),
        (10, 5, b""),
        (99, None, b""),
        (2, 0, b""),
    ],
)
def test_a_range_is_read(start: int, length: int | None, expected: bytes, bench: Bench) -> None:
    """A range gives its bytes, fewer at the end, none behind it."""
    address = bench.put("digits", b"0123456789")
    assert bench.store.read(address, start, length) == expected


def test_an_empty_object_is_read(bench: Bench) -> None:
    """An empty object has no bytes in any range."""
    address = bench.put("empty", b"")
    assert [bench.store.read(address), bench.store.read(address, 0, 10), bench.store.read(address, 5)] == [
        b"",
        b"",
        b"",
    ]


def test_a_payload_is_streamed(bench_or_proxy: Bench) -> None:
    """A stream gives the payload in chunks of the size asked for."""
    bench = bench_or_proxy
    address = bench.put("large", bytes(range(256)) * 1000)
    chunks = list(bench.store.stream(address, chunk_size=100_000))
    assert [len(chunk) for chunk in chunks] == [100_000, 100_000, 56_000]
    assert b"".join(chunks) == bytes(range(256)) * 1000


def test_reading_a_missing_object_names_it(bench_or_proxy: Bench) -> None:
    """To read or stream what does not exist is a NotFoundError with the address."""
    bench = bench_or_proxy
    address = bench.at("nothing here")
    with pytest.raises(NotFoundError, match=rf"s3://{bench.bucket}/nothing here does not exist"):
        bench.store.read(address)
    with pytest.raises(NotFoundError):
        bench.store.read(address, 5, 10)
    with pytest.raises(NotFoundError):
        next(bench.store.stream(address))


def test_only_what_is_as_judged_is_deleted(bench_or_proxy: Bench) -> None:
    """An overwritten object stays (changed), a missing one is gone, the others are deleted; outcomes are in order."""
    bench = bench_or_proxy
    for key in ("kept", "first", "changed", "last", "lost"):
        bench.put(key, b"old")
    judged = [bench.described(key) for key in ("first", "changed", "lost", "last", "first")]
    bench.put("changed", b"new content")
    bench.store.delete([bench.described("lost")])
    outcomes = bench.store.delete(judged)
    assert [(outcome.address.key, outcome.result) for outcome in outcomes] == [
        ("first", "deleted"),
        ("changed", "changed"),
        ("lost", "gone"),
        ("last", "deleted"),
        ("first", "deleted"),
    ]
    assert sorted(bench.listed()) == ["changed", "kept"]


def test_an_object_with_the_same_content_but_a_newer_time_is_not_deleted(seaweed_bench: Bench) -> None:
    """A rewrite with equal bytes has the same etag and size: the time tells that it is another write."""
    bench = seaweed_bench
    address = bench.put("again", b"same")
    written = bench.described("again")
    assert isinstance(bench.server, SeaweedFS)
    bench.server.backdate({(bench.bucket, "again"): written.last_modified - timedelta(days=1)})
    judged = bench.described("again")
    bench.put("again", b"same")
    assert [outcome.result for outcome in bench.store.delete([judged])] == ["changed"]
    assert bench.store.read(address) == b"same"


def test_an_object_that_changes_at_the_last_moment_is_not_deleted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store itself is given the etag as a condition, for the moment between asking and deleting."""
    if isinstance(bench.server, MotoServer):
        pytest.skip("moto ignores conditions on the keys of a batch")
    bench.put("raced", b"old")
    judged = bench.described("raced")
    bench.put("raced", b"new content")
    # As if the object had changed right after it was asked for.
    monkeypatch.setattr(bench.store, "stat_many", lambda addresses: [judged for _ in addresses])
    assert [outcome.result for outcome in bench.store.delete([judged])] == ["changed"]
    assert bench.store.read(judged.address) == b"new content"


def test_the_store_tells_its_time(bench: Bench) -> None:
    """The store's clock is aware UTC; on this machine it is ours."""
    now = bench.store.now(bench.bucket)
    assert now.tzinfo == timezone.utc
    assert abs(now - datetime.now(timezone.utc)) < timedelta(seconds=5)


def test_a_missing_bucket_is_never_a_missing_object(bench: Bench) -> None:
    """Whatever is asked of a bucket that does not exist, the error names the bucket and the endpoint."""
    address = ObjectAddress("no-such-bucket", "key")
    judged = ObjectInfo(address, 1, "etag", datetime(2026, 1, 1, tzinfo=timezone.utc))
    expected = f"the bucket 'no-such-bucket' does not exist at {bench.server.endpoint_url}"
    for ask in (
        lambda: bench.store.stat(address),
        lambda: bench.store.read(address),
        lambda: list(bench.store.stream(address)),
        lambda: list(bench.store.batches(Root("no-such-bucket"))),
        lambda: bench.store.now("no-such-bucket"),
    ):
        with pytest.raises(StoreError) as caught:
            ask()
        assert str(caught.value) == expected
        assert caught.value.hint == "check --store, and --endpoint-url if the store is not AWS"
    assert [info.cause for info in bench.store.stat_many([address]) if isinstance(info, StoreErrorInfo)] == [
        expected
    ]
    assert [(outcome.result, outcome.cause) for outcome in bench.store.delete([judged])] == [
        ("failed", expected)
    ]


def test_a_dead_endpoint_is_said_once(seaweed_bench: Bench) -> None:
    """Where nobody answers, the error names the endpoint, and many objects do not wait one by one."""
    endpoint = f"http://127.0.0.1:{free_port()}"
    with closing(S3Store(S3Settings(endpoint_url=endpoint))) as store:
        with pytest.raises(StoreError) as caught:
            store.stat(ObjectAddress("b", "k"))
        infos = store.stat_many([ObjectAddress("b", str(number)) for number in range(500)])
    assert str(caught.value) == f"{endpoint} does not answer"
    assert caught.value.hint == "check the network and --endpoint-url"
    assert (
        infos == [StoreErrorInfo(f"{endpoint} does not answer", "check the network and --endpoint-url")] * 500
    )


def test_a_wrong_secret_is_not_absence(seaweed_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong keys are an error that says what to check, for objects that exist and for those that do not."""
    bench = seaweed_bench
    bench.put("there")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with closing(S3Store(S3Settings())) as store:
        with pytest.raises(StoreError, match="does not accept the credentials") as caught:
            list(store.batches(Root(bench.bucket)))
        for key in ("there", "missing"):
            with pytest.raises(StoreError):
                store.stat(bench.at(key))
    assert caught.value.hint is not None
    assert "AWS_SECRET_ACCESS_KEY" in caught.value.hint
    assert "wrong" not in f"{caught.value} {caught.value.hint}"


def test_a_missing_right_is_named(seaweed_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may read but not delete is told which right is missing, and nothing is deleted."""
    bench = seaweed_bench
    address = bench.put("there")
    judged = bench.described("there")
    assert isinstance(bench.server, SeaweedFS)
    for name, value in bench.server.environment("reader").items():
        monkeypatch.setenv(name, value)
    with closing(S3Store(S3Settings())) as store:
        outcomes = store.delete([judged])
    for name, value in bench.server.environment("stranger").items():
        monkeypatch.setenv(name, value)
    with closing(S3Store(S3Settings())) as store:
        with pytest.raises(StoreError) as listing:
            list(store.batches(Root(bench.bucket)))
        with pytest.raises(StoreError) as reading:
            store.stat(address)
    assert [outcome.result for outcome in outcomes] == ["failed"]
    assert "denied" in str(outcomes[0].cause).lower()
    assert f"grant s3:ListBucket on arn:aws:s3:::{bench.bucket}," in str(listing.value.hint)
    assert f"grant s3:GetObject on arn:aws:s3:::{bench.bucket}/*," in str(reading.value.hint)
    assert bench.store.stat(address) == judged


def test_no_credentials_at_all_are_an_error_with_a_way_out(
    seaweed_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without credentials, the error says how to give them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with closing(S3Store(S3Settings())) as store, pytest.raises(StoreError, match="no credentials") as caught:
        store.stat(seaweed_bench.at("key"))
    assert "--aws-profile" in str(caught.value.hint)


def test_a_closed_store_can_be_used_again(bench: Bench) -> None:
    """Closing releases the connections; the next use opens new ones."""
    address = bench.put("a")
    before = bench.store.closed
    bench.store.read(address)
    during = bench.store.closed
    bench.store.close()
    after = bench.store.closed
    assert (before, during, after) == (True, False, True)
    assert bench.store.read(address) == b"content"
