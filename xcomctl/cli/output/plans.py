"""Plans, outcomes and checks as people read them: totals first, then samples, then what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xcomctl.cli.output.text import print_line, visible
from xcomctl.models import xcom_ref
from xcomctl.units import format_size, quantity

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod

    from xcomctl.gc.apply import Outcome
    from xcomctl.gc.plan import GuardGroup, Plan
    from xcomctl.gc.plan_actions import ActionKind
    from xcomctl.inventory.fsck import FsckResult

SAMPLES = 5
"""How many findings or actions of each kind are shown; the machine formats give all."""

GROUPS = 20
"""How many DAGs are shown of which a guard asks."""

_GROUP_TITLES: dict[str, JustifyMethod] = {
    "  DAG": "left",
    "OBJECTS": "right",
    "SIZE": "right",
    "RUNS": "right",
    "FIRST WRITTEN": "left",
    "LAST WRITTEN": "left",
}

_TITLES: dict[ActionKind, str] = {
    "restore_object": "objects to bring back from the trash",
    "delete_row": "rows to delete",
    "keep_object": "objects that stay without a row",
    "delete_object": "objects to delete",
    "purge_object": "objects to purge from the trash",
    "abort_upload": "unfinished uploads to abort",
}

_STAYING = {
    "live": "other rows reference them",
    "recent": "a task that runs may have just written them again; gc finds them later",
    "foreign": "no dialect claims their keys, or no row means just them",
}

_MEANINGS = {
    "orphaned": "objects that no row references",
    "dangling": "rows whose object is gone",
    "unresolved": "rows whose object the given stores do not reach",
    "foreign": "objects that no dialect claims; never touched",
    "unfinished": "uploads that nobody completed; no listing shows them",
}


def print_plan(console: Console, plan: Plan) -> None:
    """Totals by state, samples of the actions with their reasons, and the guards that refuse."""
    for line in _totals(plan.totals):
        print_line(console, line)
    for action, title in _TITLES.items():
        _samples(console, title, action, plan)
    for guard in plan.refusals:
        console.print(
            f"refused by {guard.id}: {visible(guard.cause)}",
            markup=False,
            highlight=False,
            soft_wrap=True,
            style="red",
        )
        _groups(console, guard.groups)


def _groups(console: Console, groups: Sequence[GuardGroup]) -> None:
    """What a guard found, by DAG, with numbers and dates."""
    if not groups:
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_edge=False)
    for title, justify in _GROUP_TITLES.items():
        table.add_column(title, justify=justify)
    for group in groups[:GROUPS]:
        table.add_row(
            f"  {visible(group.name)}",
            f"{group.objects:,}",
            format_size(group.size),
            f"{group.runs:,}",
            *(f"{at:%Y-%m-%d %H:%M}" for at in (group.oldest_at, group.newest_at)),
        )
    console.print(table, highlight=False)
    if len(groups) > GROUPS:
        print_line(console, f"  ... and {len(groups) - GROUPS:,} more (-o json lists them)")


def _totals(totals: Mapping[str, int]) -> Iterable[str]:
    if "rows_chosen" in totals:
        yield f"rows     {totals['rows_scanned']:,} scanned: {totals['rows_chosen']:,} chosen"
        for state, why in _STAYING.items():
            if number := totals[f"objects_{state}"]:
                yield f"objects  {number:,} stay: {why}"
        return
    from xcomctl.inventory.classify import OBJECT_STATES
    from xcomctl.inventory.unfinished_uploads import UPLOAD_STATES

    yield (
        f"rows     {totals['rows_scanned']:,} scanned: {totals['rows_expired']:,} expired, "
        f"{totals['rows_dangling']:,} dangling"
    )
    states = ", ".join(f"{totals[f'objects_{state}']:,} {state}" for state in OBJECT_STATES)
    yield f"objects  {totals['objects_scanned']:,} scanned: {states}"
    if number := sum(totals.get(f"uploads_{state}", 0) for state in UPLOAD_STATES):
        size = sum(totals[f"upload_bytes_{state}"] for state in UPLOAD_STATES)
        states = ", ".join(f"{totals[f'uploads_{state}']:,} {state}" for state in UPLOAD_STATES)
        yield f"uploads  {number:,} unfinished ({format_size(size)}): {states}"


def plan_summary(plan: Plan) -> str:
    """What applying the plan would delete, in one line."""
    kinds = plan.action_counts()
    parts = [
        f"{quantity(kinds['delete_row'], 'row')} and {quantity(kinds['delete_object'], 'object')}"
        f" ({format_size(plan.totals['bytes_reclaimed'])})"
    ]
    if kinds["restore_object"]:
        parts.append(f"{quantity(kinds['restore_object'], 'object')} back from the trash")
    if kinds["purge_object"]:
        parts.append(f"{quantity(kinds['purge_object'], 'object')} of the trash for good")
    if kinds["abort_upload"]:
        size = format_size(plan.actions.size("abort_upload"))
        parts.append(f"{quantity(kinds['abort_upload'], 'unfinished upload')} ({size})")
    return ", ".join(parts)


def print_outcome(console: Console, outcome: Outcome) -> None:
    """What was deleted, what was skipped and why, what failed."""
    reclaimed = format_size(outcome.bytes_reclaimed)
    deleted = (
        f"{quantity(outcome.rows['deleted'], 'row')} and {quantity(outcome.objects['deleted'], 'object')}"
    )
    print_line(console, f"deleted {deleted} ({reclaimed})")
    for what, number in {
        "brought back from the trash": outcome.objects["restored"],
        "purged from the trash": outcome.objects["purged"],
    }.items():
        if number:
            print_line(console, f"{what}: {quantity(number, 'object')}")
    rows, objects, uploads = outcome.rows, outcome.objects, outcome.uploads
    if uploads["aborted"]:
        size = format_size(outcome.bytes_aborted)
        print_line(console, f"aborted {quantity(uploads['aborted'], 'unfinished upload')} ({size})")
    if objects["foreign"]:
        print_line(console, f"left {quantity(objects['foreign'], 'object')} that no dialect claims")
    skipped = (
        (rows["changed"], "row", "that changed since the plan"),
        (rows["gone"], "row", "gone already"),
        (rows["run_active"], "row", "of a run that is active again"),
        (objects["referenced"], "object", "that a row references"),
        (objects["changed"], "object", "that changed since the plan"),
        (objects["gone"], "object", "gone already"),
        (objects["occupied"], "object", "not brought back: another one has its place"),
        (objects["kept"], "object", "that the store cannot delete safely: turn on versioning"),
        (uploads["gone"], "unfinished upload", "gone already"),
    )
    for number, noun, why in skipped:
        if number:
            print_line(console, f"skipped {quantity(number, noun)} {why}")
    if outcome.failed:
        console.print(f"failed  {failed_summary(outcome)}", style="red", highlight=False)
        for failure in outcome.failures:
            print_line(console, f"  {failure}")


def failed_summary(outcome: Outcome) -> str:
    """What was to be done and was not, in one line."""
    failed = ((outcome.objects["failed"], "object"), (outcome.uploads["failed"], "unfinished upload"))
    return " and ".join(quantity(number, noun) for number, noun in failed if number)


def print_check(console: Console, check: FsckResult, *, samples: int) -> None:
    """Counts and bytes by kind of finding, and samples of each."""
    from rich.table import Table

    totals = check.totals()
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("FINDING")
    table.add_column("COUNT", justify="right")
    table.add_column("SIZE", justify="right")
    table.add_column("MEANING")
    summary = check.summary()
    for kind in summary:
        rows_only = kind.kind in ("dangling", "unresolved")
        size = "" if rows_only else format_size(kind.bytes)
        table.add_row(kind.kind, f"{kind.count:,}", size, _MEANINGS[kind.kind])
    print_line(
        console,
        f"{quantity(totals.rows_scanned, 'row')}, {quantity(totals.objects_scanned, 'object')}:"
        f" {totals.objects_live:,} live,"
        f" {totals.objects_recent:,} recent",
    )
    console.print(table)
    for kind in summary:
        if kind.count and samples:
            records = list(check.findings(kind.kind, limit=samples))
            _list(console, kind.kind, (_finding(record) for record in records), kind.count - len(records))


def _samples(console: Console, title: str, action: ActionKind, plan: Plan) -> None:
    number = plan.action_counts()[action]
    if not number:
        return
    records = plan.samples(action, SAMPLES)
    _list(console, title, (_action(record) for record in records), number - len(records))


def _list(console: Console, title: str, lines: Iterable[str], more: int) -> None:
    console.print()
    print_line(console, f"{title}:")
    for line in lines:
        print_line(console, f"  {line}")
    if more > 0:
        print_line(console, f"  ... and {more:,} more (-o ndjson lists all)")


def _action(record: Mapping[str, Any]) -> str:
    name = _ref(record) if record["action"] == "delete_row" else record["uri"]
    return f"{name}  {_size(record)}  {record['reason']}"


def _finding(record: Mapping[str, Any]) -> str:
    if record["finding"] in ("dangling", "unresolved"):
        return f"{_ref(record)}  {record['uri']}"
    return f"{record['uri']}  {_size(record)}  {record['last_modified']}"


def _size(record: Mapping[str, Any]) -> str:
    # The store may not tell the bytes of an upload.
    return "? B" if record["size"] is None else format_size(record["size"])


def _ref(record: Mapping[str, Any]) -> str:
    return xcom_ref(*(record[name] for name in ("dag_id", "run_id", "task_id", "map_index", "key")))
