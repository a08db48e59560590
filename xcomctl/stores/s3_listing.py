"""Listing a root of an S3 store as columnar batches. A listing is whole, or it is an error."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TYPE_CHECKING

from xcomctl.models import Root
from xcomctl.stores.s3_cuts import ascending
from xcomctl.stores.s3_errors import Request
from xcomctl.stores.s3_pages import History, Pages
from xcomctl.stores.s3_stealing import Stealing

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

    A short listing is read page by page, a long one in several stretches at once, unless it is wanted `in_order`. Raises
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
    pages = Pages(client, root, request)
    history = History(pages)
    folders: dict[str, None] = {}
    token: str | None = None
    while True:
        page = pages.ask_folder(root.prefix, token=token)
        history.add(page)
        folders.update((folder.removeprefix(root.prefix), None) for folder in page.folders)
        token = page.token
        if token is None:
            return list(folders)


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
            with closing(Stealing(pages).objects_behind(page, history)) as rest:
                yield from rest
            return


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    import pyarrow as pa

    (joined,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return joined
