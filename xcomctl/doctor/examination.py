"""One examination: every check in its order. What one cannot open, the others do without."""

from __future__ import annotations

from collections.abc import Iterator

from xcomctl.doctor import backend_checks, database_checks, root_checks, schedule_checks, store_checks
from xcomctl.doctor.context import CheckContext
from xcomctl.doctor.interface import Check, CheckResult, Part
from xcomctl.doctor.lifecycle import lifecycle
from xcomctl.doctor.store_checks import each_root
from xcomctl.errors import XcomctlError

_DATABASE: frozenset[Part] = frozenset({"database"})
_STORE: frozenset[Part] = frozenset({"store"})

CHECKS = (
    Check("database.reachable", database_checks.reachable, opens="database"),
    Check("database.shape", database_checks.shape, needs=_DATABASE, opens="database"),
    Check("database.rights", database_checks.rights, needs=_DATABASE, opens="database"),
    Check("database.primary", database_checks.replica, needs=_DATABASE),
    Check("database.transactions", database_checks.transactions, needs=_DATABASE),
    Check("database.size", database_checks.weight, needs=_DATABASE),
    Check("database.archives", database_checks.archives, needs=_DATABASE),
    Check("database.indexes", database_checks.upkeep, needs=_DATABASE),
    Check("backend.references", backend_checks.backend, needs=_DATABASE),
    Check("roots.given", backend_checks.roots, needs=_DATABASE),
    Check("store.reachable", store_checks.reachable, opens="store"),
    Check("store.rights", each_root("store.rights", store_checks.rights), needs=_STORE),
    Check("store.clock", store_checks.clock, needs=_STORE),
    Check("store.versions", store_checks.settings, needs=_STORE),
    Check("store.owner", each_root("store.owner", root_checks.owner), needs=_DATABASE | _STORE),
    Check("store.lock", each_root("store.lock", root_checks.lock), needs=_STORE),
    Check("backend.objects", backend_checks.payloads, needs=_DATABASE | _STORE),
    Check("store.trash", each_root("store.trash", root_checks.trash), needs=_STORE, slow=True),
    Check("store.uploads", each_root("store.uploads", root_checks.uploads), needs=_STORE, slow=True),
    Check("store.lifecycle", lifecycle, needs=_STORE, slow=True),
    Check("schedule.gc", schedule_checks.schedule, needs=_STORE),
    Check("policy", schedule_checks.policy, slow=True),
)
"""Every check, in the order in which it is done."""


def examine(context: CheckContext, *, quick: bool = False) -> Iterator[CheckResult]:
    """Do every check, one after the other; with `quick` without those that read or list the more the more there is."""
    closed: set[Part] = set()
    for check in CHECKS:
        missing = sorted(check.needs & closed)
        if missing:
            yield CheckResult(check.name, "skipped", f"needs the {missing[0]}")
            continue
        if quick and check.slow:
            yield CheckResult(check.name, "skipped", "left out by --quick")
            continue
        found: list[CheckResult] = []
        try:
            for result in check.run(context):
                found.append(result)
                yield result
        except XcomctlError as error:
            found.append(CheckResult(check.name, "fail", str(error), error.hint))
            yield found[-1]
        if check.opens is not None and not any(one.status in ("ok", "warn") for one in found):
            closed.add(check.opens)
            if check.opens == "database":
                context.reads_database = False
