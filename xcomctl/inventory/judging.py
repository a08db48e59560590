"""The one path from both sides to a verdict, which every command takes that judges rows and objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

from xcomctl.airflow.interface import Source
from xcomctl.dialects.interface import Dialects
from xcomctl.inventory.build import Inventory
from xcomctl.inventory.candidates import confirm_candidates
from xcomctl.inventory.classify import classify
from xcomctl.inventory.dangling import confirm_dangling
from xcomctl.inventory.matches import require_dags, require_matches
from xcomctl.inventory.nested_roots import nested_roots, set_aside
from xcomctl.inventory.scan import DEFAULT_MIN_AGE, Listings, Scan, scan
from xcomctl.inventory.shard_scan import ShardScan
from xcomctl.inventory.shards import Shard
from xcomctl.inventory.unfinished_uploads import FoundUploads, find_uploads, load_uploads
from xcomctl.inventory.workspace import Resources
from xcomctl.meanwhile import Meanwhile
from xcomctl.models import Root, outermost
from xcomctl.policy import Policy
from xcomctl.progress import Progress, no_progress
from xcomctl.s3.interface import Store, StoredListing
from xcomctl.state.ownership import OwnedRoot, owners_inside

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Sides:
    """What is read to be judged, and how: rows of `source`, objects of `store` below `roots`.

    `store` is None where there are no roots. A `listing` that was taken before stands for listing the store, which is
    then asked for the candidates only.
    """

    source: Source
    store: Store | None
    dialects: Dialects
    roots: tuple[Root, ...]
    listing: StoredListing | None = None
    resources: Resources = field(default_factory=Resources)
    report: Progress = no_progress


@dataclass(frozen=True, slots=True)
class Question:
    """By what rows and objects are judged.

    `min_age` is the grace period of unreferenced objects, by the store's clock. Archive tables keep objects alive unless
    `ignore_archives`. Of a `shard` only its rows and objects are judged.
    """

    policy: Policy = field(default_factory=Policy)
    min_age: timedelta = DEFAULT_MIN_AGE
    ignore_archives: bool = False
    shard: Shard | None = None
    orphans: bool = True
    """Whether orphaned objects are candidates that a stored listing has to be asked about."""
    trash: bool = False
    """Whether what is in the trash is judged, too."""
    uploads: bool = False
    """Whether unfinished uploads are judged, too."""
    dangling: Literal["confirm", "count", "skip"] = "confirm"
    """Ask the store for every suspect, for as many as a count needs, or for none."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Both sides, joined and judged."""

    inventory: Inventory
    scan: Scan
    uploads: FoundUploads | None = None
    """None where nobody asked for them."""
    inside: tuple[OwnedRoot, ...] = ()
    """Other roots inside of the given ones. What lies in those of another database is foreign."""
    _shard: ShardScan | None = None

    def own(self, actions: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        """Those of `actions` (batches with the columns of a plan's actions) that are of the shard that was asked for."""
        return actions if self._shard is None else self._shard.own(self.inventory, actions)


@contextmanager
def judged(
    sides: Sides, question: Question, *, before_settling: Callable[[Judged], None] | None = None
) -> Iterator[Judged]:
    """Scan both sides, classify, ask for the candidates, drop what is of other shards, and find the dangling rows.

    `before_settling` is called while the rows of other shards that keep objects of this one are still there.

    Raises UsageError for a policy that matches nothing, SourceError and StoreError where a side does not come whole.
    """
    with ExitStack() as stack:
        uploads = _asked_meanwhile(sides, question)
        shard = None
        if question.shard is not None:
            shard = ShardScan(
                question.shard,
                question.policy,
                sides.dialects,
                with_trash=question.trash,
                deletes_besides=lambda: bool(uploads and uploads.result().uploads),
                resources=sides.resources,
            )
        # The first pages are on their way while the database of the inventory is loaded.
        listings = Listings(sides.store, outermost(sides.roots), sides.listing, shard)
        inventory = stack.enter_context(
            Inventory(sides.dialects, sides.roots, resources=sides.resources, report=sides.report)
        )
        found = scan(
            inventory,
            sides.source,
            listings,
            min_age=question.min_age,
            ignore_archives=question.ignore_archives,
            shard=shard,
        )
        if shard is None:
            require_matches(inventory, question.policy, found.known_dags, now=found.database_at)
        else:
            require_dags(inventory, question.policy, found.known_dags | found.others.names)
        inside = _set_others_aside(inventory, sides)
        classify(inventory, question.policy, now=found.database_at, cutoff=found.cutoff)
        if sides.listing is not None and sides.store is not None:
            confirm_candidates(
                inventory, sides.store, orphans=question.orphans, cutoff=found.cutoff, report=sides.report
            )
        found_uploads = None if uploads is None else uploads.result()
        if found_uploads is not None and found.store_at is not None:
            load_uploads(
                inventory,
                found_uploads,
                sides.dialects,
                now=found.store_at,
                dag=question.policy.dag,
                shard=question.shard,
            )
        result = Judged(inventory, found, found_uploads, inside, shard)
        if before_settling is not None:
            before_settling(result)
        if shard is not None:
            shard.drop_others(inventory)
        if question.dangling != "skip":
            _find_dangling(sides, question, result)
        yield result


def _asked_meanwhile(sides: Sides, question: Question) -> Meanwhile[FoundUploads] | None:
    """Ask for unfinished uploads while the objects are listed; None where nobody wants to know."""
    store, roots = sides.store, outermost(sides.roots)
    if not question.uploads or store is None or not roots:
        return None
    return Meanwhile(partial(find_uploads, store, roots))


def _set_others_aside(inventory: Inventory, sides: Sides) -> tuple[OwnedRoot, ...]:
    """Find the roots inside of the given ones, and leave those of other databases alone. Raises SourceError, StoreError."""
    roots = nested_roots(inventory)
    if not roots or sides.store is None:
        return ()
    inside, database = owners_inside(sides.store, roots), sides.source.identity()
    set_aside(inventory, [one for one in inside if one.database != database])
    return inside


def _find_dangling(sides: Sides, question: Question, found: Judged) -> None:
    """Find the rows whose object is gone. A listing of everything settles most suspects where only their number counts."""
    settled_by = None
    if question.dangling == "count" and sides.listing is None and question.shard is None:
        settled_by = found.scan.listed_by_database_clock
    confirm_dangling(
        found.inventory,
        sides.store if sides.roots else None,
        sides.dialects,
        sides.report,
        listed_at=settled_by,
    )
