"""What every object store must do to be written to: small objects on conditions, and copies inside the store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conformance.bench import Bench, FaultyBench
from tests.conformance.test_store import ODD_KEYS
from tests.services.object_stores import MotoServer
from tests.services.s3_requests import is_copy, is_writing
from tests.services.store_faults import error, ignores_conditions, lost_answer, only
from xcomctl.errors import ConflictError, StoreError
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3 import copy
from xcomctl.s3.interface import Copy


def test_what_is_put_is_described(bench: Bench) -> None:
    """A put gives what a stat gives, and a second one takes the place of the first."""
    first = bench.store.put(bench.at("small"), b"one")
    assert first == bench.described("small")
    second = bench.store.put(bench.at("small"), b"other")
    assert (second, bench.store.read(second.address)) == (bench.described("small"), b"other")


@pytest.mark.parametrize("probed", [False, True])
def test_a_put_on_a_condition_is_refused_where_it_does_not_hold(bench: Bench, probed: bool) -> None:
    """`if_absent` never replaces an object, `if_etag` only the one that was seen; before the store is probed and after."""
    if probed:
        bench.store.capabilities(Root(bench.bucket))
    address = bench.at("lock")
    first = bench.store.put(address, b"one", if_absent=True)
    with pytest.raises(ConflictError, match=r"lock exists already$"):
        bench.store.put(address, b"two", if_absent=True)
    second = bench.store.put(address, b"two", if_etag=first.etag)
    with pytest.raises(ConflictError, match=r"lock was changed by somebody else$"):
        bench.store.put(address, b"three", if_etag=first.etag)
    with pytest.raises(ConflictError, match=r"missing was changed by somebody else$"):
        bench.store.put(bench.at("missing"), b"three", if_etag=first.etag)
    assert (bench.store.read(address), bench.described("lock")) == (b"two", second)
    assert bench.store.stat(bench.at("missing")) is None


def test_conditions_hold_where_the_store_ignores_them(faulty_bench: FaultyBench) -> None:
    """Where the store does not look at a condition, we look ourselves."""
    bench = faulty_bench
    bench.proxy.faults.append(ignores_conditions)
    address = bench.put("lock", b"one")
    with pytest.raises(ConflictError):
        bench.store.put(address, b"two", if_absent=True)
    with pytest.raises(ConflictError):
        bench.store.put(address, b"two", if_etag="0" * 32)
    assert bench.store.read(address) == b"one"


def test_conditions_hold_where_the_store_does_not_know_them(faulty_bench: FaultyBench) -> None:
    """A store that answers 501 to a condition is asked without it, after we have looked ourselves."""
    bench = faulty_bench
    bench.proxy.faults.append(
        only(lambda asked: "if-none-match" in asked.headers, error(501, "NotImplemented"))
    )
    made = bench.store.put(bench.at("new"), b"one", if_absent=True)
    with pytest.raises(ConflictError):
        bench.store.put(bench.at("new"), b"two", if_absent=True)
    assert bench.described("new") == made


@pytest.mark.parametrize("condition", ["absent", "etag", "none"])
def test_a_write_whose_answer_is_lost_is_settled(faulty_bench: FaultyBench, condition: str) -> None:
    """The repeated request meets our own object; what is there is read, and it is what was to be written."""
    bench = faulty_bench
    address = bench.at("lock")
    before = None if condition == "absent" else bench.store.put(address, b"before")
    bench.proxy.faults.append(only(is_writing, lost_answer, times=1))
    made = bench.store.put(
        address,
        b"ours",
        if_absent=condition == "absent",
        if_etag=before.etag if condition == "etag" and before else None,
    )
    assert (bench.store.read(address), made) == (b"ours", bench.described("lock"))


def test_a_denied_put_says_which_right_is_missing(
    seaweed_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may not write is told so."""
    bench = seaweed_bench
    for name, value in bench.server.environment("reader").items():  # type: ignore[call-arg]
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=rf"access to s3://{bench.bucket}/new at .* is denied") as caught:
        bench.store.put(bench.at("new"), b"")
    assert f"grant s3:PutObject on arn:aws:s3:::{bench.bucket}/*" in str(caught.value.hint)


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_copy_is_the_object_with_all_that_describes_it(
    bench: Bench, in_parts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Payload, content type, encoding, metadata and tags go along, also with an object too large for one request."""
    payload = bytes(range(256)) * (44 << 10 if in_parts else 1)
    if in_parts:
        monkeypatch.setattr(copy, "_LARGEST_SINGLE", 6 << 20)
        monkeypatch.setattr(copy, "_PART", 5 << 20)
    bench.client.put_object(
        Bucket=bench.bucket,
        Key="a",
        Body=payload,
        ContentType="application/json",
        ContentEncoding="gzip",
        Metadata={"airflow": "yes"},
        Tagging="team=data&stage=a%2Fb",
    )
    source = bench.described("a")
    (outcome,) = bench.store.copy([Copy(source, bench.at("b/copy"))])
    head = bench.client.head_object(Bucket=bench.bucket, Key="b/copy")
    tags = bench.client.get_object_tagging(Bucket=bench.bucket, Key="b/copy")["TagSet"]
    assert (outcome.result, outcome.made) == ("copied", bench.described("b/copy"))
    assert bench.store.read(bench.at("b/copy")) == payload
    assert (head["ContentType"], head["ContentEncoding"], head["Metadata"]) == (
        "application/json",
        "gzip",
        {"airflow": "yes"},
    )
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "data", "stage": "a/b"}
    assert bench.described("a") == source


def test_only_what_is_as_described_is_copied(bench: Bench) -> None:
    """A changed source is not copied, a missing one is gone; each copy has its own outcome, in order."""
    for key in ("one", "changed", "lost", "two"):
        bench.put(key, key.encode())
    sources = [bench.described(key) for key in ("one", "changed", "lost", "two")]
    bench.put("changed", b"new content")
    bench.store.delete([bench.described("lost")])
    outcomes = bench.store.copy([Copy(source, bench.at(f"to/{source.address.key}")) for source in sources])
    assert [outcome.result for outcome in outcomes] == ["copied", "changed", "gone", "copied"]
    assert sorted(key for key in bench.listed() if key.startswith("to/")) == ["to/one", "to/two"]


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_copy_that_must_not_replace_anything_does_not(
    bench: Bench, in_parts: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `if_absent` what is at the target stays, and is described."""
    if in_parts:
        monkeypatch.setattr(copy, "_LARGEST_SINGLE", 0)
    bench.put("source", b"new")
    bench.put("taken", b"stays")
    source = bench.described("source")
    taken, free = bench.store.copy(
        [Copy(source, bench.at("taken"), if_absent=True), Copy(source, bench.at("free"), if_absent=True)]
    )
    assert (taken.result, taken.made, free.result) == ("exists", bench.described("taken"), "copied")
    assert bench.store.read(bench.at("taken")) == b"stays"


def test_a_target_that_is_written_at_the_last_moment_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store itself is given the condition, for the moment between asking and copying."""
    if isinstance(bench.server, MotoServer):
        pytest.skip("moto ignores conditions on the target of a copy")
    bench.put("source", b"old")
    source = bench.described("source")
    ask = bench.store._head
    bench.put("target", b"raced")
    answers = iter([None])
    # As if the target had been written right after it was asked for.
    monkeypatch.setattr(
        bench.store,
        "_head",
        lambda address: next(answers, ask(address)) if address.key == "target" else ask(address),
    )
    (outcome,) = bench.store.copy([Copy(source, bench.at("target"), if_absent=True)])
    assert (outcome.result, bench.store.read(bench.at("target"))) == ("exists", b"raced")


def test_odd_keys_are_copied_exactly(bench: Bench) -> None:
    """Any key is copied from and to."""
    for key in ODD_KEYS:
        bench.put(key, key.encode())
    there = [bench.at(f"trash/{key}") for key in ODD_KEYS]
    outcomes = bench.store.copy(
        [Copy(bench.described(key), to) for key, to in zip(ODD_KEYS, there, strict=True)]
    )
    assert [outcome.result for outcome in outcomes] == ["copied"] * len(ODD_KEYS)
    assert [bench.store.read(to) for to in there] == [key.encode() for key in ODD_KEYS]


def test_a_copy_that_cannot_be_made_has_its_cause(bench: Bench) -> None:
    """A missing bucket is a failure, not an absent object."""
    bench.put("source")
    missing = replace(bench.described("source"), address=ObjectAddress("no-such-bucket", "key"))
    (outcome,) = bench.store.copy([Copy(missing, bench.at("target"))])
    expected = f"the bucket 'no-such-bucket' does not exist at {bench.server.endpoint_url}"
    assert (outcome.result, outcome.cause) == ("failed", expected)


def test_a_copy_whose_answer_is_lost_is_made(faulty_bench: FaultyBench) -> None:
    """The repeated request meets our own copy, which is recognised."""
    bench = faulty_bench
    bench.put("source")
    bench.proxy.faults.append(only(is_copy, lost_answer, times=1))
    (outcome,) = bench.store.copy([Copy(bench.described("source"), bench.at("target"), if_absent=True)])
    assert (outcome.result, bench.store.read(bench.at("target"))) == ("copied", b"content")


def test_a_copy_of_something_else_is_noticed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that changes right before it is copied is never taken for the one that was judged."""
    bench.put("source", b"old!")
    judged = bench.client.head_object(Bucket=bench.bucket, Key="source")
    source = bench.described("source")
    bench.put("source", b"new!")
    ask = bench.store._head
    answers = iter([judged])
    monkeypatch.setattr(bench.store, "_head", lambda address: next(answers, None) or ask(address))
    (outcome,) = bench.store.copy([Copy(source, bench.at("target"))])
    assert outcome.result == "changed"


def test_a_copy_in_parts_that_fails_leaves_no_parts(
    faulty_bench: FaultyBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts that nobody completes would be paid for, and shown by no listing."""
    bench = faulty_bench
    monkeypatch.setattr(copy, "_LARGEST_SINGLE", 0)
    bench.put("source")
    bench.proxy.faults.append(only(is_copy, error(403, "AccessDenied")))
    (outcome,) = bench.store.copy([Copy(bench.described("source"), bench.at("target"))])
    assert outcome.result == "failed"
    assert f"access to s3://{bench.bucket}/target at " in str(outcome.cause)
    assert bench.client.list_multipart_uploads(Bucket=bench.bucket).get("Uploads", []) == []
    assert bench.listed() == ["source"]
