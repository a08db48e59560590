"""Unfinished multipart uploads: told, weighed and aborted, on real servers and behind a proxy that injects faults."""

from __future__ import annotations

from contextlib import closing
from datetime import timezone

import pytest

from tests.conformance.bench import Bench, FaultyBench
from tests.services.fault_proxy import Fault
from tests.services.processes import free_port
from tests.services.s3_requests import aborts_upload, lists_parts, lists_uploads
from tests.services.scripted_store import Answer
from tests.services.store_faults import error, lost_answer, only, small_pages_of_uploads
from xcomctl.errors import DeclinedError, StoreError
from xcomctl.models import Root
from xcomctl.s3.store import S3Settings, S3Store
from xcomctl.s3.uploads import Upload

ODD = "p/scheduled__2026-10-11T02:00:00+00:00/a%2Bb c/\u00e9&<\u00fc>.bin"
"""What an encoding of keys that is done once too often, or not at all, would change."""


def begun(bench: Bench, key: str, *parts: int) -> str:
    """An upload with parts of these sizes that nobody completes; its id."""
    upload_id = bench.client.create_multipart_upload(Bucket=bench.bucket, Key=key)["UploadId"]
    for number, size in enumerate(parts, start=1):
        bench.client.upload_part(
            Bucket=bench.bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=b"x" * size
        )
    return upload_id


def found(bench: Bench, prefix: str = "p/") -> list[Upload]:
    """The unfinished uploads below a prefix, by key."""
    pages = bench.store.uploads(Root(bench.bucket, prefix))
    return sorted((one for page in pages for one in page), key=lambda one: one.address)


def test_every_unfinished_upload_below_a_root_is_told_with_its_bytes(bench: Bench) -> None:
    """By its key as it is, with its id and its time; what lies elsewhere, or is complete, is not among them."""
    ids = {key: begun(bench, key, *parts) for key, parts in ((ODD, [7]), ("p/none", []), ("p/two", [5, 6]))}
    begun(bench, "q/elsewhere", 9)
    begun(bench, "pq", 9)
    bench.put("p/whole")
    weighed = bench.store.weigh_uploads(found(bench))
    assert {one and (one.address.key, one.upload_id, one.size) for one in weighed} == {
        (ODD, ids[ODD], 7),
        ("p/none", ids["p/none"], 0),
        ("p/two", ids["p/two"], 11),
    }
    assert {one and one.begun_at.tzinfo for one in weighed} == {timezone.utc}


def test_an_aborted_upload_is_gone_and_nothing_else(bench: Bench) -> None:
    """The others of its key stay, and the object in its place, too."""
    first, second = begun(bench, ODD, 7), begun(bench, ODD, 8)
    bench.put("p/there")
    begun(bench, "p/there", 3)
    chosen = [one for one in found(bench) if one.upload_id != second]
    assert [one.result for one in bench.store.abort_uploads(chosen)] == ["aborted", "aborted"]
    assert [(one.address.key, one.upload_id) for one in found(bench)] == [(ODD, second)]
    assert bench.store.weigh_uploads(chosen) == [None, None]
    assert first != second
    assert "p/there" in bench.listed()


def test_a_root_without_uploads_has_none(bench: Bench) -> None:
    """No page, no error, nothing to weigh or to abort."""
    bench.put("p/whole")
    assert (found(bench), bench.store.weigh_uploads([]), bench.store.abort_uploads([])) == ([], [], [])


def test_uploads_on_many_pages_are_all_told_once(faulty_bench: FaultyBench) -> None:
    """Also two of one key, which a page may tear apart."""
    wanted = sorted(begun(faulty_bench, f"p/{key}", 1) for key in "aabbc")
    with faulty_bench.proxy.with_faults(small_pages_of_uploads(1)):
        assert sorted(one.upload_id for one in found(faulty_bench)) == wanted


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        (error(403, "AccessDenied"), True),
        (error(501, "NotImplemented"), False),
        (error(500, "InternalError"), False),
    ],
    ids=["denied", "unknown", "failing"],
)
def test_a_store_that_does_not_tell_of_uploads_declines(
    faulty_bench: FaultyBench, answer: Fault, right: bool
) -> None:
    """Denied, not known, or failing: it is there, and does not answer this."""
    begun(faulty_bench, "p/a", 1)
    with (
        faulty_bench.proxy.with_faults(only(lists_uploads, answer)),
        pytest.raises(DeclinedError) as declined,
    ):
        found(faulty_bench)
    assert ("s3:ListBucketMultipartUploads" in (declined.value.hint or "")) == right


def test_half_a_list_of_uploads_is_none(faulty_bench: FaultyBench) -> None:
    """A page that says that there is more, and not where."""

    def endless(asked: object, forward: object) -> Answer:
        body = b"<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>"
        return Answer(body, 200, (("Content-Type", "application/xml"),))

    with (
        faulty_bench.proxy.with_faults(only(lists_uploads, endless)),
        pytest.raises(DeclinedError, match="incomplete list"),
    ):
        found(faulty_bench)


def test_a_store_that_is_out_of_reach_does_not_decline(bench: Bench) -> None:
    """That is an error, as it is for everything else."""
    with (
        closing(S3Store(S3Settings(endpoint_url=f"http://127.0.0.1:{free_port()}"))) as nobody,
        pytest.raises(StoreError) as raised,
    ):
        list(nobody.uploads(Root(bench.bucket, "p/")))
    assert not isinstance(raised.value, DeclinedError)


def test_keys_that_xml_cannot_hold_are_asked_for_encoded(faulty_bench: FaultyBench) -> None:
    """As AWS answers: without encoding the page cannot be read, with it every character is there."""

    def as_aws(asked: object, forward: object) -> Answer:
        encoded = "encoding-type" in getattr(asked, "query", {})
        key = "p/a%0Bb%2Bc+d" if encoded else "p/a&#11;b+c d"
        said = "<EncodingType>url</EncodingType>" if encoded else ""
        body = (
            f"<ListMultipartUploadsResult>{said}<IsTruncated>false</IsTruncated><Upload><Key>{key}</Key>"
            "<UploadId>1</UploadId><Initiated>2026-11-01T00:00:00.000Z</Initiated></Upload></ListMultipartUploadsResult>"
        )
        return Answer(body.encode(), 200, (("Content-Type", "application/xml"),))

    with faulty_bench.proxy.with_faults(only(lists_uploads, as_aws)):
        assert [one.address.key for one in found(faulty_bench)] == ["p/a\x0bb+c d"]


def test_bytes_that_the_store_does_not_tell_are_unknown_and_not_none(faulty_bench: FaultyBench) -> None:
    """Only its own word makes an upload one that is gone."""
    begun(faulty_bench, "p/a", 5)
    uploads = found(faulty_bench)
    with faulty_bench.proxy.with_faults(only(lists_parts, error(403, "AccessDenied"))):
        assert faulty_bench.store.weigh_uploads(uploads) == uploads
    assert uploads[0].size is None


def test_an_abort_that_is_denied_or_fails_says_so(faulty_bench: FaultyBench) -> None:
    """With the right that is missing; the upload stays."""
    begun(faulty_bench, "p/a", 5)
    uploads = found(faulty_bench)
    with faulty_bench.proxy.with_faults(only(aborts_upload, error(403, "AccessDenied"))):
        (denied,) = faulty_bench.store.abort_uploads(uploads)
    with faulty_bench.proxy.with_faults(only(aborts_upload, error(500, "InternalError"))):
        (failed,) = faulty_bench.store.abort_uploads(uploads)
    assert (denied.result, "s3:AbortMultipartUpload" in (denied.hint or "")) == ("denied", True)
    assert (failed.result, found(faulty_bench)) == ("failed", uploads)


def test_an_abort_whose_answer_was_lost_is_done(faulty_bench: FaultyBench) -> None:
    """Asked again, the store says that there is no such upload, or that it is aborted."""
    begun(faulty_bench, "p/a", 5)
    with faulty_bench.proxy.with_faults(only(aborts_upload, lost_answer, times=1)):
        (outcome,) = faulty_bench.store.abort_uploads(found(faulty_bench))
    assert (outcome.result, found(faulty_bench)) == ("aborted", [])
