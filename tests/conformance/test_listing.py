"""A long listing in key ranges, on real servers: one that lists folder by folder, and one that lists by bytes of keys."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from tests.conformance.bench import FaultyBench
from tests.conformance.test_store import ODD_KEYS, ODDER_KEYS
from tests.services.fault_proxy import fault_proxy
from tests.services.object_stores import MotoServer, point_to
from tests.services.s3_requests import is_listing
from tests.services.store_faults import small_pages
from xcomctl.models import Root
from xcomctl.s3.listing.page_parser import decoded, taken_out

FOLDERS = ("etl", "etl-x", "etl.y", "etl x", "etl+z", "etl%2Fq", "train")
KEYS = [
    f"xcom/{folder}/manual__2026-11-0{day}T00:00:00+00:00/task{number % 3}/{number:02}"
    for folder in FOLDERS
    for day in (1, 2)
    for number in range(4)
]


@pytest.fixture(params=["seaweed", "moto_server"])
def paged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyBench]:
    """The store under test on each server, which gives five objects a page."""
    with fault_proxy(request.getfixturevalue(request.param), small_pages(5)) as proxy:
        point_to(monkeypatch, proxy)
        bench = FaultyBench(proxy)
        yield bench
        bench.close()


def fill(bench: FaultyBench, keys: list[str]) -> None:
    """Write an object for each key."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(bench.put, keys))


def test_every_object_is_listed_once(paged: FaultyBench) -> None:
    """Also where the order of the store is not that of the bytes: folders `etl` and `etl-x` are enough for that."""
    fill(paged, KEYS)
    assert sorted(row["key"] for row in paged.rows("xcom/")) == sorted(KEYS)


def test_odd_keys_are_listed_once(paged: FaultyBench) -> None:
    """Keys of every kind that the server keeps, among others, on the same pages and at the seams."""
    on_moto = isinstance(paged.proxy.server, MotoServer)
    odd = [*ODD_KEYS, *(ODDER_KEYS if on_moto else ()), "x" * (1024 if on_moto else 200)]
    fill(paged, [*KEYS, *odd])
    assert sorted(row["key"] for row in paged.rows()) == sorted([*KEYS, *odd])


def test_a_listing_says_of_odd_keys_what_boto3_says(paged: FaultyBench) -> None:
    """Key, size, etag and time of each."""
    fill(paged, [*ODD_KEYS, *(ODDER_KEYS if isinstance(paged.proxy.server, MotoServer) else ())])
    with closing(paged.proxy.server.client()) as client:
        contents = client.list_objects_v2(Bucket=paged.bucket)["Contents"]
    assert sorted(
        (row["key"], row["size"], row["etag"], row["last_modified"]) for row in paged.rows()
    ) == sorted(
        (item["Key"], item["Size"], item["ETag"].strip('"'), item["LastModified"]) for item in contents
    )


def test_our_parser_reads_what_the_server_writes(paged: FaultyBench) -> None:
    """Pages of plain keys are not left to botocore's, which would be right as well, and fifty times slower."""
    fill(paged, KEYS)
    bodies: list[bytes] = []
    with closing(paged.proxy.server.client()) as client:
        client.meta.events.register(
            "before-parse.s3.ListObjectsV2",
            lambda response_dict, **_: bodies.append(bytes(response_dict["body"])),
        )
        client.list_objects_v2(Bucket=paged.bucket)
    _, taken = taken_out(bodies[0]) or (b"", None)
    assert taken is not None
    assert taken.rows is not None
    assert sorted(decoded(taken.rows.keys).to_pylist()) == sorted(KEYS)


def test_the_folders_of_a_root_are_named(paged: FaultyBench) -> None:
    """All that lie directly below it, on however many pages; not what lies deeper, and no objects."""
    fill(paged, [*KEYS, "xcom/loose", "xcom-prod/other/object"])
    assert sorted(paged.store.folders(Root(paged.bucket, "xcom/"))) == sorted(f"{name}/" for name in FOLDERS)
    assert paged.store.folders(Root(paged.bucket, "nothing/")) == []
    assert len([asked for asked in paged.proxy.asked if is_listing(asked)]) >= 3
