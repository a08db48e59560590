"""What a store does with versions, and how it is found out what a bucket can do: by doing it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Literal

import pytest

from tests.conformance.bench import Bench, FaultyBench, remove_versions
from tests.services.object_stores import MotoServer
from tests.services.scripted_store import Answer, Asked
from tests.services.store_faults import error, ignores_batch_conditions, ignores_conditions, only
from xcomctl.demo.server import SeaweedFS
from xcomctl.errors import StoreError
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.interface import Capabilities, DeleteOutcome
from xcomctl.s3.store import S3Settings, S3Store


def knows_all(
    versioning: Literal["off", "enabled", "suspended"] = "off", *, batch: bool = True
) -> Capabilities:
    """A store that looks at every condition."""
    return Capabilities(
        versioning=versioning,
        object_lock=False,
        mfa_delete=False,
        conditional_put=True,
        conditional_delete=True,
        conditional_batch=batch,
    )


def test_capabilities_are_found_out_by_doing(bench: Bench) -> None:
    """What each server can do is what it was seen to do, and nothing is left behind."""
    bench.put("xcom/mine")
    found = bench.store.capabilities(Root(bench.bucket, "xcom/"))
    assert found == knows_all(batch=not isinstance(bench.server, MotoServer))
    assert bench.listed() == ["xcom/mine"]


@pytest.mark.parametrize(("status", "expected"), [("Enabled", "enabled"), ("Suspended", "suspended")])
def test_versioning_is_found_out(
    bench: Bench, status: Literal["Enabled", "Suspended"], expected: Literal["enabled", "suspended"]
) -> None:
    """A bucket with versioning keeps what is deleted; of the probe nothing is left, no version and no marker."""
    bench.keep_versions(status)
    found = bench.store.capabilities(Root(bench.bucket))
    left = bench.client.list_object_versions(Bucket=bench.bucket)
    assert found == knows_all(expected, batch=not isinstance(bench.server, MotoServer))
    assert left.get("Versions", []) == []
    if expected == "enabled" or isinstance(bench.server, MotoServer):
        # SeaweedFS does not remove the marker of a null version.
        assert left.get("DeleteMarkers", []) == []


def test_the_answer_is_kept(faulty_bench: FaultyBench) -> None:
    """A bucket is probed once in the life of a store."""
    bench = faulty_bench
    first = bench.store.capabilities(Root(bench.bucket, "a/"))
    asked = len(bench.proxy.asked)
    assert (bench.store.capabilities(Root(bench.bucket, "b/")), len(bench.proxy.asked)) == (first, asked)


def test_an_object_lock_is_seen(seaweed: SeaweedFS, bench: Bench) -> None:
    """A bucket that was made with Object Lock says so."""
    name = f"{bench.bucket}-locked"
    bench.client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    if isinstance(bench.server, SeaweedFS):
        bench.client.put_object(Bucket=name, Key="first", Body=b"")
    found = bench.store.capabilities(Root(name))
    remove_versions(bench.client, name)
    bench.client.delete_bucket(Bucket=name)
    assert (found.versioning, found.object_lock) == ("enabled", True)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (ignores_conditions, Capabilities("off", False, False, False, False, False)),
        (ignores_batch_conditions, knows_all(batch=False)),
        (
            only(
                lambda asked: bool({"if-match", "if-none-match"} & set(asked.headers)),
                error(501, "NotImplemented"),
            ),
            Capabilities("off", False, False, False, False, True),
        ),
    ],
    ids=["ignores all", "ignores those of a batch", "does not know them"],
)
def test_a_store_that_does_not_look_at_conditions_is_found_out(
    faulty_bench: FaultyBench,
    fault: Callable[[Asked, Callable[[Asked], Answer]], Answer],
    expected: Capabilities,
) -> None:
    """A condition counts only where the store was seen to refuse because of it."""
    bench = faulty_bench
    bench.proxy.faults.append(fault)
    assert bench.store.capabilities(Root(bench.bucket)) == expected
    assert bench.listed() == []


def test_who_may_not_ask_for_versioning_sees_it_all_the_same(faulty_bench: FaultyBench) -> None:
    """A denied question is not an "off": what a deletion leaves behind tells."""
    bench = faulty_bench
    bench.keep_versions()
    bench.proxy.faults.append(
        only(lambda asked: bool({"versioning", "object-lock"} & set(asked.query)), error(403, "AccessDenied"))
    )
    found = bench.store.capabilities(Root(bench.bucket))
    assert (found.versioning, found.object_lock) == ("enabled", True)


def test_a_bucket_that_promises_versions_and_keeps_none_is_an_error(faulty_bench: FaultyBench) -> None:
    """Versioning that was enabled just now may not hold yet: a deletion would be for good."""
    bench = faulty_bench
    promise = Answer(b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
    bench.proxy.faults.append(only(lambda asked: "versioning" in asked.query, lambda asked, forward: promise))
    with pytest.raises(StoreError, match="says that it keeps versions, but kept none") as caught:
        bench.store.capabilities(Root(bench.bucket))
    assert "wait 15 minutes" in str(caught.value.hint)
    assert bench.listed() == []


def test_who_may_not_write_cannot_probe(seaweed_bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing right is an error that names it, and no capability."""
    bench = seaweed_bench
    assert isinstance(bench.server, SeaweedFS)
    for name, value in bench.server.environment("reader").items():
        monkeypatch.setenv(name, value)
    with closing(S3Store(S3Settings())) as store, pytest.raises(StoreError) as caught:
        store.capabilities(Root(bench.bucket, "xcom/"))
    assert f"grant s3:PutObject on arn:aws:s3:::{bench.bucket}/*" in str(caught.value.hint)


def test_a_deletion_hides_behind_a_marker_that_can_be_removed(bench: Bench) -> None:
    """The outcome names the marker; without the marker the object is back as it was."""
    bench.keep_versions()
    for key in ("one", "two"):
        bench.put(key)
    infos = [bench.described(key) for key in ("one", "two")]
    outcomes = bench.store.delete(infos)
    hidden = [bench.store.stat(info.address) for info in infos]
    markers = [
        version
        for outcome in outcomes
        for version in bench.store.versions(outcome.address)
        if version.version_id == outcome.marker_id
    ]
    removed = bench.store.delete_versions(markers)
    assert [outcome.result for outcome in outcomes] == ["deleted"] * len(infos)
    assert hidden == [None] * len(infos)
    assert [(marker.is_marker, marker.is_latest) for marker in markers] == [(True, True)] * len(infos)
    assert removed == [DeleteOutcome(info.address, "deleted") for info in infos]
    assert [bench.store.stat(info.address) for info in infos] == infos


def test_versions_are_told_newest_first(bench: Bench) -> None:
    """All versions of one key, with what a stat says of each, and none of a longer key."""
    bench.keep_versions()
    first = bench.store.put(bench.at("key"), b"1")
    second = bench.store.put(bench.at("key"), b"22")
    bench.put("key/below")
    bench.put("key2")
    bench.store.delete([second])
    third = bench.store.put(bench.at("key"), b"333")
    found = bench.store.versions(bench.at("key"))
    real = [version for version in found if not version.is_marker]
    assert [(version.address, version.size, version.etag) for version in real] == [
        (info.address, info.size, info.etag) for info in (third, second, first)
    ]
    assert [version.is_latest for version in found] == [True, False, False, False]
    assert [version.is_marker for version in found] == [False, True, False, False]
    assert found[0].last_modified.replace(microsecond=0) == third.last_modified


def test_just_these_versions_are_removed_for_good(bench: Bench) -> None:
    """Removing the newest version uncovers the one before; each has its outcome."""
    bench.keep_versions()
    bench.store.put(bench.at("key"), b"1")
    bench.store.put(bench.at("key"), b"22")
    newest, oldest = bench.store.versions(bench.at("key"))
    outcomes = bench.store.delete_versions([newest])
    assert [(outcome.result, outcome.marker_id) for outcome in outcomes] == [("deleted", None)]
    assert bench.store.read(bench.at("key")) == b"1"
    assert [version.version_id for version in bench.store.versions(bench.at("key"))] == [oldest.version_id]


def test_a_bucket_without_versioning_has_no_versions(bench: Bench) -> None:
    """What such a bucket lists as its only version is the object itself, which nobody must take for a spare one."""
    bench.put("key")
    assert bench.store.versions(bench.at("key")) == []


def test_a_missing_bucket_has_no_versions_to_tell(bench: Bench) -> None:
    """Asking for versions in a bucket that does not exist is an error."""
    with pytest.raises(StoreError, match="the bucket 'no-such-bucket' does not exist"):
        bench.store.versions(ObjectAddress("no-such-bucket", "key"))


def test_a_store_that_ignores_the_conditions_of_a_batch_is_given_single_ones(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the bucket is probed, what changes between asking and deleting stays, also where a batch would take it."""
    bench.store.capabilities(Root(bench.bucket))
    bench.put("raced", b"old")
    bench.put("other")
    judged = [bench.described(key) for key in ("raced", "other")]
    bench.put("raced", b"new content")
    monkeypatch.setattr(bench.store, "stat_many", lambda addresses: judged)
    assert [outcome.result for outcome in bench.store.delete(judged)] == ["changed", "deleted"]
    assert bench.store.read(judged[0].address) == b"new content"
