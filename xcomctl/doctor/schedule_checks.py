"""Whether collections run, by the journal of the stores, and what a policy file says of the data."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice

from xcomctl.doctor.interface import Diagnosis
from xcomctl.doctor.patient import Patient
from xcomctl.errors import RefusedError
from xcomctl.inventory.policy_check import match_policy
from xcomctl.state.journal import OperationRecord, operations
from xcomctl.units import format_duration, format_time, quantity

_LOOKED_AT = 100
"""Operations of the journal that are looked at, the newest first."""

_COLLECTING = ("gc", "apply")

_STALE = timedelta(days=7)

_CRON = "0 4 * * *  xcomctl gc --older-than 30d --yes --quiet"


def schedule(patient: Patient) -> Iterator[Diagnosis]:
    """When something was collected last, and how the last attempts ended."""
    damaged: list[RefusedError] = []
    found = list(islice(operations(patient.store, patient.reached, on_damage=damaged.append), _LOOKED_AT))
    yield from _journal(patient, found, damaged)
    yield _freshness(patient, found)


def _journal(
    patient: Patient, found: list[OperationRecord], damaged: list[RefusedError]
) -> Iterator[Diagnosis]:
    name = "schedule.journal"
    for error in damaged[:1]:
        yield Diagnosis(name, "fail", str(error), error.hint, facts={"damaged": len(damaged)})
    newest = next(iter(found), None)
    open_ = [record for record in found if record.state == "unfinished"]
    if open_:
        yield Diagnosis(
            name,
            "warn",
            f"{quantity(len(open_), 'operation')} without an end: at work, or killed; the newest is {open_[0].id}",
            f"xcomctl log {open_[0].id} shows it; the next gc finishes what was begun",
            facts={"unfinished": [record.id for record in open_]},
        )
    elif newest is not None and newest.state in ("failed", "interrupted", "partial"):
        yield Diagnosis(
            name,
            "warn",
            f"the last operation, {newest.command} {newest.id}, ended {newest.state}: {newest.error or 'see its log'}",
            f"xcomctl log {newest.id}",
            facts={"state": newest.state},
        )
    elif not damaged:
        told = f"{quantity(len(found), 'operation')} on record, the last one ended well"
        yield Diagnosis(name, "ok", told if found else "no operation is on record")


def _freshness(patient: Patient, found: list[OperationRecord]) -> Diagnosis:
    name = "schedule.gc"
    collections = [record for record in found if record.command in _COLLECTING]
    last = next((record for record in collections if record.state == "done"), None)
    if last is None:
        never = "no collection ended well yet" if collections else "nothing was ever collected here"
        return Diagnosis(name, "warn" if collections else "ok", never, f"every night: {_CRON}")
    at = last.ended_at or last.started_at
    age = patient.store.now(patient.reached[0].bucket) - at
    facts = {"last_success_at": format_time(at), "operation_id": last.id}
    told = f"the last collection that found something ended well {format_duration(age)} ago"
    if age <= _STALE:
        return Diagnosis(name, "ok", told, facts=facts)
    failed_since = collections[0] is not last
    if failed_since:
        why = f"{told}; the later ones did not"
        return Diagnosis(name, "fail", why, f"xcomctl log {collections[0].id}", facts=facts)
    if patient.trash_is_overdue:
        why = f"{told}, and the trash has not been emptied since"
        return Diagnosis(name, "fail", why, f"every night: {_CRON}", facts=facts)
    # One that finds nothing to do leaves no record: silence alone is no proof.
    return Diagnosis(name, "warn", f"{told}: does it still run?", f"every night: {_CRON}", facts=facts)


def policy(patient: Patient) -> Iterator[Diagnosis]:
    """Whether the policy file can be read, and what it means for the rows there are."""
    name = "policy"
    if patient.policy is None:
        return
    file = patient.policy()
    if not file.policy.expires_anything and file.orphans is False:
        yield Diagnosis(name, "warn", f"{file.path} lets nothing go", "see docs/policies.md")
        return
    if not patient.reads_database:
        yield Diagnosis(name, "ok", f"{file.path} can be read; what it means was not asked of a database")
        return
    found = match_policy(
        patient.source,
        patient.dialects,
        patient.given,
        file.policy,
        resources=patient.resources,
        report=patient.report,
    )
    rows = sum(rule.rows for rule in found.rules)
    going = sum(rule.expiring for rule in found.rules)
    yield Diagnosis(
        name,
        "ok",
        f"{file.path} is for {quantity(rows, 'row')}, of which {going:,} would go now; pins keep {found.pinned:,}",
        f"xcomctl policy check {file.path}",
        facts={"rows": rows, "expiring": going, "pinned": found.pinned},
    )
