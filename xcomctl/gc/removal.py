"""Plan the removal of rows that the user names, and of the objects that only they reference. Deletes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from xcomctl.airflow.interface import Source
from xcomctl.dialects.interface import Dialects
from xcomctl.errors import RefusedError, StoreError, UsageError
from xcomctl.gc.guards import judge_surroundings
from xcomctl.gc.plan import Basis, Plan
from xcomctl.gc.plan_actions import Actions, planned_actions
from xcomctl.inventory import Inventory
from xcomctl.inventory.classify import count
from xcomctl.inventory.judging import Sides
from xcomctl.inventory.nested_roots import set_aside
from xcomctl.inventory.scan import DEFAULT_MIN_AGE, Scan
from xcomctl.models import TERMINAL_RUN_STATES, ObjectAddress, Root, Row, digest_of
from xcomctl.s3.interface import ObjectInfo, Store, StoreErrorInfo
from xcomctl.state.ownership import Ownership, folders_above, marked_roots, read_ownership
from xcomctl.state.trash.entries import DEFAULT_TRASH_KEEP
from xcomctl.units import exact_duration

_ROWS_AT_A_TIME = 1_000

_MOST_FOLDERS = 1_000
"""Folders that are asked for the owner marker of another root, as nothing is listed."""


@dataclass(frozen=True, slots=True)
class Removal:
    """What is to be removed. `selection` says it as the user did, in JSON types."""

    selection: dict[str, Any]
    active_runs: bool = False
    """Also rows of runs that are not over."""
    trash_keep: timedelta = DEFAULT_TRASH_KEEP

    def document(self, roots: Sequence[Root]) -> dict[str, Any]:
        """The same, with the roots that it was for, as the scope of a plan."""
        return {
            "roots": [root.uri for root in roots],
            "selection": self.selection,
            "active_runs": self.active_runs,
            "ignore_archives": False,
            "trash_keep": exact_duration(self.trash_keep),
        }


def plan_removal(
    sides: Sides,
    rows: Iterable[Row],
    removal: Removal,
    *,
    now: datetime,
    endpoint: str | None = None,
    accepted: Sequence[str] = (),
) -> Plan:
    """Compute what removing `rows` would do. Other rows keep their objects, as they do from a collection.

    No bucket is listed; all rows are read once. Raises RefusedError for rows of runs that are not over, UsageError for
    rows whose objects the roots do not reach, SourceError, StoreError; never changes anything.
    """
    store, dialects = sides.store, sides.dialects
    with Inventory(
        dialects, sides.roots, resources=sides.resources, search_substring_keys=True, report=sides.report
    ) as inventory:
        ownership = read_ownership(store, inventory.roots)
        store_at = None if store is None else min(store.now(root.bucket) for root in inventory.roots)
        _choose(inventory, rows, store, dialects)
        ownership = _with_roots_inside(ownership, inventory, store, sides.source)
        with sides.source.snapshot() as snapshot:
            taken_at = snapshot.taken_at
            scan = Scan(
                store_at=store_at,
                database_at=taken_at,
                skew=timedelta(0) if store_at is None else abs(store_at - taken_at),
                replica=snapshot.is_replica,
                cutoff=(store_at or taken_at) - DEFAULT_MIN_AGE,
            )
            inventory.add_rows(snapshot.batches())
            inventory.add_mentions(snapshot.mentions(inventory.roots))
        inventory.run_script(
            "removal.sql",
            {
                "active": removal.active_runs,
                "cutoff": scan.cutoff.replace(tzinfo=None),
            },
        )
        if not removal.active_runs:
            _require_finished(inventory)
        actions = Actions(sides.resources.tmp)
        actions.add(planned_actions(inventory, orphans=False))
        basis = Basis.of(
            sides,
            scan,
            database=sides.source.identity(),
            endpoint=endpoint,
            inside=[one.root for one in ownership.inside],
        )
        guards = judge_surroundings(
            database=basis.database,
            ownership=ownership,
            skew=scan.skew,
            is_replica=scan.replica,
            accepted=accepted,
        )
        return Plan(
            created_at=now,
            scope=removal.document(sides.roots),
            basis=basis,
            totals={**_totals(inventory), "bytes_reclaimed": actions.size("delete_object")},
            guards=guards,
            actions=actions,
        )


def _choose(inventory: Inventory, rows: Iterable[Row], store: Store | None, dialects: Dialects) -> None:
    """Fill `chosen`, and put the objects that the rows reference into the inventory."""
    inventory.run("CREATE TABLE chosen (source_table VARCHAR, row_key VARCHAR, digest VARCHAR)")
    asked: set[ObjectAddress] = set()
    for part in _parts(rows):
        inventory.insert("chosen", [(row.table, row.row_key, digest_of(row.raw)) for row in part])
        wanted = {address for row in part for address in _referenced(row, inventory, dialects)} - asked
        asked |= wanted
        if wanted and store is not None:
            inventory.add_described(_described(sorted(wanted), store))


def _with_roots_inside(
    ownership: Ownership, inventory: Inventory, store: Store | None, source: Source
) -> Ownership:
    """Find the roots in which the objects lie, as far as they are near the given ones, and leave those of others alone."""
    if store is None:
        return ownership
    folders = {
        folder
        for bucket, key in inventory.run("SELECT bucket, key FROM listed_objects")
        for root in inventory.roots
        if root.contains(address := ObjectAddress(bucket, key))
        for folder in folders_above(root, address)
    }
    nearest = sorted(folders, key=lambda folder: (folder.prefix.count("/"), folder))[:_MOST_FOLDERS]
    inside = marked_roots(store, nearest)
    if inside:
        database = source.identity()
        set_aside(inventory, [one for one in inside if one.database != database])
    return replace(ownership, inside=tuple(inside))


def _referenced(row: Row, inventory: Inventory, dialects: Dialects) -> Iterator[ObjectAddress]:
    """What the row references below the roots. Raises UsageError for a reference that leads elsewhere."""
    for reference in dialects.references(row.raw, inventory.roots):
        if reference.confidence == "ambiguous":
            continue
        within = [address for address in reference.addresses if inventory.contains(address)]
        if not within:
            proposed = "s3://BUCKET" if reference.root is None else reference.root.uri
            raise UsageError(
                f"{row.ref} references {reference.text}, which no store reaches:"
                " without its row nothing would name that object",
                hint=f"add --store {proposed}",
            )
        yield from within


def _described(addresses: Sequence[ObjectAddress], store: Store) -> list[ObjectInfo]:
    found = []
    for address, answer in zip(addresses, store.stat_many(addresses), strict=True):
        if isinstance(answer, StoreErrorInfo):
            raise StoreError(f"{address.uri}: {answer.cause}", hint=answer.hint)
        if answer is not None:
            found.append(answer)
    return found


def _require_finished(inventory: Inventory) -> None:
    states = ", ".join(f"'{state}'" for state in TERMINAL_RUN_STATES)
    number, runs, example = inventory.run(
        f"""
        SELECT count(*), count(DISTINCT (w.dag_id, w.run_id)), min(w.dag_id || '/' || w.run_id || ' is ' || w.run_state)
        FROM rows w JOIN expiring_rows USING (row_id)
        WHERE coalesce(w.run_state NOT IN ({states}), true)
        """  # noqa: S608 - constants
    )[0]
    if number:
        raise RefusedError(
            f"{number} of these XComs are of {runs} runs that are not over ({example}); nothing was deleted",
            hint="add --active if no task will pull them any more",
        )


def _totals(inventory: Inventory) -> dict[str, int]:
    states = dict(inventory.run("SELECT state, count(*) FROM object_states GROUP BY state"))
    return {
        "rows_scanned": count(inventory, "SELECT count(*) FROM rows WHERE NOT archived"),
        "rows_chosen": count(inventory, "SELECT count(*) FROM expiring_rows"),
        "objects_expired": states.get("expired", 0),
        "objects_live": states.get("live", 0),
        "objects_recent": states.get("recent", 0),
        "objects_foreign": states.get("foreign", 0),
    }


def _parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    left = iter(rows)
    while part := list(islice(left, _ROWS_AT_A_TIME)):
        yield part
