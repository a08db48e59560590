"""The metadata database: does it answer, what is it, what may we do there, and what weighs on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from xcomctl.airflow.interface import TableWeight
from xcomctl.doctor.context import CheckContext
from xcomctl.doctor.interface import CheckResult
from xcomctl.gc.guards.surroundings import LONGEST_TRANSACTION
from xcomctl.units import format_duration, format_size, format_time, quantity

_LONG_TRANSACTION = timedelta(hours=1)

_OLD_ARCHIVE = timedelta(days=30)

_STAMP = re.compile(r"_airflow_deleted__.*__(\d{14})")
"""Airflow writes the time into the name of an archive; newer releases also archive under hex digits."""

_HINT_RIGHTS = "docs/configuration.md lists the GRANT statements; for reading alone nothing is missing"
_HINT_SELECT = "GRANT SELECT ON {tables} TO the user of --db"
_HINT_ARCHIVES = (
    "airflow db drop-archived, once nobody needs them; then gc collects the objects that only they named"
)


def reachable(context: CheckContext) -> Iterator[CheckResult]:
    """Whether the server answers, and which it is."""
    name = "database.reachable"
    if not context.has_source:
        yield CheckResult(name, "skipped", "no metadata database is configured")
        return
    condition = context.condition
    yield CheckResult(
        name, "ok", f"{condition.server} at {condition.label}", facts={"server": condition.server}
    )


def shape(context: CheckContext) -> Iterator[CheckResult]:
    """Whether it is a database of an Airflow that we know."""
    info = context.source.info()
    context.reads_database = True
    generation = {
        "airflow-2": "Airflow 2 (2.3 to 2.11)",
        "airflow-3": "Airflow 3.0 to 3.3",
        "airflow-3.4": "Airflow 3.4",
    }[info.shape]
    yield CheckResult(
        "database.shape",
        "ok",
        f"tables of {generation}: {', '.join(info.tables)}",
        facts={"shape": info.shape, "tables": list(info.tables)},
    )


def rights(context: CheckContext) -> Iterator[CheckResult]:
    """Whether rows may be read, deleted and put back."""
    name = "database.rights"
    found = context.source.rights()
    facts = {"lacking": {right: list(tables) for right, tables in found.lacking.items()}}
    if unreadable := found.lacking.get("SELECT"):
        tables = ", ".join(unreadable)
        sure = "may not read" if found.certain else "may perhaps not read"
        yield CheckResult(
            name,
            "fail" if found.certain else "warn",
            f"the user {sure} {tables}",
            _HINT_SELECT.format(tables=tables),
            facts=facts,
        )
        return
    lacking = [f"{right} on {', '.join(tables)}" for right, tables in found.lacking.items()]
    if not lacking:
        yield CheckResult(name, "ok", "rows may be read, deleted and put back", facts=facts)
        return
    collects = not {"DELETE", "UPDATE"} & set(found.lacking)
    cannot = "undo and restore" if collects else "gc, rm, undo and restore"
    unsure = "" if found.certain else " (unless a role of the user gives it)"
    yield CheckResult(
        name,
        "warn",
        f"rows may be read; {cannot} cannot work: no {'; no '.join(lacking)}{unsure}",
        _HINT_RIGHTS,
        facts=facts,
    )


def replica(context: CheckContext) -> Iterator[CheckResult]:
    """Whether it is the primary."""
    if context.condition.is_replica:
        yield CheckResult(
            "database.primary",
            "warn",
            "this is a read replica: good for ls, fsck and dry runs, refused by gc",
            "for gc point --db at the primary",
            facts={"replica": True},
        )
        return
    yield CheckResult("database.primary", "ok", "not a read replica", facts={"replica": False})


def transactions(context: CheckContext) -> Iterator[CheckResult]:
    """Whether a transaction is open for long, whose rows nobody sees."""
    name = "database.transactions"
    began, now = context.condition.oldest_transaction_at, context.condition.clock_at
    if began is None or now - began < _LONG_TRANSACTION:
        yield CheckResult(name, "ok", "no transaction is open for long, as far as this user may see")
        return
    age = now - began
    blocks = age > LONGEST_TRANSACTION
    yield CheckResult(
        name,
        "fail" if blocks else "warn",
        f"a transaction is open for {format_duration(age)}: "
        + (
            "gc refuses until it ends" if blocks else "the grace period of gc grows by that, and vacuum waits"
        ),
        "SELECT pid, usename, state, query_start FROM pg_stat_activity ORDER BY xact_start LIMIT 5",
        facts={"open_for_seconds": int(age.total_seconds())},
    )


def weight(context: CheckContext) -> Iterator[CheckResult]:
    """How large the XCom tables are."""
    weights = [one for one in context.source.weights() if not one.archived]
    yield CheckResult("database.size", "ok", _weighed(weights), facts=_facts(weights))


def archives(context: CheckContext) -> Iterator[CheckResult]:
    """Whether archives of Airflow pile up: they weigh, and keep objects."""
    name = "database.archives"
    found = [one for one in context.source.weights() if one.archived]
    if not found:
        yield CheckResult(name, "ok", "no archives of airflow db clean or of an upgrade", facts={"tables": 0})
        return
    stamps = [at for one in found if (at := _archived_at(one.name)) is not None]
    oldest = min(stamps, default=None)
    age = None if oldest is None else context.condition.clock_at - oldest
    since = (
        ""
        if oldest is None or age is None
        else f", the oldest of {oldest:%Y-%m-%d} ({format_duration(age)} ago)"
    )
    rows = sum(one.rows for one in found)
    facts = {**_facts(found), "oldest_at": None if oldest is None else format_time(oldest)}
    piles = rows > 0 and (len(found) > 1 or age is None or age > _OLD_ARCHIVE)
    why = f"{quantity(len(found), 'archive table')}{since}: {_weighed(found)}; what they name is kept"
    yield CheckResult(name, "warn" if piles else "ok", why, _HINT_ARCHIVES if piles else None, facts=facts)


def upkeep(context: CheckContext) -> Iterator[CheckResult]:
    """Whether the index by DAG is there, and how far back the runs go."""
    found = context.source.upkeep()
    for table in found.without_dag_index:
        yield CheckResult(
            "database.indexes",
            "warn",
            f"table {table} has lost Airflow's index by DAG: deleting a run and ls --dag read the whole table",
            f"CREATE INDEX idx_xcom_task_instance ON {table} (dag_id, task_id, run_id, map_index)",
            facts={"table": table},
        )
    if not found.without_dag_index:
        yield CheckResult("database.indexes", "ok", "Airflow's index by DAG is there")
    if found.oldest_run_at is None:
        yield CheckResult("database.runs", "ok", "there is no DAG run yet")
        return
    age = format_duration(context.condition.clock_at - found.oldest_run_at)
    yield CheckResult(
        "database.runs",
        "ok",
        f"runs go back to {found.oldest_run_at:%Y-%m-%d} ({age})",
        facts={"oldest_run_at": format_time(found.oldest_run_at)},
    )


def _weighed(weights: list[TableWeight]) -> str:
    rows = sum(one.rows for one in weights)
    about = "" if all(one.exact for one in weights) else "about "
    bytes_ = [
        (one.table_bytes or 0) + (one.index_bytes or 0) for one in weights if one.table_bytes is not None
    ]
    size = f", {format_size(sum(bytes_))} with indexes" if bytes_ else ""
    return f"{about}{quantity(rows, 'row')}{size}"


def _facts(weights: list[TableWeight]) -> dict[str, object]:
    return {
        "tables": len(weights),
        "rows": sum(one.rows for one in weights),
        "exact": all(one.exact for one in weights),
        "bytes": sum((one.table_bytes or 0) + (one.index_bytes or 0) for one in weights),
    }


def _archived_at(table: str) -> datetime | None:
    match = _STAMP.fullmatch(table)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], "%Y%m%d%H%M%S").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
