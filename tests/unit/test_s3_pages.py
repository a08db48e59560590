"""Our own parser of listings says exactly what botocore's says, or leaves the page to it; and botocore lets it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, unquote_plus
from xml.etree import ElementTree

import botocore
import botocore.handlers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.services.listed_bucket import listing_client
from tests.services.scripted_store import Answer
from xcomctl.errors import StoreError
from xcomctl.models import Root
from xcomctl.s3.errors import Request
from xcomctl.s3.listing.page_parser import decoded, taken_out
from xcomctl.s3.listing.pages import Pages, read_fast

KEYS = (
    "xcom/dag/scheduled__2026-11-01T00:00:00+00:00/task/0d3a7f3e-8e7b-4f6e-9a43-0b7a2a0f1c55",
    "xcom/a//b",
    "xcom//leading",
    "xcom/dots/../y",
    "xcom/sp ace/pl+us/per%cent/%2F%2B",
    "xcom/<&>\"'",
    "xcom/tab\there/new\nline/bell\a/return\r",
    "xcom/é/日本/😀/e\u0301",
    "xcom/" + "x" * 1019,
    "xcom/trailing ",
    "xcom/folder/",
)
"""Keys of every kind."""

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
WRITTEN = "<LastModified>2026-11-01T06:00:00.123Z</LastModified>"
ETAG = "<ETag>&quot;0123456789abcdef0123456789abcdef&quot;</ETag>"
GO_ETAG = ETAG.replace("&quot;", "&#34;")
"""As programs in Go write it: SeaweedFS, MinIO."""
OWNER = "<Owner><ID>1</ID><DisplayName>me</DisplayName></Owner>"


def entry(key: str, *, etag: str = ETAG, size: object = 5, written: str = WRITTEN, more: str = "") -> str:
    """One object, in the order of AWS."""
    facts = f"<Key>{key}</Key>{written}{etag}{more}<Size>{size}</Size><StorageClass>STANDARD</StorageClass>"
    return f"<Contents>{facts}</Contents>"


def document(
    *items: str, encoding: str = "<EncodingType>url</EncodingType>", head: str = HEAD, tail: str = ""
) -> bytes:
    """A whole page of these objects and folders."""
    return (
        f"{head}<Name>bucket</Name><Prefix>xcom/</Prefix><Marker/><KeyCount>{len(items)}</KeyCount>{encoding}"
        f"<IsTruncated>false</IsTruncated>{''.join(items)}{tail}</ListBucketResult>"
    ).encode()


def folder(name: str) -> str:
    """One folder."""
    return f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"


def moto_style(*keys: str) -> bytes:
    """As moto lays it out: one element a line, keys as XML has them."""
    entries = "".join(
        f'\n    <Contents>\n      <Key>{key}</Key>\n      {WRITTEN}\n      <ETag>"abc"</ETag>\n      <Size>5</Size>\n'
        f"      <StorageClass>STANDARD</StorageClass>\n      {OWNER}\n    </Contents>"
        for key in keys
    )
    return document(entries, encoding="").replace(b"<KeyCount>1<", b"<KeyCount>%d<" % len(keys))


READ: dict[str, bytes] = {
    "AWS": document(*(entry(quote(key)) for key in KEYS)),
    "AWS, with checksums of some": document(
        entry(
            "xcom/a",
            more="<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>",
        ),
        entry("xcom/b"),
        entry(
            "xcom/c",
            more="<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm>",
        ),
    ),
    "archived": document(
        entry("xcom/a", more="<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>")
    ),
    "Ceph": document(entry("xcom/a", more=f"{OWNER}<Type>Normal</Type>"), entry("xcom/b", more=OWNER)),
    "SeaweedFS": document(
        f"<Contents><Key>xcom/a</Key>{GO_ETAG}<Size>5</Size>{OWNER}<StorageClass>STANDARD</StorageClass>{WRITTEN}</Contents>"
    ),
    "moto": moto_style("xcom/a", "xcom/b c"),
    "sizes, etags and times of all lengths": document(
        entry("xcom/a", size=0, written="<LastModified>2026-11-01T06:00:00Z</LastModified>"),
        entry("xcom/bb", size=5 << 40, etag="<ETag>&quot;abc-12&quot;</ETag>"),
        entry(
            "xcom/ccc",
            etag="<ETag>&quot;&quot;</ETag>",
            written="<LastModified>2026-11-01T06:00:00.123456Z</LastModified>",
        ),
    ),
    "folders": document(*(folder(quote(f"{key}/")) for key in KEYS)),
    "folders between objects": document(entry("xcom/a"), folder("xcom/b/"), folder("xcom/d/")),
    "folders before objects": document(folder("xcom/b/"), folder("xcom/d/"), entry("xcom/e")),
    "what is no escape": document(
        entry("xcom/100%"), entry("xcom/%zz"), entry("xcom/%4"), entry("xcom/%41%")
    ),
    "what is no UTF-8 when decoded": document(entry("xcom/%ff%fe"), entry("xcom/%C3")),
    "plain letters that are not ASCII": document(entry("xcom/é日😀"), encoding=""),
    "a plus where nothing is encoded": document(entry("xcom/a+b%20c"), encoding=""),
    "no declaration": document(entry("xcom/a"), head="<ListBucketResult>"),
    "more behind the objects": document(entry("xcom/a"), tail="<MaxKeys>1000</MaxKeys>"),
}
"""Pages that our parser reads."""

LEFT: dict[str, bytes] = {
    "no objects": document(),
    "entities": document(entry("xcom/a&amp;b&#10;c"), encoding=""),
    "white space in a key": document(entry("xcom/a\nb\tc"), encoding=""),
    "CDATA": document(entry("<![CDATA[xcom/<a>]]>"), encoding=""),
    "a comment": document(entry("xcom/a", more="<!-- <Size>7</Size> -->")),
    "a comment before": document("<!-- <Contents> -->", entry("xcom/a")).replace(
        b"<KeyCount>2<", b"<KeyCount>1<"
    ),
    "a comment around": document(entry("xcom/a"), tail="<!-- </Contents> -->"),
    "a bracket in a text": document(entry("xcom/a>b"), encoding=""),
    "an element that is not known": document(entry("xcom/a", more="<Extra>1</Extra>")),
    "an element that holds others": document(entry("xcom/a", more="<Extra><Key>xcom/b</Key></Extra>")),
    "objects inside of something": document(f"<Extra>{entry('xcom/a')}</Extra>").replace(
        b"<KeyCount>1<", b"<KeyCount>0<"
    ),
    "something between objects": document(entry("xcom/a"), "<Extra/>", entry("xcom/b")).replace(
        b"<KeyCount>3<", b"<KeyCount>2<"
    ),
    "attributes": document(entry("xcom/a").replace("<Key>", '<Key lang="en">')),
    "attributes of an object": document(
        entry("xcom/a"), entry("xcom/b").replace("<Contents>", '<Contents id="1">')
    ),
    "an empty element": document(entry("xcom/a", more="<Owner/>")),
    "no etag": document(entry("xcom/a"), entry("xcom/b", etag="")),
    "no size": document(entry("xcom/a").replace("<Size>5</Size>", "")),
    "no time": document(entry("xcom/a", written="")),
    "two keys": document(entry("xcom/a", more="<Key>xcom/b</Key>")),
    "one with two keys, one with none": document(
        entry("xcom/a", more="<Key>xcom/b</Key>"), entry("").replace("<Key></Key>", "")
    ),
    "a time of another form": document(
        entry("xcom/a", written="<LastModified>Sun, 01 Nov 2026 06:00:00 GMT</LastModified>")
    ),
    "a time of another zone": document(
        entry("xcom/a", written="<LastModified>2026-11-01T06:00:00+02:00</LastModified>")
    ),
    "a time that cannot be": document(
        entry("xcom/a", written="<LastModified>2026-13-01T06:00:00.000Z</LastModified>")
    ),
    "a size that is none": document(entry("xcom/a", size="five")),
    "a size with a sign": document(entry("xcom/a", size="+5")),
    "an etag without quotes": document(entry("xcom/a"), entry("xcom/b", etag="<ETag>abc</ETag>")),
    "etags quoted in two ways": document(entry("xcom/a"), entry("xcom/b", etag=GO_ETAG)),
    "an etag with a quote inside": document(entry("xcom/a", etag='<ETag>"a"b"</ETag>')),
    "an etag with an entity": document(entry("xcom/a", etag="<ETag>&quot;a&amp;b&quot;</ETag>")),
    "another encoding": document(
        entry("xcom/a"), head='<?xml version="1.0" encoding="latin-1"?><ListBucketResult>'
    ),
    "no UTF-8": document(entry("xcom/aXb"), encoding="").replace(b"aXb", b"a\xffb"),
    "a definition of entities": document(
        entry("xcom/a"), head='<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e "v">]><ListBucketResult>'
    ),
    "names with a prefix": document(entry("xcom/a"), head='<s3:ListBucketResult xmlns:s3="x">').replace(
        b"</List", b"</s3:List"
    ),
    "a folder with an entity": document(folder("xcom/a&amp;b/"), encoding=""),
    "a folder of another form": document("<CommonPrefixes> <Prefix>xcom/a/</Prefix></CommonPrefixes>"),
    "an error": b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>",
    "something else": b"<html><body>Sign in</body></html>",
    "nothing": b"",
}
"""Pages that our parser leaves to botocore."""


def said(body: bytes, *, fast: bool) -> Any:
    """What a listing makes of this page, or how it fails."""
    with listing_client(lambda query: Answer(body)) as client:
        if fast:
            read_fast(client)
        # How often it is asked again is not the point here.
        client.meta.events.register_first("needs-retry.s3.ListObjectsV2", lambda **_: None)
        try:
            page = Pages(client, Root("bucket", "xcom/"), Request("s3:ListBucket", "e", "bucket")).ask()
        except StoreError as error:
            return str(error)
        return page.objects.to_pylist(), page.folders, page.token


@pytest.mark.parametrize("body", READ.values(), ids=list(READ))
def test_a_page_is_read_as_botocore_reads_it(body: bytes) -> None:
    """The same objects with the same four facts, and the same folders."""
    assert taken_out(body) is not None
    assert said(body, fast=True) == said(body, fast=False)


def test_every_key_is_what_it_was() -> None:
    """Keys of every kind come out as they were put in."""
    objects, _, _ = said(READ["AWS"], fast=True)
    assert [item["key"] for item in objects] == list(KEYS)


@pytest.mark.parametrize("body", LEFT.values(), ids=list(LEFT))
def test_an_unusual_page_is_left_to_botocore(body: bytes) -> None:
    """Whatever is not exactly as expected is botocore's to judge."""
    assert taken_out(body) is None


@pytest.mark.parametrize("body", [READ["AWS"], READ["folders"], READ["moto"]], ids=["AWS", "folders", "moto"])
def test_a_page_that_ends_early_is_never_whole(body: bytes) -> None:
    """Wherever a document is cut off, what is left of it is no document, so that botocore asks again."""
    for size in range(len(body)):
        taken = taken_out(body[:size])
        if taken is not None:
            with pytest.raises(ElementTree.ParseError):
                ElementTree.fromstring(taken[0])  # noqa: S314 - our own document


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), max_size=8), st.booleans())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_keys_are_decoded_as_the_standard_library_does(texts: list[str], encoded: bool) -> None:
    """Whatever was encoded, or looks as if."""
    texts = [quote(text) if encoded else text for text in texts]
    assert decoded(pa.array(texts, pa.string())).to_pylist() == [unquote_plus(text) for text in texts]


@given(st.lists(st.text("%+aF09é/", max_size=8), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_half_an_escape_is_no_escape(texts: list[str]) -> None:
    """Per cent signs without digits behind them stay, also at the end of a key."""
    assert decoded(pa.array(texts, pa.string())).to_pylist() == [unquote_plus(text) for text in texts]


# --- the ground: what we rely on in botocore ------------------------------------------------------------------------


def test_botocore_lets_us_take_the_objects_out_before_it_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is called first, for this operation, with the document: what looks for errors, and parses, gets a short one."""
    judged: list[bytes] = []
    parsed: list[bytes] = []
    original = botocore.handlers._looks_like_special_case_error  # type: ignore[attr-defined]

    def judge(status_code: int, body: bytes) -> bool:
        judged.append(body)
        return bool(original(status_code, body))

    monkeypatch.setattr(botocore.handlers, "_looks_like_special_case_error", judge)
    body = READ["AWS"]
    with listing_client(lambda query: Answer(body)) as client:
        read_fast(client)
        client.meta.events.register_last(
            "before-parse.s3.ListObjectsV2", lambda response_dict, **_: parsed.append(response_dict["body"])
        )
        answer = client.list_objects_v2(Bucket="bucket", Prefix="xcom/")
    expected = re.sub(b"<Contents>.*</Contents>", b"", body)
    message = (
        f"botocore {botocore.__version__} calls the handlers of before-parse in another order, or not at all"
    )
    assert (judged, parsed) == ([expected], [expected]), message
    assert answer["KeyCount"] == len(KEYS)
    assert "Contents" not in answer
    assert len(answer["xcomctl.taken"].rows.keys) == len(KEYS)  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "body",
    [LEFT["an error"], READ["AWS"][:-30], READ["AWS"].replace(b"</ListBucketResult>", b"</Error>")],
    ids=["an error", "cut off", "ends as something else"],
)
def test_an_error_inside_a_success_is_asked_again(body: bytes) -> None:
    """The status is 200, and the document is none: botocore asks again, as for a 500."""
    answers = [body, READ["AWS"]]
    with listing_client(lambda query: Answer(answers.pop(0))) as client:
        read_fast(client)
        page = Pages(client, Root("bucket", "xcom/"), Request("s3:ListBucket", "e", "bucket")).ask()
    assert [page.keys.to_pylist(), answers] == [list(KEYS), []]
