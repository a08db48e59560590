"""What becomes of a listing in key ranges that fails or is not read to its end."""

from __future__ import annotations

import threading

import pytest

from tests.services.listed_bucket import ListedBucket, listing_client
from tests.services.scripted_store import Answer
from xcomctl.errors import StoreError
from xcomctl.models import Root
from xcomctl.s3.errors import Request
from xcomctl.s3.listing import listing
from xcomctl.s3.listing.listing import list_batches
from xcomctl.s3.listing.pages import read_fast

KEYS = [f"dag{dag:02}/run/{number:03}" for dag in range(20) for number in range(30)]
ROOT = Root("bucket")
REQUEST = Request("s3:ListBucket", "endpoint", "bucket")


def threads() -> list[str]:
    """Threads of listings that are there now."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("listing-")]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 8, 20])
def test_an_error_on_any_page_is_the_error_of_the_listing(number: int) -> None:
    """Whichever thread gets it; and no thread is left."""
    bucket = ListedBucket(KEYS)

    def answer(query: dict[str, str]) -> Answer:
        page = bucket.page(query)
        denied = Answer(b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>", 403)
        return denied if len(bucket.asked) >= number else page

    with listing_client(answer) as client:
        read_fast(client)
        with pytest.raises(StoreError, match=r"access to s3://bucket at .* is denied"):
            list(list_batches(client, ROOT, REQUEST))
    assert threads() == []


def test_a_listing_that_is_not_read_to_its_end_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """To close the iterator is enough."""
    monkeypatch.setattr(listing, "_BATCH_ROWS", 50)
    with listing_client(ListedBucket(KEYS).page) as client:
        read_fast(client)
        batches = list_batches(client, ROOT, REQUEST)
        found = [next(batches).num_rows for _ in range(2)]
        during = threads()
        batches.close()
    assert (found, len(during) > 0, threads()) == ([50, 50], True, [])


def test_a_part_that_ends_before_the_next_one_begins_is_an_error() -> None:
    """A store that says too early that there is no more is not believed where more has been seen."""
    bucket = ListedBucket(KEYS)
    begun = threading.Event()

    def answer(query: dict[str, str]) -> Answer:
        page = bucket.page(query)
        marker = query.get("continuation-token", "")
        if marker >= "dag01":
            # Somebody reads on from the middle: what was found there counts.
            begun.set()
        elif marker and len(bucket.asked) > 2:
            assert begun.wait(60)
            head, _, tail = page.body.partition(b"<NextContinuationToken>")
            return Answer(
                head.replace(b">true<", b">false<") + tail.partition(b"</NextContinuationToken>")[2]
            )
        return page

    with listing_client(answer) as client:
        read_fast(client)
        with pytest.raises(StoreError, match="it ended before a key that had been listed"):
            list(list_batches(client, ROOT, REQUEST))


def test_a_listing_in_order_is_read_by_one_thread() -> None:
    """In the order of the store, also where what was given is deleted at once."""
    keys = list(KEYS)
    bucket = ListedBucket(keys)
    with listing_client(bucket.page) as client:
        read_fast(client)
        found = []
        for batch in list_batches(client, ROOT, REQUEST, in_order=True):
            found += batch.column("key").to_pylist()
            keys[:] = sorted(set(KEYS) - set(found))
    assert (found, len(bucket.asked)) == (KEYS, len(KEYS) // bucket.page_size)


def test_a_batch_holds_several_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in small pages is handed on in batches."""
    monkeypatch.setattr(listing, "_BATCH_ROWS", 100)
    with listing_client(ListedBucket(KEYS).page) as client:
        read_fast(client)
        sizes = [batch.num_rows for batch in list_batches(client, ROOT, REQUEST)]
    assert (sum(sizes), all(100 <= size < 110 for size in sizes[:-1])) == (len(KEYS), True)
