"""Addresses, roots and rows."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from xcomctl.errors import UsageError
from xcomctl.models import ObjectAddress, Root, Row, digest_of, uuids_in

ROW = Row(
    table="xcom",
    row_key='[7,"load",-1,"return_value"]',
    dag_run_id=7,
    dag_id="etl",
    run_id="scheduled__2026-11-01T00:00:00+00:00",
    task_id="load",
    map_index=-1,
    key="return_value",
    written_at=datetime(2026, 11, 1, tzinfo=timezone.utc),
    raw=b"42",
)


@pytest.mark.parametrize(
    ("uri", "bucket", "key"),
    [
        ("s3://b/k", "b", "k"),
        ("s3a://b/k", "b", "k"),
        ("S3N://b/k", "b", "k"),
        ("s3://aws_default@b/x/y", "b", "x/y"),
        ("s3://b/a+b%2F:é //x/", "b", "a+b%2F:é //x/"),
        ("s3://b/me@home", "b", "me@home"),
        ("s3://b//k", "b", "/k"),
        ("s3://b/k?versionId=1#f", "b", "k?versionId=1#f"),
    ],
)
def test_an_address_keeps_its_key_as_it_is(uri: str, bucket: str, key: str) -> None:
    """The connection id is dropped; nothing of the key is decoded, split off or normalised."""
    assert ObjectAddress.parse(uri) == ObjectAddress(bucket, key)


@pytest.mark.parametrize("uri", ["", "b/k", "gs://b/k", "s3:/b/k", "s3://", "s3:///k", "s3://conn@/k"])
def test_what_is_no_s3_address_is_a_usage_error(uri: str) -> None:
    """A hint says how an address is written."""
    with pytest.raises(UsageError, match="is not an S3 address") as caught:
        ObjectAddress.parse(uri)
    assert caught.value.hint == "write s3://bucket/prefix"


def test_an_address_needs_a_key() -> None:
    """A bucket alone names no object."""
    with pytest.raises(UsageError, match="names no object"):
        ObjectAddress.parse("s3://bucket/")


@pytest.mark.parametrize(
    ("uri", "expected", "shown"),
    [
        ("s3://b", Root("b", ""), "s3://b"),
        ("s3://b/", Root("b", ""), "s3://b"),
        ("s3://b/x", Root("b", "x/"), "s3://b/x"),
    ],
)
def test_a_root_ends_in_one_slash_or_is_the_bucket(uri: str, expected: Root, shown: str) -> None:
    """Trailing slashes make no difference."""
    root = Root.parse(uri)
    assert (root, root.uri) == (expected, shown)


def test_a_root_contains_whole_segments_only() -> None:
    """`xcom` does not contain `xcom-prod/...`, nor another bucket's `xcom/...`."""
    root = Root.parse("s3://b/xcom")
    addresses = [
        ObjectAddress("b", "xcom/k"),
        ObjectAddress("b", "xcom-prod/k"),
        ObjectAddress("c", "xcom/k"),
        ObjectAddress("b", "xcom"),
    ]
    assert [root.contains(address) for address in addresses] == [True, False, False, False]


def test_an_object_under_a_root_is_addressed_by_its_relative_key() -> None:
    """`at` joins without a second slash."""
    assert Root("b", "xcom/").at("d/r") == ObjectAddress("b", "xcom/d/r")


@pytest.mark.parametrize(("index", "shown"), [(-1, "load"), (None, "load"), (0, "load[0]"), (12, "load[12]")])
def test_a_reference_for_people_shows_the_map_index_of_mapped_tasks_only(
    index: int | None, shown: str
) -> None:
    """Index 0 is a mapped task, -1 is not."""
    expected = f"etl/scheduled__2026-11-01T00:00:00+00:00/{shown}:return_value"
    assert replace(ROW, map_index=index).ref == expected


def test_a_short_id_starts_with_the_run_and_differs_by_row_and_table() -> None:
    """It names a row, not a value."""
    ids = [ROW.short_id, replace(ROW, row_key="[7]").short_id, replace(ROW, table="xcom_v1").short_id]
    assert [re.fullmatch(r"7-[0-9a-f]{6}", short) is not None for short in ids] == [True] * 3
    assert len(set(ids)) == 3
    assert replace(ROW, raw=b"43").short_id == ROW.short_id


def test_size_and_digest_tell_null_from_empty() -> None:
    """SQL NULL takes no bytes, and is not the same value as an empty one."""
    assert (replace(ROW, raw=None).size, replace(ROW, raw=b"").size, ROW.size) == (0, 0, 2)
    assert digest_of(None) == "null"
    assert digest_of(b"") != digest_of(None)


def test_uuids_are_found_in_any_spelling() -> None:
    """With dashes, or as 32 to 64 hexadecimal digits; lower case; in order."""
    dashed = "C3CA810C-6517-4EED-B55C-DB45A6D67DFC"
    plain = "9b74149279b4474 not hex 9b74149279b44742a67a497700141367"
    assert uuids_in(f"x/{dashed}.gz {plain}") == [dashed.lower(), "9b74149279b44742a67a497700141367"]


@pytest.mark.parametrize("uri", ["s3://b//", "s3://b/x//", "s3://b///"])
def test_root_with_an_empty_folder_at_its_end_is_refused(uri: str) -> None:
    """To trim more than one slash would name another root, a wider one."""
    with pytest.raises(UsageError):
        Root.parse(uri)
