"""Plan a collection: list, then read the rows, join, judge, and say what stands in the way. Deletes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from xcomctl.gc.guards import DEFAULT_MAX_SHARE, Background, find_broken_off, judge, note_left_behind
from xcomctl.gc.plan import Basis, Plan
from xcomctl.gc.plan_actions import Actions, planned_actions
from xcomctl.inventory.classify import bytes_by_state, totals, trash_totals
from xcomctl.inventory.judging import Judged, Question, Sides, judged
from xcomctl.inventory.scan import DEFAULT_MIN_AGE
from xcomctl.inventory.shards import Shard
from xcomctl.inventory.trash_contents import trash_actions
from xcomctl.inventory.unfinished_uploads import upload_actions, upload_totals
from xcomctl.meanwhile import Meanwhile
from xcomctl.models import Root, outermost
from xcomctl.policy import Policy
from xcomctl.state.ownership import read_ownership
from xcomctl.state.trash.entries import DEFAULT_TRASH_KEEP
from xcomctl.units import exact_duration


@dataclass(frozen=True, slots=True)
class Scope:
    """What a collection looks at.

    `min_age` is the grace period of unreferenced objects, by the store's clock. `orphans` tells whether orphaned
    objects are collected. Archive tables keep objects alive unless `ignore_archives`. What is in the trash for longer
    than `trash_keep` is purged.
    """

    policy: Policy = field(default_factory=Policy)
    policy_digest: str | None = None
    """Of the file that the policy comes from, if there is one."""
    orphans: bool = True
    uploads: bool = True
    """Whether uploads are aborted that nobody finished."""
    ignore_archives: bool = False
    min_age: timedelta = DEFAULT_MIN_AGE
    max_share: float = DEFAULT_MAX_SHARE
    """Of all objects; more orphans than that are not deleted without a word of the user."""
    trash_keep: timedelta = DEFAULT_TRASH_KEEP
    backup_to: str | None = None
    """Where rows that go are backed up before, with their objects: `s3://bucket/prefix` or a folder."""
    shard: Shard | None = None
    """The shard of DAGs and objects that is looked at; None is all of it."""

    def question(self) -> Question:
        """By what rows and objects are judged. Dangling rows are only counted: a plan does nothing about them."""
        return Question(
            self.policy,
            min_age=self.min_age,
            ignore_archives=self.ignore_archives,
            shard=self.shard,
            orphans=self.orphans,
            trash=True,
            uploads=self.uploads,
            dangling="count",
        )

    def document(self, roots: Sequence[Root]) -> dict[str, Any]:
        """The scope, with the roots that it was for, as JSON types."""
        older_than = self.policy.older_than
        return {
            "roots": [root.uri for root in roots],
            "dag": self.policy.dag,
            "older_than": None if older_than is None else exact_duration(older_than),
            "keep_last": self.policy.runs_kept,
            "orphans": self.orphans,
            "uploads": self.uploads,
            "ignore_archives": self.ignore_archives,
            "min_age": exact_duration(self.min_age),
            "max_share": self.max_share,
            "trash_keep": exact_duration(self.trash_keep),
            "backup_to": self.backup_to,
            "shard": None if self.shard is None else str(self.shard),
        }


def plan_collection(
    sides: Sides,
    scope: Scope,
    *,
    now: datetime,
    endpoint: str | None = None,
    accepted: Sequence[str] = (),
    weighed: bool = False,
) -> Plan:
    """Compute what `gc` would do. `endpoint` is that of the store, None for AWS.

    With `weighed` the totals have the bytes of each state and of the trash, too, which takes longer. Of a shard only its
    own actions are planned: those of all shards are the actions of one plan without shards.

    Raises UsageError, RefusedError, SourceError, StoreError; never changes anything.
    """
    roots = outermost(sides.roots)
    ownership = Meanwhile(partial(read_ownership, sides.store, roots))
    broken_off = Meanwhile(partial(find_broken_off, sides.store, roots, now))
    database = Meanwhile(sides.source.identity)
    actions = Actions(sides.resources.tmp)

    def plan_actions(found: Judged) -> None:
        actions.add(found.own(planned_actions(found.inventory, orphans=scope.orphans)))
        if sides.store is not None and found.scan.store_at is not None:
            of_the_trash = trash_actions(
                found.inventory,
                sides.store,
                keep=scope.trash_keep,
                now=found.scan.store_at,
                listed_before=sides.listing is not None,
            )
            actions.add(found.own(of_the_trash))
        actions.add(found.own(upload_actions(found.inventory)))

    with judged(sides, scope.question(), before_settling=plan_actions) as found:
        basis = Basis.of(
            sides,
            found.scan,
            database=database.result(),
            endpoint=endpoint,
            policy_digest=scope.policy_digest,
            inside=[one.root for one in found.inside],
        )
        owned = replace(ownership.result(), inside=found.inside)
        counted = totals(found.inventory)
        return Plan(
            created_at=now,
            scope=scope.document(sides.roots),
            basis=basis,
            totals=asdict(replace(counted, bytes_reclaimed=actions.size("delete_object")))
            | (upload_totals(found.inventory) if found.uploads is not None and found.uploads.complete else {})
            | (_weights(found) if weighed else {}),
            guards=judge(
                found,
                Background(
                    sides.source,
                    basis.database,
                    owned,
                    seen=owned.seen(basis.database, str(scope.shard or ""), basis.claims or ""),
                    rows_left_behind=note_left_behind(
                        found, sides, broken_off.result(), owned.ours(basis.database), database=basis.database
                    ),
                ),
                # What is purged from the trash goes for want of a reference, too, and so do unfinished uploads.
                deletes_orphans=(scope.orphans and counted.objects_orphaned > 0)
                or actions.counts["purge_object"] + actions.counts["abort_upload"] > 0,
                max_share=scope.max_share,
                accepted=accepted,
            ),
            actions=actions,
            notes=() if found.uploads is None else found.uploads.notes,
        )


def _weights(found: Judged) -> dict[str, int]:
    """Bytes of each state and of the trash."""
    weights = bytes_by_state(found.inventory)
    if found.scan.store_at is not None:
        weights |= trash_totals(found.inventory, now=found.scan.store_at)
    return weights
