"""Plan a collection: list, then read the rows, join, judge, and say what stands in the way. Deletes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from xcomctl import __version__
from xcomctl.airflow.interface import Source
from xcomctl.dialects.interface import Dialects
from xcomctl.gc.guards import DEFAULT_MAX_SHARE, judge, note_left_behind
from xcomctl.gc.plan import Basis, ListingBasis, Plan
from xcomctl.gc.plan_actions import Actions
from xcomctl.inventory import Inventory
from xcomctl.inventory.candidates import confirm_candidates
from xcomctl.inventory.classify import classify, totals
from xcomctl.inventory.dangling import confirm_dangling
from xcomctl.inventory.matches import require_dags, require_matches
from xcomctl.inventory.resources import Resources
from xcomctl.inventory.scan import DEFAULT_MIN_AGE, Mark, fill
from xcomctl.inventory.shard_scan import Share
from xcomctl.inventory.shards import Shard
from xcomctl.inventory.sizes import bytes_by_state, trash_totals
from xcomctl.inventory.trash_contents import trash_actions
from xcomctl.models import Root
from xcomctl.policy import Policy
from xcomctl.progress import Report, silent
from xcomctl.s3.interface import Store
from xcomctl.s3.stored_listing import StoredListing
from xcomctl.state.owner import read_owners
from xcomctl.state.trash.entries import DEFAULT_TRASH_KEEP
from xcomctl.units import exact_duration

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Scope:
    """What a collection looks at.

    `min_age` is the grace period of unreferenced objects, by the store's clock. `orphans` tells whether orphaned
    objects are collected. Archive tables keep objects alive unless `ignore_archives`. What is in the trash for longer
    than `trash_keep` is purged.
    """

    roots: tuple[Root, ...]
    policy: Policy = field(default_factory=Policy)
    policy_digest: str | None = None
    """Of the file that the policy comes from, if there is one."""
    orphans: bool = True
    ignore_archives: bool = False
    min_age: timedelta = DEFAULT_MIN_AGE
    max_share: float = DEFAULT_MAX_SHARE
    """Of all objects; more orphans than that are not deleted without a word of the user."""
    trash_keep: timedelta = DEFAULT_TRASH_KEEP
    backup_to: str | None = None
    """Where rows that go are backed up before, with their objects: `s3://bucket/prefix` or a folder."""
    shard: Shard | None = None
    """The share of DAGs and objects that is looked at; None is all of it."""

    def document(self) -> dict[str, Any]:
        """The scope as JSON types."""
        older_than = self.policy.older_than
        return {
            "roots": [root.uri for root in self.roots],
            "dag": self.policy.dag,
            "older_than": None if older_than is None else exact_duration(older_than),
            "keep_last": self.policy.runs_kept,
            "orphans": self.orphans,
            "ignore_archives": self.ignore_archives,
            "min_age": exact_duration(self.min_age),
            "max_share": self.max_share,
            "trash_keep": exact_duration(self.trash_keep),
            "backup_to": self.backup_to,
            "shard": None if self.shard is None else str(self.shard),
        }


def plan_collection(
    source: Source,
    store: Store | None,
    dialects: Dialects,
    scope: Scope,
    *,
    now: datetime,
    endpoint: str | None = None,
    accepted: Sequence[str] = (),
    listing: StoredListing | None = None,
    weighed: bool = False,
    resources: Resources | None = None,
    report: Report = silent,
) -> Plan:
    """Compute what `gc` would do. `endpoint` is that of the store, None for AWS.

    With `weighed` the totals have the bytes of each state and of the trash, too, which takes longer.

    With `listing` the store is asked for the candidates only, and not listed. Of a shard only the actions of its share
    are planned: those of all shards are the actions of one plan without shards.

    Raises UsageError, RefusedError, SourceError, StoreError; never changes anything.
    """
    share = None
    if scope.shard is not None:
        share = Share(scope.shard, scope.policy, dialects, with_trash=True, resources=resources)
    with Inventory(dialects, scope.roots, resources=resources, report=report) as inventory:
        owners = read_owners(store, inventory.roots)
        mark, known_dags = fill(
            inventory,
            source,
            store,
            min_age=scope.min_age,
            ignore_archives=scope.ignore_archives,
            listing=listing,
            share=share,
            report=report,
        )
        if share is None:
            require_matches(inventory, scope.policy, known_dags, now=mark.database_at)
        else:
            require_dags(inventory, scope.policy, known_dags | mark.elsewhere.names)
        classify(inventory, scope.policy, now=mark.database_at, cutoff=mark.cutoff)
        if listing is not None and store is not None:
            confirm_candidates(inventory, store, orphans=scope.orphans, cutoff=mark.cutoff, report=report)
        actions = Actions(None if resources is None else resources.tmp)
        planned = [planned_actions(inventory, orphans=scope.orphans)]
        if store is not None and mark.store_at is not None:
            planned.append(
                trash_actions(
                    inventory,
                    store,
                    keep=scope.trash_keep,
                    now=mark.store_at,
                    listed_before=listing is not None,
                )
            )
        for batches in planned:
            actions.add(batches if share is None else share.own(inventory, batches))
        if share is not None:
            share.settle(inventory)
        confirm_dangling(
            inventory,
            store if inventory.roots else None,
            dialects,
            report,
            # They are only counted: a plan does nothing about them.
            listed_at=None if listing or share or mark.store_at is None else mark.store_at - mark.skew,
        )
        counted = totals(inventory)
        basis = basis_of(source, mark, endpoint=endpoint, policy_digest=scope.policy_digest, listing=listing)
        left_behind = 0
        if store is not None and inventory.roots:
            left_behind = note_left_behind(
                inventory, store, dialects, owners, database=basis.database, now=mark.store_at or now
            )
        weights: dict[str, int] = {}
        if weighed:
            weights = bytes_by_state(inventory)
            if store is not None and mark.store_at is not None:
                weights |= trash_totals(inventory, now=mark.store_at)
        guards = judge(
            inventory,
            mark,
            known_dags,
            database=basis.database,
            owners=owners,
            rows_left_behind=left_behind,
            # What is purged from the trash goes for want of a reference, too.
            deletes_orphans=(scope.orphans and counted.objects_orphaned > 0)
            or actions.counts["purge_object"] > 0,
            max_share=scope.max_share,
            accepted=accepted,
        )
        return Plan(
            created_at=now,
            scope=scope.document(),
            basis=basis,
            totals=asdict(replace(counted, bytes_reclaimed=actions.size("delete_object"))) | weights,
            guards=guards,
            actions=actions,
        )


def basis_of(
    source: Source,
    mark: Mark,
    *,
    endpoint: str | None,
    policy_digest: str | None = None,
    listing: StoredListing | None = None,
) -> Basis:
    """What a plan is made from. Raises SourceError."""
    return Basis(
        database=source.identity(),
        database_label=source.info().label,
        endpoint=endpoint,
        snapshot_at=mark.database_at,
        cutoff=mark.cutoff,
        policy_digest=policy_digest,
        tool_version=__version__,
        inventory=None if listing is None else ListingBasis(listing.uri, listing.taken_at),
    )


def planned_actions(inventory: Inventory, *, orphans: bool) -> Iterator[pa.RecordBatch]:
    """What a classified inventory lets go, as batches of `plan_actions.action_schema`."""
    inventory.run_script("actions.sql", {"orphans": orphans})
    yield from inventory.batches("FROM row_actions ORDER BY place")
    yield from inventory.batches("FROM object_actions ORDER BY bucket, object_key")


def propose_roots(source: Source, dialects: Dialects) -> Counter[str]:
    """Roots that the stored references themselves show, with the number of references under each.

    The key '' counts references of known backends that name no bucket.
    """
    found: Counter[str] = Counter()
    with source.snapshot() as snapshot:
        for batch in snapshot.batches(include_archives=False):
            for value in batch.column("raw"):
                for reference in dialects.references(value.as_py(), ()):
                    if reference.confidence != "ambiguous":
                        found[reference.root.uri if reference.root else ""] += 1
    return found
