"""Lifecycle rules against what rows still need: a bucket that deletes by age knows nothing of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from xcomctl.doctor.context import CheckContext
from xcomctl.doctor.interface import CheckResult, Status
from xcomctl.errors import StoreError
from xcomctl.inventory import Inventory
from xcomctl.inventory.judging import Question, judged
from xcomctl.models import RESERVED_FOLDER, Root
from xcomctl.s3.interface import LifecycleRule, StoreErrorInfo
from xcomctl.state.trash.places import TRASH_FOLDER
from xcomctl.units import exact_duration, format_duration, quantity

_NAME = "store.lifecycle"

_HINT_NARROW = "take the rule off this prefix, and let xcomctl gc --older-than do it, which asks the rows"

_NEEDED = """
    SELECT count(*), count(*) FILTER (WHERE o.last_modified <= $before), min(o.last_modified)
    FROM listed_objects o JOIN object_states s USING (object_id)
    WHERE s.state = 'live' AND o.bucket = $bucket AND starts_with(o.key, $prefix)
      AND o.size > $more_than AND o.size < $less_than
"""
_LOST = """
    SELECT count(DISTINCT d.row_id)
    FROM dangling_rows d JOIN rows r USING (row_id)
    WHERE d.bucket = $bucket AND starts_with(d.key, $prefix) AND r.written_at <= $before
"""
_LARGEST = 2**62


@dataclass(frozen=True, slots=True)
class _Hit:
    """What a rule does to objects that rows need."""

    needed: int
    overdue: int
    """Those that are as old already as the rule wants them."""
    oldest_at: datetime | None
    lost: int
    """Rows that are older than the rule allows, and whose object is gone."""


def lifecycle(context: CheckContext) -> Iterator[CheckResult]:
    """Compare every rule that reaches a root with the objects there that rows still need."""
    found: list[tuple[str, LifecycleRule]] = []
    for bucket in context.buckets():
        subject = f"s3://{bucket}"
        try:
            rules = context.settings(bucket).lifecycle
        except StoreError as error:
            yield CheckResult(_NAME, "fail", str(error), error.hint, subject=subject)
            continue
        if isinstance(rules, StoreErrorInfo):
            yield CheckResult(_NAME, "warn", rules.cause, rules.hint, subject=subject)
            continue
        ours = [rule for rule in rules if _is_of_interest(rule, bucket, context.reached)]
        if not ours:
            none = "no lifecycle rule" if not rules else "none of the lifecycle rules"
            yield CheckResult(_NAME, "ok", f"{none} deletes objects below the stores", subject=subject)
        found += [(bucket, rule) for rule in ours]
    if not found:
        return
    yield from _versions_and_trash(context, found)
    deleting = [(bucket, rule) for bucket, rule in found if rule.expires or rule.moved_days is not None]
    if not deleting:
        return
    if not context.reads_database:
        for bucket, rule in deleting:
            yield CheckResult(
                _NAME,
                "warn",
                f"rule {rule.name!r} {_does(rule)}, whether rows need them or not",
                _HINT_NARROW,
                subject=f"s3://{bucket}",
            )
        return
    # Nothing may go by a policy.
    with judged(context.sides(), Question()) as verdicts:
        now = verdicts.scan.store_at or verdicts.scan.database_at
        for bucket, rule in deleting:
            yield _verdict(bucket, rule, _hit(verdicts.inventory, bucket, rule, now), now)


def _is_of_interest(rule: LifecycleRule, bucket: str, roots: Sequence[Root]) -> bool:
    acts = rule.expires or rule.moved_days is not None or rule.noncurrent_days is not None
    return acts and any(root.bucket == bucket and rule.reaches(root.prefix) for root in roots)


def _hit(inventory: Inventory, bucket: str, rule: LifecycleRule, now: datetime) -> _Hit:
    before = _deleted_before(rule, now)
    where: dict[str, object] = {
        "bucket": bucket,
        "prefix": rule.prefix,
        "before": before.replace(tzinfo=None),
    }
    sizes = {
        "more_than": -1 if rule.more_than is None else rule.more_than,
        "less_than": _LARGEST if rule.less_than is None else rule.less_than,
    }
    [(needed, overdue, oldest)] = inventory.run(_NEEDED, {**where, **sizes})
    [(lost,)] = inventory.run(_LOST, where)
    return _Hit(needed, overdue, oldest and oldest.replace(tzinfo=timezone.utc), lost)


def _deleted_before(rule: LifecycleRule, now: datetime) -> datetime:
    """Objects that were written before are gone at the next run of the rule."""
    if rule.expire_at is not None:
        return now if rule.expire_at <= now else datetime.min.replace(year=1970, tzinfo=timezone.utc)
    days = rule.expire_days if rule.expire_days is not None else rule.moved_days
    return now - timedelta(days=days or 0)


def _verdict(bucket: str, rule: LifecycleRule, hit: _Hit, now: datetime) -> CheckResult:
    facts = {
        "rule": rule.name,
        "prefix": rule.prefix,
        "days": rule.expire_days,
        "needed": hit.needed,
        "overdue": hit.overdue,
        "rows_lost": hit.lost,
    }
    at_most = "up to " if rule.tagged else ""
    tagged = ", of those with its tags" if rule.tagged else ""
    age = "" if hit.oldest_at is None else f"; the oldest is {format_duration(now - hit.oldest_at)} old"
    status: Status = "warn"
    hint: str | None = _HINT_NARROW
    if not hit.needed and not hit.lost:
        why = f"rule {rule.name!r} {_does(rule)}; no row needs one of them now"
        status, hint = ("ok", None) if not rule.expires else ("warn", hint)
    elif not rule.expires:
        why = (
            f"rule {rule.name!r} {_does(rule)}: {at_most}{quantity(hit.needed, 'object')} that rows need{tagged},"
            f" {hit.overdue:,} of them by now; a task that pulls one fails{age}"
        )
        hint = "take the rule off this prefix"
    elif hit.overdue and not rule.tagged:
        why = f"rule {rule.name!r} will delete {quantity(hit.overdue, 'object')} that rows still need: it {_does(rule)}{age}"
        status = "fail"
    elif hit.lost and not rule.tagged:
        why = (
            f"rule {rule.name!r} {_does(rule)}: the objects of {quantity(hit.lost, 'row')} older than that are gone,"
            f" and {hit.needed:,} more will go that rows need now"
        )
        status = "fail"
    else:
        why = (
            f"rule {rule.name!r} {_does(rule)}, whether rows need them or not: {at_most}"
            f"{quantity(hit.needed, 'object')} that rows need now{tagged}{age}"
        )
    return CheckResult(_NAME, status, why, hint, subject=f"s3://{bucket}", facts=facts)


def _does(rule: LifecycleRule) -> str:
    below = f" below {rule.prefix}" if rule.prefix else ""
    if rule.expire_at is not None:
        return f"deletes objects{below} from {rule.expire_at:%Y-%m-%d} on"
    if rule.expire_days is not None:
        return f"deletes objects{below} after {quantity(rule.expire_days, 'day')}"
    return f"moves objects{below} to {rule.moved_to} after {quantity(rule.moved_days or 0, 'day')}"


def _versions_and_trash(
    context: CheckContext, rules: Sequence[tuple[str, LifecycleRule]]
) -> Iterator[CheckResult]:
    """Rules that take what `undo` needs: older versions, and what the tool keeps for itself."""
    keep = exact_duration(context.setup.trash_keep)
    for bucket, rule in rules:
        subject = f"s3://{bucket}"
        versioned = context.settings(bucket).versioning in ("enabled", "suspended")
        days = rule.noncurrent_days
        if versioned and days is not None and timedelta(days=days) < context.setup.trash_keep:
            yield CheckResult(
                "store.lifecycle.versions",
                "warn",
                f"rule {rule.name!r} removes older versions after {quantity(days, 'day')}:"
                f" what gc takes away can be brought back for so long only, not for {keep}",
                f"set NoncurrentDays to {context.setup.trash_keep.days} at least",
                subject=subject,
                facts={"rule": rule.name, "days": days},
            )
        for root in context.reached:
            if root.bucket == bucket and _takes_our_own(rule, root, context.setup.trash_keep):
                yield CheckResult(
                    "store.lifecycle.own",
                    "warn",
                    f"rule {rule.name!r} {_does(rule)}: also trash, journal and owner marker in"
                    f" {root.at(RESERVED_FOLDER).uri}, which undo and the guards of gc need",
                    "take the rule off this prefix, or give it narrower ones: a rule cannot leave out a folder",
                    subject=root.uri,
                    facts={"rule": rule.name},
                )


def _takes_our_own(rule: LifecycleRule, root: Root, keep: timedelta) -> bool:
    """Whether a rule deletes what the tool keeps for itself, other than trash that was there long enough."""
    if not rule.expires or not rule.reaches(root.prefix + RESERVED_FOLDER):
        return False
    is_in_trash = rule.prefix.startswith(root.prefix + TRASH_FOLDER)
    return not is_in_trash or rule.expire_days is None or timedelta(days=rule.expire_days) < keep
