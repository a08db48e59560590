"""Is a saved plan still one for what is found now? Made elsewhere, long ago, or by other rules, it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from xcomctl import __version__
from xcomctl.airflow.interface import Source
from xcomctl.errors import RefusedError
from xcomctl.gc.guards import judge_surroundings, overruled
from xcomctl.gc.plan import Plan
from xcomctl.models import Root, outermost
from xcomctl.s3.interface import Store
from xcomctl.state.operation import Extent
from xcomctl.state.owner import Collected
from xcomctl.state.ownership import read_ownership
from xcomctl.units import CLOCKS_MAY_DIFFER, format_duration

OLDEST_PLAN = timedelta(hours=24)


def roots_of(plan: Plan) -> tuple[Root, ...]:
    """The roots that a plan is for."""
    return tuple(Root.parse(uri) for uri in plan.scope["roots"])


def extent_of(plan: Plan) -> Extent:
    """What of its roots the plan is about, as the operation has to know it that carries it out."""
    scope, basis = plan.scope, plan.basis
    is_whole = bool(scope.get("orphans")) and scope.get("dag") is None and basis.claims is not None
    return Extent(
        basis.inside,
        Collected(scope.get("shard") or "", basis.cutoff, basis.claims or "") if is_whole else None,
    )


def require_fresh(
    plan: Plan,
    source: Source,
    store: Store | None,
    *,
    roots: Sequence[Root],
    endpoint: str | None,
    policy_digest: str | None,
    accepted: Sequence[str] = (),
) -> Plan:
    """The plan with its guards judged again, as far as that is cheap.

    `roots` are those that the configuration names; `policy_digest` is that of the policy file, None where it
    was not given again. Raises RefusedError for a plan that was made by another major version, for another database or
    other stores, with a policy that changed since, or longer ago than a day; UsageError, SourceError, StoreError.
    """
    basis = plan.basis
    if _major(basis.tool_version) != _major(__version__):
        raise _stale(f"it was made by xcomctl {basis.tool_version}, and this is {__version__}")
    identity, label = source.identity(), source.info().label
    if identity != basis.database:
        raise _stale(
            f"it was made for the database {basis.database_label} ({basis.database}),"
            f" and this one is {label} ({identity})"
        )
    if outermost(roots) != outermost(roots_of(plan)):
        raise _stale(f"it was made for {_named(roots_of(plan))}, and the stores are {_named(roots)}")
    if plan.scope["roots"] and endpoint != basis.endpoint:
        raise _stale(
            f"it was made for the store at {_place(basis.endpoint)}, and this one is {_place(endpoint)}"
        )
    if policy_digest is not None and policy_digest != basis.policy_digest:
        raise _stale("the policy file is not the one that it was made with")
    with source.snapshot() as snapshot:
        now, is_replica = snapshot.taken_at, snapshot.is_replica
    age = now - basis.snapshot_at
    if age > OLDEST_PLAN:
        raise _stale(
            f"it is {format_duration(age)} old, and a plan is good for {format_duration(OLDEST_PLAN)}"
        )
    if age < -CLOCKS_MAY_DIFFER:
        raise _stale(f"it was made {format_duration(-age)} after the time that the database tells")
    needed = outermost(roots_of(plan))
    skew = abs(store.now(needed[0].bucket) - now) if store is not None and needed else timedelta(0)
    again = {
        guard.id: guard
        for guard in judge_surroundings(
            database=identity,
            ownership=read_ownership(store, needed, basis.inside),
            skew=skew,
            is_replica=is_replica,
            accepted=accepted,
        )
    }
    return replace(plan, guards=overruled((again.get(guard.id, guard) for guard in plan.guards), accepted))


def _major(version: str) -> list[str]:
    """What must be equal: the first number, and before 1.0 the second one, too."""
    numbers = version.split(".")
    return numbers[:2] if numbers[0] == "0" else numbers[:1]


def _named(roots: Sequence[Root]) -> str:
    return ", ".join(root.uri for root in roots) or "no store"


def _place(endpoint: str | None) -> str:
    return endpoint or "AWS"


def _stale(why: str) -> RefusedError:
    return RefusedError(
        f"the plan does not fit: {why}; nothing was done",
        hint="make a new plan: xcomctl plan --out FILE, with the options of this one",
    )
