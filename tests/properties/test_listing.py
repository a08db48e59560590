"""A long listing is read in key ranges: whatever keys there are, each is listed once, or the listing is an error."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.services.listed_bucket import (
    ListedBucket,
    Order,
    by_bytes,
    by_folder,
    by_no_order_at_all,
    listing_client,
)
from tests.services.scripted_store import Answer
from xcomctl.errors import StoreError
from xcomctl.models import Root
from xcomctl.s3.errors import Request
from xcomctl.s3.listing.listing import list_batches
from xcomctl.s3.listing.pages import read_fast

NAMES = st.sampled_from(["a", "a-b", "a.b", "a b", "A", "b", "b+", "run%2F1", "", "é", "ti-1", "z~"])
KEYS = st.lists(st.lists(NAMES, min_size=1, max_size=4).map("/".join), min_size=0, max_size=25, unique=True)

SETTINGS: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": [HealthCheck.too_slow],
}


def listed(bucket: ListedBucket) -> list[str]:
    """All keys of the bucket, as the store lists them."""
    return listed_by(bucket.page)


def listed_by(answer_to: Callable[[dict[str, str]], Answer]) -> list[str]:
    """All keys that a store with these answers lists."""
    with listing_client(answer_to) as client:
        read_fast(client)
        request = Request("s3:ListBucket", "http://127.0.0.1:1", "bucket")
        return [
            key
            for batch in list_batches(client, Root("bucket"), request)
            for key in batch.column("key").to_pylist()
        ]


def uuids(seed: int, number: int) -> list[str]:
    """Random names."""
    source = random.Random(seed)  # noqa: S311 - names, no secrets
    return [str(UUID(int=source.getrandbits(128), version=4)) for _ in range(number)]


def spread(stems: Sequence[str], number: int, seed: int = 1) -> list[str]:
    """Random names below each stem in turn."""
    return [f"{stems[index % len(stems)]}{name}" for index, name in enumerate(uuids(seed, number))]


LAYOUTS: dict[str, list[str]] = {
    "many small folders": spread([f"dag{number:02}/run/" for number in range(40)], 400),
    "one DAG of many runs": spread([f"big/run{number:02}/task/" for number in range(30)], 300)
    + spread(["a/r/", "z/r/"], 20),
    "one large folder": spread(["xcom/"], 300),
    "a folder for each object": [f"ti-{name}/return_value.json" for name in uuids(2, 300)],
    "names that count up": [f"dag/run/{number:06}" for number in range(300)],
    "neighbours of a folder": spread(["etl/", "etl-x/", "etl.y/", "etl x/", "etl0/"], 300),
    "deep": spread([f"a/b/c/{x}/{y}/" for x in "pqr" for y in "0123456789"], 300),
}
ORDERS = {"bytes": by_bytes, "folders": by_folder, "no order": by_no_order_at_all}


@pytest.mark.parametrize("order", ORDERS.values(), ids=list(ORDERS))
@pytest.mark.parametrize("keys", LAYOUTS.values(), ids=list(LAYOUTS))
def test_every_object_is_listed_once(keys: list[str], order: Order) -> None:
    """In whatever order a store lists, and however its keys are laid out."""
    assert sorted(listed(ListedBucket(keys, 20, order))) == sorted(keys)


@pytest.mark.parametrize(
    ("keys", "requests"),
    [([], 1), (LAYOUTS["deep"][:20], 1), (LAYOUTS["deep"][:40], 2)],
    ids=["empty", "a page", "two pages"],
)
def test_a_short_listing_takes_no_more_requests_than_pages(keys: list[str], requests: int) -> None:
    """Nothing is asked for that is not listed."""
    bucket = ListedBucket(keys, 20)
    assert (sorted(listed(bucket)), len(bucket.asked)) == (sorted(keys), requests)


@pytest.mark.parametrize(
    "layout",
    ["many small folders", "one DAG of many runs", "one large folder", "a folder for each object", "deep"],
)
def test_a_long_listing_is_read_in_key_ranges(layout: str) -> None:
    """While one thread waits for a page, another one begins in the middle."""
    bucket = ListedBucket(LAYOUTS[layout], 20)
    begun = Event()

    def answer(query: dict[str, str]) -> Answer:
        if "start-after" in query and "delimiter" not in query:
            begun.set()
        # The first two pages are read by one thread, the third one is held back until there is another.
        if len(bucket.asked) >= 2 and "continuation-token" in query:
            assert begun.wait(60)
        return bucket.page(query)

    assert sorted(listed_by(answer)) == sorted(bucket.keys)


@pytest.mark.parametrize("unknown", ["delimiter", "start-after"])
def test_a_store_that_refuses_a_question_is_read_by_one_thread(unknown: str) -> None:
    """What is only asked to be faster may be refused."""
    bucket = ListedBucket(LAYOUTS["many small folders"], 20)

    def answer(query: dict[str, str]) -> Answer:
        if unknown in query:
            return Answer(b"<Error><Code>NotImplemented</Code><Message>no</Message></Error>", 501)
        return bucket.page(query)

    assert sorted(listed_by(answer)) == sorted(bucket.keys)


@pytest.mark.parametrize("keys", LAYOUTS.values(), ids=list(LAYOUTS))
def test_a_store_that_cannot_begin_in_the_middle_is_listed_whole(keys: list[str]) -> None:
    """Where StartAfter is ignored, nothing is listed twice."""
    assert sorted(listed(ListedBucket(keys, 20, knows_start_after=False))) == sorted(keys)


@given(keys=KEYS, size=st.integers(1, 4), order=st.sampled_from([by_bytes, by_folder]))
@settings(max_examples=25, **SETTINGS)
def test_odd_keys_are_listed_once(keys: list[str], size: int, order: Order) -> None:
    """Empty names, names that sort before a slash, what looks encoded: on pages of a few keys."""
    keys = [key for key in keys if key]
    assert sorted(listed(ListedBucket(keys, size, order))) == sorted(keys)


@given(data=st.data(), size=st.integers(3, 12), order=st.sampled_from([by_bytes, by_folder]))
@settings(max_examples=25, **SETTINGS)
def test_what_is_deleted_meanwhile_hides_nothing_else(data: Any, size: int, order: Order) -> None:
    """All that stays is listed, once, or the listing is an error; also where the very keys go at which key ranges meet."""
    layout = data.draw(st.sampled_from(sorted(LAYOUTS)))
    everything = sorted(LAYOUTS[layout])[:100]
    going = set(data.draw(st.lists(st.sampled_from(everything), max_size=60)))
    start = data.draw(st.integers(0, 95))
    going |= set(everything[start : start + data.draw(st.integers(0, 60))])
    moment = data.draw(st.integers(2, 20))
    keys = list(everything)

    def before(number: int) -> None:
        if number == moment:
            keys[:] = [key for key in keys if key not in going]

    try:
        found = listed(ListedBucket(keys, size, order, before=before))
    except StoreError as error:
        assert str(error).startswith("incomplete listing of s3://bucket: ")  # noqa: PT017 - an error is allowed
        return
    assert len(found) == len(set(found))
    assert set(everything) - going <= set(found) <= set(everything)
