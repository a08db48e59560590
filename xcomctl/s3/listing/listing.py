"""Listing a root of an S3 store as columnar batches. A listing is whole, or it is an error."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from xcomctl.models import Root
from xcomctl.s3.errors import Request
from xcomctl.s3.listing.pages import History, Page, Pages
from xcomctl.s3.listing.parallel_listing import ParallelListing
from xcomctl.s3.listing.split_points import ascending

if TYPE_CHECKING:
    import pyarrow as pa
    from mypy_boto3_s3 import S3Client

_BATCH_ROWS = 10_000

_PAGES_ALONE = 2
"""So many pages are read one after the other before anything else is asked."""


def list_batches(
    client: S3Client, root: Root, request: Request, *, in_order: bool = False
) -> Generator[pa.RecordBatch, None, None]:
    """Every object below `root`, in batches of `object_schema()` of about 10,000 rows.

    A short listing is read page by page, a long one in several key ranges at once, unless it is wanted `in_order`. Raises
    StoreError, also where the store's pages do not add up to a whole listing.
    """
    waiting: list[pa.RecordBatch] = []
    rows = 0
    with closing(_objects(Pages(client, root, request), in_order=in_order)) as pages:
        for objects in pages:
            waiting.append(objects)
            rows += objects.num_rows
            if rows >= _BATCH_ROWS:
                yield _joined(waiting)
                waiting.clear()
                rows = 0
    if waiting:
        yield _joined(waiting)


def list_folders(client: S3Client, root: Root, request: Request) -> list[str]:
    """Names of the folders directly below `root`, each ending with `/`. Raises StoreError."""
    folders: dict[str, None] = {}
    for page in _directly_below(Pages(client, root, request)):
        folders.update((folder.removeprefix(root.prefix), None) for folder in page.folders)
    return list(folders)


def list_loose(client: S3Client, root: Root, request: Request) -> Iterator[pa.RecordBatch]:
    """Every object directly below `root`, in no folder, in batches of `object_schema()`. Raises StoreError."""
    import pyarrow.compute as pc

    for page in _directly_below(Pages(client, root, request)):
        # A store that does not know delimiters gives all that is below: those in folders are listed with their folder.
        names = pc.utf8_slice_codeunits(page.keys, len(root.prefix))
        objects = page.objects.filter(pc.invert(pc.match_substring(names, "/")))
        if objects.num_rows:
            yield objects


def _directly_below(pages: Pages) -> Iterator[Page]:
    history = History(pages)
    token: str | None = None
    while True:
        page = pages.ask_folder(pages.root.prefix, token=token)
        history.add(page)
        yield page
        token = page.token
        if token is None:
            return


def _objects(pages: Pages, *, in_order: bool) -> Generator[pa.RecordBatch, None, None]:
    """The objects of the listing, page by page."""
    history = History(pages)
    token, last, count = None, "", 0
    # Products that list folder by folder are read by one thread: it would not be known where to cut.
    may_be_cut = not in_order
    while True:
        page = pages.ask(token=token)
        history.add(page)
        count += 1
        may_be_cut = may_be_cut and ascending(page.keys, last)
        if page.objects.num_rows:
            last = page.keys[-1].as_py()
            yield page.objects
        token = page.token
        if token is None:
            return
        if may_be_cut and count >= _PAGES_ALONE and page.objects.num_rows:
            with closing(ParallelListing(pages).objects_behind(page, history)) as rest:
                yield from rest
            return


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    import pyarrow as pa

    (joined,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return joined
