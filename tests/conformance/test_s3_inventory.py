"""S3 Inventories in the place of a listing, read from a real server."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.bench import Bench, FaultyBench
from tests.services.object_stores import new_bucket, remove_bucket
from tests.services.s3_inventories import FORMATS, Format, InventoryWriter, Listed, marker, older
from tests.services.s3_requests import names as naming
from tests.services.store_faults import only, truncated
from xcomctl.demo.server import SeaweedFS
from xcomctl.errors import NotFoundError, RefusedError, StoreError, UnreadableError, UsageError, XcomctlError
from xcomctl.models import Root
from xcomctl.s3.interface import object_schema, objects_below
from xcomctl.s3.inventory.listing import S3Inventory

AT = datetime(2026, 11, 21, 1, 2, 3, 456000, tzinfo=timezone.utc)

ODD_KEYS = (
    "xcom/etl/r 1+2/load/%2F",
    "xcom/etl/r1/load/é%C3.json",
    "xcom/etl/,\"'/x\ny\tz",
    "xcom//a//",
    "xcom/NULL",
    "xcom/../x",
    "xcom/" + "ü" * 500,
)


@pytest.fixture
def bench(seaweed_bench: Bench) -> Bench:
    """The store under test on SeaweedFS."""
    return seaweed_bench


@pytest.fixture
def writer(bench: Bench) -> InventoryWriter:
    """Inventories of the bench's bucket, in itself."""
    return InventoryWriter(bench.client, bench.bucket)


def just_now(bench: Bench) -> datetime:
    """A time for an inventory that is good."""
    return bench.store.now(bench.bucket)


def opened(bench: Bench, uri: str, prefix: str = "xcom/") -> S3Inventory:
    """The inventory at `uri` as a listing of one root."""
    return S3Inventory.open(bench.store, uri, [Root(bench.bucket, prefix)])


def listed(listing: S3Inventory, root: Root) -> list[dict[str, Any]]:
    """What a listing says of a root, by key."""
    batches = list(listing.batches(root))
    assert all(batch.schema == object_schema() for batch in batches)
    return sorted((row for batch in batches for row in batch.to_pylist()), key=lambda row: str(row["key"]))


@pytest.mark.parametrize("kind", FORMATS)
def test_an_inventory_says_what_a_listing_says(bench: Bench, writer: InventoryWriter, kind: Format) -> None:
    """The same objects below the root, with the same sizes, etags and times; others are left out."""
    for key in ("xcom/a b+c/%41/é", "xcom/d/e", "xcom-other/f", "g"):
        bench.put(key, key.encode())
    listing = opened(bench, writer.write(kind, just_now(bench)))
    root = Root(bench.bucket, "xcom/")
    by_listing = sorted(bench.rows("xcom/"), key=lambda row: str(row["key"]))
    assert len(by_listing) == 2
    assert listed(listing, root) == by_listing
    assert len(listed(listing, Root(bench.bucket))) == 4


@pytest.mark.parametrize("kind", FORMATS)
def test_keys_of_every_kind_come_back_as_they_are(
    bench: Bench, writer: InventoryWriter, kind: Format
) -> None:
    """URL-encoded in CSV, as they are in Parquet and ORC; times to the millisecond, sizes beyond 32 bits."""
    lines = [Listed(key, 5 << 40, AT, "0" * 32 + "-17") for key in ODD_KEYS]
    listing = opened(bench, writer.write(kind, just_now(bench), lines, files=3))
    assert listed(listing, Root(bench.bucket, "xcom/")) == [
        {"bucket": bench.bucket, "key": key, "size": 5 << 40, "etag": "0" * 32 + "-17", "last_modified": AT}
        for key in sorted(ODD_KEYS)
    ]


@pytest.mark.parametrize("kind", FORMATS)
def test_only_current_versions_count(bench: Bench, writer: InventoryWriter, kind: Format) -> None:
    """Of a bucket that keeps versions the current ones are taken, unless they are delete markers."""
    here, hidden = Listed("xcom/here", 3, AT, "aa", "v2"), Listed("xcom/hidden", 3, AT, "bb", "v1")
    lines = [here, older(here), marker("xcom/hidden", AT), older(hidden)]
    listing = opened(bench, writer.write(kind, just_now(bench), lines, versions=True))
    found = listed(listing, Root(bench.bucket, "xcom/"))
    assert [(row["key"], row["etag"]) for row in found] == [("xcom/here", "aa")]


@pytest.mark.parametrize("kind", FORMATS)
def test_an_inventory_may_be_empty(bench: Bench, writer: InventoryWriter, kind: Format) -> None:
    """Neither a list without files nor a file without lines is an error where there is nothing to list."""
    for files in (0, 1):
        listing = opened(bench, writer.write(kind, just_now(bench), [], files=files))
        assert listed(listing, Root(bench.bucket, "xcom/")) == []


def test_many_lines_come_in_batches(bench: Bench, writer: InventoryWriter) -> None:
    """No batch holds more than 50,000 objects, however large the file is."""
    lines = [Listed(f"xcom/{number:06}", 1, AT, "aa") for number in range(60_000)]
    for kind in FORMATS:
        listing = opened(bench, writer.write(kind, just_now(bench), lines, files=1))
        sizes = [batch.num_rows for batch in listing.batches(Root(bench.bucket, "xcom/"))]
        assert (sum(sizes), max(sizes) <= 50_000) == (60_000, True)


@pytest.fixture
def other_bucket(seaweed: SeaweedFS, bench: Bench) -> Iterator[str]:
    """One more bucket on the server of the bench."""
    name = new_bucket(seaweed)
    yield name
    remove_bucket(seaweed, name)


def test_an_inventory_may_lie_in_another_bucket(bench: Bench, other_bucket: str, tmp_path: Path) -> None:
    """Its files are read from where it says; they pass through a folder that is empty afterwards."""
    bench.put("xcom/a")
    writer = InventoryWriter(bench.client, bench.bucket, other_bucket)
    root = Root(bench.bucket, "xcom/")
    listing = S3Inventory.open(bench.store, writer.write("ORC", just_now(bench)), [root], tmp_path)
    assert [row["key"] for row in listed(listing, root)] == ["xcom/a"]
    assert list(tmp_path.iterdir()) == []


def test_what_the_tool_keeps_is_listed_anew(bench: Bench, writer: InventoryWriter) -> None:
    """Trash and journal are as they are now, at the root and in folders that are roots of others."""
    for key in ("xcom/.xcomctl/old", "xcom/team/.xcomctl/old", "xcom/a"):
        bench.put(key)
    listing = opened(bench, writer.write("Parquet", just_now(bench)))
    bench.client.delete_object(Bucket=bench.bucket, Key="xcom/.xcomctl/old")
    for key in ("xcom/.xcomctl/new", "xcom/team/.xcomctl/new", "xcom/b"):
        bench.put(key)
    root = Root(bench.bucket, "xcom/")
    keys = [
        key for batch in objects_below(root, listing, bench.store) for key in batch.column("key").to_pylist()
    ]
    assert sorted(keys) == [
        "xcom/.xcomctl/new",
        "xcom/a",
        "xcom/team/.xcomctl/new",
        "xcom/team/.xcomctl/old",
    ]


def failing(bench: Bench, uri: str, prefix: str = "xcom/") -> XcomctlError:
    """The error with which an inventory is refused, when it is opened or while it is read."""
    with pytest.raises(XcomctlError) as caught:
        for _ in opened(bench, uri, prefix).batches(Root(bench.bucket, prefix)):
            pass
    assert caught.value.hint
    return caught.value


def test_what_is_no_manifest_is_a_mistake(bench: Bench) -> None:
    """A folder, the list for Hive, or a path: the hint shows what a manifest looks like."""
    for uri in (
        f"s3://{bench.bucket}/inventories/all/hive/dt=2026-11-21-01-00/symlink.txt",
        f"s3://{bench.bucket}/inventories/all/2026-11-21T01-00Z/",
        f"s3://{bench.bucket}/inventories/all",
        f"s3://{bench.bucket}",
        "manifest.json",
    ):
        error = failing(bench, uri)
        assert (type(error), str(error)) == (
            UsageError,
            f"{uri!r} is not the manifest.json of an S3 Inventory",
        )
        assert str(error.hint).endswith("/manifest.json")


def test_other_documents_are_no_manifests(bench: Bench) -> None:
    """JSON or not, the cause says what is wrong about it."""
    for body in (b"", b"{", b"[]", b"{}", b'{"files": []}', b"\xff"):
        uri = bench.put("other.json", body).uri
        error = failing(bench, uri)
        assert (type(error), str(error).startswith(f"{uri} is no manifest of an S3 Inventory: ")) == (
            UsageError,
            True,
        )


def test_a_format_that_nobody_knows_is_named(bench: Bench, writer: InventoryWriter) -> None:
    """S3 may have another one some day."""
    uri = writer.write("CSV", just_now(bench), change=lambda document: document.update(fileFormat="Avro"))
    assert "Avro" in str(failing(bench, uri))


def test_a_manifest_that_is_not_there_is_told(bench: Bench) -> None:
    """The hint says how to find those that are."""
    error = failing(bench, f"s3://{bench.bucket}/inventories/manifest.json")
    assert (type(error), "aws s3 ls" in str(error.hint)) == (NotFoundError, True)


def test_an_inventory_of_another_bucket_is_a_mistake(bench: Bench, writer: InventoryWriter) -> None:
    """Both buckets are named."""
    uri = writer.write("CSV", just_now(bench))
    with pytest.raises(UsageError, match=f"lists the bucket '{bench.bucket}', and s3://elsewhere/xcom is in"):
        S3Inventory.open(bench.store, uri, [Root(bench.bucket, "xcom/"), Root("elsewhere", "xcom/")])


@pytest.mark.parametrize(("age", "said"), [(15, "15d old"), (-1, "the store's clock")], ids=["old", "ahead"])
def test_an_inventory_of_another_time_is_refused(
    bench: Bench, writer: InventoryWriter, age: int, said: str
) -> None:
    """One that is older than 14 days, or begun after the time that the store tells."""
    uri = writer.write("CSV", just_now(bench) - timedelta(days=age))
    error = failing(bench, uri)
    assert (type(error), said in str(error)) == (RefusedError, True)


@pytest.mark.parametrize("kind", FORMATS)
def test_missing_columns_are_named(bench: Bench, writer: InventoryWriter, kind: Format) -> None:
    """As the configuration of an inventory calls them."""
    bench.put("xcom/a")
    uri = writer.write(kind, just_now(bench), without=("Size", "ETag", "LastModifiedDate"))
    error = failing(bench, uri)
    assert (type(error), str(error)) == (UsageError, f"{uri} lacks 'Size', 'ETag', 'Last modified'")
    assert "switch on the metadata 'Size', 'ETag', 'Last modified'" in str(error.hint)


@pytest.mark.parametrize("kind", FORMATS)
def test_versions_of_unknown_order_are_a_mistake(bench: Bench, writer: InventoryWriter, kind: Format) -> None:
    """All versions of an object, without a word which one is the current one, are no listing."""
    bench.put("xcom/a")
    uri = writer.write(kind, just_now(bench), versions=True, without=("IsLatest",))
    assert "current versions only" in str(failing(bench, uri).hint)


def test_an_inventory_of_another_prefix_is_a_mistake(bench: Bench, writer: InventoryWriter) -> None:
    """A list that has nothing of the store, where there is something that is older, does not cover it."""
    key = bench.put("xcom/a").key
    bench.put("other/b")
    assert isinstance(bench.server, SeaweedFS)
    bench.server.backdate({(bench.bucket, key): just_now(bench) - timedelta(days=3)})
    uri = writer.write("CSV", just_now(bench), writer.objects("other/"))
    assert f"holds nothing below s3://{bench.bucket}/xcom" in str(failing(bench, uri))


def test_a_new_store_is_in_no_inventory_yet(bench: Bench, writer: InventoryWriter) -> None:
    """What was uploaded since the list was begun makes no mistake of it."""
    uri = writer.write("CSV", just_now(bench), [Listed("other/b", 1, AT, "aa")])
    bench.put("xcom/a")
    assert listed(opened(bench, uri), Root(bench.bucket, "xcom/")) == []


def test_a_damaged_manifest_is_told(bench: Bench, writer: InventoryWriter) -> None:
    """By the checksum that S3 writes beside it; a copy without one is taken as it is."""
    uri = writer.write("CSV", just_now(bench))
    key = uri.removeprefix(f"s3://{bench.bucket}/")
    with closing(bench.client.get_object(Bucket=bench.bucket, Key=key)["Body"]) as body:
        content = body.read()
    bench.put(key, content + b"\n")
    error = failing(bench, uri)
    assert (type(error), "its MD5 is not that of manifest.checksum" in str(error)) == (UnreadableError, True)
    copy = bench.put("copy.json", content).uri
    assert opened(bench, copy).uri == copy


def test_a_missing_file_is_told(bench: Bench, writer: InventoryWriter) -> None:
    """Half a list is none."""
    names: list[str] = []
    bench.put("xcom/a")
    uri = writer.write(
        "CSV", just_now(bench), change=lambda document: names.append(document["files"][-1]["key"])
    )
    bench.client.delete_object(Bucket=bench.bucket, Key=names[0])
    error = failing(bench, uri)
    assert (type(error), f"s3://{bench.bucket}/{names[0]}" in str(error)) == (NotFoundError, True)
    assert "lifecycle" in str(error.hint)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_file_is_told(bench: Bench, writer: InventoryWriter, kind: Format) -> None:
    """One that is not what the manifest says, by its MD5."""
    bench.put("xcom/a")
    names: list[str] = []
    uri = writer.write(
        kind, just_now(bench), change=lambda document: names.append(document["files"][0]["key"])
    )
    bench.put(names[0], b"x" * 1000)
    error = failing(bench, uri)
    assert (type(error), "its size or its MD5" in str(error)) == (UnreadableError, True)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_is_no_such_file_is_told(bench: Bench, writer: InventoryWriter, kind: Format) -> None:
    """Also where the manifest has its checksum: nothing of another format is read for a list."""
    other: Format = "ORC" if kind == "CSV" else "CSV"
    bench.put("xcom/a")
    said = {"fileFormat": kind, "fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag"}
    uri = writer.write(other, just_now(bench), change=lambda document: document.update(said))
    error = failing(bench, uri)
    assert (type(error), "a file of the inventory, is damaged" in str(error)) == (UnreadableError, True)


def test_lines_that_say_nothing_make_no_listing(bench: Bench, writer: InventoryWriter) -> None:
    """Keys that are no UTF-8, objects without a size, times that are none, lines of another length."""
    for line in (
        '"b","xcom/%FF","1","2026-11-21T01:00:00.000Z","aa"',
        '"b","xcom/a","","2026-11-21T01:00:00.000Z","aa"',
        '"b","xcom/a","1","yesterday","aa"',
        '"b","xcom/a","1"',
    ):
        body = gzip.compress(f"{line}\n".encode())
        key = bench.put("lines.csv.gz", body).key
        digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
        said = {
            "files": [{"key": key, "size": len(body), "MD5checksum": digest}],
            "fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag",
        }
        uri = writer.write("CSV", just_now(bench), [], change=partial(dict.update, **said))
        error = failing(bench, uri)
        assert (type(error), f"s3://{bench.bucket}/lines.csv.gz" in str(error)) == (UnreadableError, True)


def test_a_file_that_does_not_come_whole_is_an_error(faulty_bench: FaultyBench) -> None:
    """A connection that breaks is the store's fault, and no damage of the file."""
    bench = faulty_bench
    bench.put("xcom/a")
    names: list[str] = []
    uri = InventoryWriter(bench.client, bench.bucket).write(
        "CSV", just_now(bench), change=lambda document: names.append(document["files"][1]["key"])
    )
    with bench.proxy.with_faults(only(naming(names[0]), truncated)):
        error = failing(bench, uri)
    assert type(error) is StoreError


def test_no_room_for_the_files_is_told(bench: Bench, writer: InventoryWriter, tmp_path: Path) -> None:
    """A folder that cannot be written is a matter of the settings."""
    bench.put("xcom/a")
    root = Root(bench.bucket, "xcom/")
    listing = S3Inventory.open(
        bench.store, writer.write("CSV", just_now(bench)), [root], tmp_path / "missing"
    )
    with pytest.raises(UsageError, match="cannot be kept for a moment: No such file or directory") as caught:
        list(listing.batches(root))
    assert "--tmp DIR" in str(caught.value.hint)


def test_reading_can_end_early(bench: Bench, writer: InventoryWriter, tmp_path: Path) -> None:
    """Who stops in the middle leaves no file and no thread behind."""
    lines = [Listed(f"xcom/{number:03}", 1, AT, "aa") for number in range(20)]
    root = Root(bench.bucket, "xcom/")
    uri = writer.write("CSV", just_now(bench), lines, files=10)
    batches = S3Inventory.open(bench.store, uri, [root], tmp_path).batches(root)
    assert next(batches).num_rows == 2
    del batches
    assert list(tmp_path.iterdir()) == []
