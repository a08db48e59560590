"""Plan a collection: list, then read the rows, join, judge, and say what stands in the way. Deletes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from importlib import resources
from typing import Any

from xcomctl.dialects.interface import Dialects
from xcomctl.errors import UsageError
from xcomctl.guards import judge
from xcomctl.inventory import Inventory
from xcomctl.inventory.build import Report, silent
from xcomctl.inventory.classify import classify, count, totals
from xcomctl.inventory.dangling import confirm_dangling
from xcomctl.metadata.interface import Snapshot, Source
from xcomctl.models import Root
from xcomctl.plan import Plan
from xcomctl.policy import Policy, glob_pattern
from xcomctl.stores.interface import Store
from xcomctl.units import exact_duration

LEAST_MIN_AGE = timedelta(hours=1)
"""A grace period below this needs the user's word that no task is running."""

DEFAULT_MIN_AGE = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a collection looks at.

    `min_age` is the grace period of unreferenced objects, by the store's clock. `orphans` tells whether orphaned
    objects are collected. Archive tables keep objects alive unless `ignore_archives`.
    """

    roots: tuple[Root, ...]
    policy: Policy = field(default_factory=Policy)
    orphans: bool = True
    ignore_archives: bool = False
    min_age: timedelta = DEFAULT_MIN_AGE

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
        }


@dataclass(frozen=True, slots=True)
class Mark:
    """Clocks of one mark: when the listing began, by the store; when the rows were read, by the database."""

    store_at: datetime | None
    database_at: datetime
    skew: timedelta
    replica: bool
    cutoff: datetime


def fill(
    inventory: Inventory,
    source: Source,
    store: Store | None,
    *,
    min_age: timedelta,
    ignore_archives: bool,
    report: Report = silent,
) -> tuple[Mark, set[str]]:
    """List every root to its end, then read all rows in one snapshot. Returns the clocks and the known DAGs.

    Raises StoreError or SourceError if either side does not come whole.
    """
    source.info()
    store_at = None
    for root in inventory.roots:
        assert store is not None, "roots need a store"  # noqa: S101 - a caller's mistake, not a user's
        began_at = store.now(root.bucket)
        store_at = began_at if store_at is None else min(store_at, began_at)
        inventory.add_objects(root, store.batches(root))
    with source.snapshot() as snapshot:
        skew = timedelta(0)
        if store is not None and inventory.roots:
            skew = abs(store.now(inventory.roots[0].bucket) - snapshot.taken_at)
        inventory.add_rows(snapshot.batches(include_archives=not ignore_archives))
        known = snapshot.dag_ids()
        mark = Mark(
            store_at=store_at,
            database_at=snapshot.taken_at,
            skew=skew,
            replica=snapshot.is_replica,
            cutoff=(store_at or snapshot.taken_at) - min_age - _uncommitted_for(snapshot),
        )
    return mark, known


def _uncommitted_for(snapshot: Snapshot) -> timedelta:
    """How long a transaction has been open that may yet commit the row of an object: the grace period grows by it."""
    oldest = snapshot.oldest_transaction_at
    return timedelta(0) if oldest is None else max(snapshot.taken_at - oldest, timedelta(0))


def plan_collection(
    source: Source,
    store: Store | None,
    dialects: Dialects,
    scope: Scope,
    *,
    now: datetime,
    accepted: Sequence[str] = (),
    report: Report = silent,
) -> Plan:
    """Compute what `gc` would do. Raises UsageError, SourceError, StoreError; never changes anything."""
    with Inventory(dialects, scope.roots, report=report) as inventory:
        mark, known_dags = fill(
            inventory,
            source,
            store,
            min_age=scope.min_age,
            ignore_archives=scope.ignore_archives,
            report=report,
        )
        require_dag(inventory, scope.policy.dag, known_dags)
        classify(inventory, scope.policy, now=mark.database_at, cutoff=mark.cutoff)
        confirm_dangling(inventory, store if inventory.roots else None, dialects, report)
        query = resources.files("xcomctl.inventory").joinpath("actions.sql").read_text(encoding="utf-8")
        found = inventory.sql.sql(query, params={"orphans": scope.orphans})
        actions = found.to_arrow_table().drop_columns(["step", "place"])
        counted = totals(inventory)
        deletes_orphans = scope.orphans and counted.objects_orphaned > 0
        guards = judge(
            inventory,
            known_dags,
            deletes_orphans=deletes_orphans,
            store_at=mark.store_at,
            skew=mark.skew,
            replica=mark.replica,
            accepted=accepted,
        )
        inventory.sql.register("actions", actions)
        reclaimed = count(inventory, "SELECT sum(size) FROM actions WHERE action = 'delete_object'")
        inventory.sql.unregister("actions")
        return Plan(
            created_at=now,
            scope=scope.document(),
            totals=asdict(replace(counted, bytes_reclaimed=reclaimed)),
            guards=guards,
            actions=actions,
        )


def require_dag(inventory: Inventory, glob: str | None, known_dags: set[str]) -> None:
    """Raise UsageError if a DAG glob matches nothing at all: a typing mistake must not look like a clean bucket."""
    if glob is None:
        return
    inventory.run("CREATE OR REPLACE TABLE known_dags (dag_id VARCHAR)")
    if known_dags:
        inventory.sql.executemany("INSERT INTO known_dags VALUES (?)", [(dag,) for dag in sorted(known_dags)])
    found = count(
        inventory,
        "SELECT count(*) FROM (SELECT dag_id FROM known_dags UNION SELECT dag_id FROM objects)"
        " WHERE regexp_full_match(dag_id, $glob)",
        {"glob": glob_pattern(glob)},
    )
    if not found:
        raise UsageError(
            f"--dag {glob!r} matches no DAG, neither in the database nor in the stores",
            hint="xcomctl ls --limit 0 --columns dag_id shows the DAGs that have XComs",
        )


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
