"""Whether collections run, by the journal of the stores, and what a policy file says of the data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

from xcomctl.doctor.context import CheckContext
from xcomctl.doctor.interface import CheckResult
from xcomctl.errors import RefusedError
from xcomctl.inventory.policy_check import match_policy
from xcomctl.state.journal import OperationRecord, operations
from xcomctl.units import format_duration, format_time, quantity

_LOOKED_AT = 100
"""Operations of the journal that are looked at, the newest first."""

_COLLECTING = ("gc", "apply")

_STALE = timedelta(days=7)

_CRON = "0 4 * * *  xcomctl gc --older-than 30d --yes --quiet"


def schedule(context: CheckContext) -> Iterator[CheckResult]:
    """When something was collected last, and how the last attempts ended."""
    damaged: list[RefusedError] = []
    found = list(islice(operations(context.store, context.reached, on_damage=damaged.append), _LOOKED_AT))
    yield from _journal(context, found, damaged)
    yield _freshness(context, found)


def _journal(
    context: CheckContext, found: list[OperationRecord], damaged: list[RefusedError]
) -> Iterator[CheckResult]:
    name = "schedule.journal"
    for error in damaged[:1]:
        yield CheckResult(name, "fail", str(error), error.hint, facts={"damaged": len(damaged)})
    newest = next(iter(found), None)
    open_ = [record for record in found if record.state == "unfinished"]
    if open_:
        yield CheckResult(
            name,
            "warn",
            f"{quantity(len(open_), 'operation')} without an end: at work, or killed; the newest is {open_[0].id}",
            f"xcomctl log {open_[0].id} shows it; the next gc finishes what was begun",
            facts={"unfinished": [record.id for record in open_]},
        )
    elif newest is not None and newest.state in ("failed", "interrupted", "partial"):
        yield CheckResult(
            name,
            "warn",
            f"the last operation, {newest.command} {newest.id}, ended {newest.state}: {newest.error or 'see its log'}",
            f"xcomctl log {newest.id}",
            facts={"state": newest.state},
        )
    elif not damaged:
        told = f"{quantity(len(found), 'operation')} on record, the last one ended well"
        yield CheckResult(name, "ok", told if found else "no operation is on record")


def _freshness(context: CheckContext, found: list[OperationRecord]) -> CheckResult:
    name = "schedule.gc"
    collections = [record for record in found if record.command in _COLLECTING]
    last = next((record for record in collections if record.state == "done"), None)
    if last is None:
        never = "no collection ended well yet" if collections else "nothing was ever collected here"
        return CheckResult(name, "warn" if collections else "ok", never, f"every night: {_CRON}")
    at = last.ended_at or last.started_at
    age = context.store.now(context.reached[0].bucket) - at
    facts = {"last_success_at": format_time(at), "operation_id": last.id}
    told = f"the last collection that found something ended well {format_duration(age)} ago"
    if age <= _STALE:
        return CheckResult(name, "ok", told, facts=facts)
    failed_since = collections[0] is not last
    if failed_since:
        why = f"{told}; the later ones did not"
        return CheckResult(name, "fail", why, f"xcomctl log {collections[0].id}", facts=facts)
    if context.trash_is_overdue:
        why = f"{told}, and the trash has not been emptied since"
        return CheckResult(name, "fail", why, f"every night: {_CRON}", facts=facts)
    # One that finds nothing to do leaves no record: silence alone is no proof.
    return CheckResult(name, "warn", f"{told}: does it still run?", f"every night: {_CRON}", facts=facts)


def policy(context: CheckContext) -> Iterator[CheckResult]:
    """Whether the policy file can be read, and what it means for the rows there are."""
    name = "policy"
    if context.setup.policy is None:
        return
    file = context.setup.policy()
    if not file.policy.expires_anything and file.orphans is False:
        yield CheckResult(name, "warn", f"{file.path} lets nothing go", "see docs/policies.md")
        return
    if not context.reads_database:
        yield CheckResult(name, "ok", f"{file.path} can be read; what it means was not asked of a database")
        return
    found = match_policy(
        context.source,
        context.setup.dialects,
        context.setup.roots,
        file.policy,
        resources=context.setup.resources,
        report=context.report,
    )
    rows = sum(rule.rows for rule in found.rules)
    going = sum(rule.expiring for rule in found.rules)
    yield CheckResult(
        name,
        "ok",
        f"{file.path} is for {quantity(rows, 'row')}, of which {going:,} would go now; pins keep {found.pinned:,}",
        f"xcomctl policy check {file.path}",
        facts={"rows": rows, "expiring": going, "pinned": found.pinned},
    )
