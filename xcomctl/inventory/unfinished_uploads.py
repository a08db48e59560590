"""Unfinished multipart uploads: found while the objects are listed, judged by who writes such keys and when they began."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import TYPE_CHECKING

from xcomctl.errors import DeclinedError
from xcomctl.globs import matches
from xcomctl.inventory.build import Inventory
from xcomctl.inventory.shards import Shard
from xcomctl.models import Root
from xcomctl.s3.interface import Store, StoreErrorInfo
from xcomctl.s3.uploads import Upload
from xcomctl.units import quantity

if TYPE_CHECKING:
    import pyarrow as pa

    from xcomctl.dialects.interface import Dialects

ABANDONED_AFTER = timedelta(days=7)
"""An upload that was begun so long ago, by the store's clock, nobody is going to finish."""

UPLOAD_STATES = ("abandoned", "recent", "foreign")
"""abandoned: a dialect claims the key, and it was begun long ago. recent: not so long. foreign: no dialect claims it."""

_MOST_LOOKED_AT = 50_000
"""Below one root. What is beyond is left to the next run, once these are gone."""

_MOST_WEIGHED = 1_000
"""So many, the oldest, are asked for the bytes of their parts: a request each."""

_AT_A_TIME = 1_000


@dataclass(frozen=True, slots=True)
class FoundUploads:
    """Unfinished uploads below some roots, oldest first, and what could not be told of them."""

    uploads: tuple[Upload, ...] = ()
    notes: tuple[StoreErrorInfo, ...] = ()
    complete: bool = True
    """Whether all roots were told of."""


def find_uploads(store: Store, roots: Sequence[Root]) -> FoundUploads:
    """Ask for the unfinished uploads below the roots, and for the bytes of the oldest.

    What the store does not tell is a note. Raises StoreError where it is out of reach.
    """
    uploads: list[Upload] = []
    notes: list[StoreErrorInfo] = []
    complete = True
    for root in roots:
        try:
            below = list(islice(chain.from_iterable(store.uploads(root)), _MOST_LOOKED_AT + 1))
        except DeclinedError as error:
            notes.append(StoreErrorInfo(f"unfinished uploads are not counted: {error}", error.hint))
            complete = False
            continue
        if len(below) > _MOST_LOOKED_AT:
            notes.append(
                StoreErrorInfo(f"there are more than {_MOST_LOOKED_AT:,} unfinished uploads below {root.uri}")
            )
        uploads += below[:_MOST_LOOKED_AT]
    uploads.sort(key=lambda one: (one.begun_at, one.address, one.upload_id))
    weighed = store.weigh_uploads(uploads[:_MOST_WEIGHED])
    # What is gone by now was finished.
    there = [one for one in weighed if one is not None]
    if len(uploads) > _MOST_WEIGHED or any(one.size is None for one in there):
        known = sum(one.size is not None for one in there)
        notes.append(
            StoreErrorInfo(
                f"of {quantity(len(uploads), 'unfinished upload')}, the bytes of {known:,} are known",
                None if known else "grant s3:ListMultipartUploadParts on the objects below the store",
            )
        )
    return FoundUploads((*there, *uploads[_MOST_WEIGHED:]), tuple(notes), complete)


def load_uploads(
    inventory: Inventory,
    found: FoundUploads,
    dialects: Dialects,
    *,
    now: datetime,
    dag: str | None,
    shard: Shard | None,
) -> None:
    """Fill the table `unfinished_uploads`, judged at `now` by the store's clock. With a `shard` only what is of it.

    What lies in the roots of others, which are known by now, is foreign.
    """
    began_before = now - ABANDONED_AFTER
    records = []
    for one in found.uploads:
        address = one.address
        root = next(root for root in inventory.roots if root.contains(address))
        if shard is not None and not shard.takes_key(address.key[len(root.prefix) :]):
            continue
        claim = dialects.claim(address.key)
        state = "foreign" if claim is None else "abandoned" if one.begun_at < began_before else "recent"
        records.append(
            (
                address.bucket,
                address.key,
                one.upload_id,
                one.begun_at.replace(tzinfo=None),
                one.size,
                state,
                # Without a DAG in its key it is out of the scope of one DAG, as an object is.
                dag is None or (claim is not None and matches(dag, claim.dag_id)),
                claim and claim.dag_id,
                claim and claim.run_id,
                claim and claim.task_id,
                claim and claim.map_index,
                claim and claim.key,
            )
        )
    for start in range(0, len(records), _AT_A_TIME):
        inventory.insert("unfinished_uploads", records[start : start + _AT_A_TIME])
    # Whatever claims them: the database that knows of them is another one.
    inventory.run(
        "UPDATE unfinished_uploads SET state = 'foreign' FROM others_roots r"
        " WHERE r.bucket = unfinished_uploads.bucket AND starts_with(unfinished_uploads.key, r.prefix)"
    )


def upload_actions(inventory: Inventory) -> Iterator[pa.RecordBatch]:
    """Actions `abort_upload` for those that are abandoned and in scope, in batches with the columns of a plan."""
    inventory.run_script("upload_actions.sql")
    yield from inventory.batches("FROM upload_actions ORDER BY bucket, object_key, upload_id")


def upload_totals(inventory: Inventory) -> dict[str, int]:
    """How many uploads there are of each state, and their bytes as far as they are known."""
    found = {
        state: (number, size)
        for state, number, size in inventory.run(
            "SELECT state, count(*), coalesce(sum(size), 0)::BIGINT FROM unfinished_uploads GROUP BY state"
        )
    }
    counts = {f"uploads_{state}": found.get(state, (0, 0))[0] for state in UPLOAD_STATES}
    sizes = {f"upload_bytes_{state}": found.get(state, (0, 0))[1] for state in UPLOAD_STATES}
    return counts | sizes
