"""Plans, outcomes and checks on stdout, in the format that was asked for."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TextIO

from xcomctl.cli.output.columns import Column, OutputStyle
from xcomctl.cli.output.formats import document_chunks, write
from xcomctl.units import format_size, format_time

if TYPE_CHECKING:
    from rich.console import Console

    from xcomctl.gc.apply import Outcome
    from xcomctl.gc.plan import Plan
    from xcomctl.inventory.fsck import FsckResult

Record = dict[str, Any]


def _column(name: str, title: str | None = None) -> Column[Record]:
    if name == "size":
        return Column(
            name,
            lambda record: record[name],
            title,
            human=lambda record: "" if record[name] is None else format_size(record[name]),
            number=True,
        )
    return Column(name, lambda record: record[name], title)


FINDING_COLUMNS = tuple(
    _column(name, name.upper())
    for name in (
        "finding",
        "uri",
        "dag_id",
        "run_id",
        "task_id",
        "map_index",
        "key",
        "size",
        "last_modified",
    )
)
"""What is told of each finding."""

ACTION_COLUMNS = tuple(
    _column(name, name.upper())
    for name in ("action", "uri", "dag_id", "run_id", "task_id", "map_index", "key", "size", "reason")
)
"""What is told of each action of a plan."""

_OUTCOME_COLUMNS = tuple(_column(name) for name in ("what", "outcome", "count"))


def require_columns(columns: Sequence[Column[Any]], style: OutputStyle) -> None:
    """Raise UsageError for an unknown column or a bad template: before anything is read, and anything deleted."""
    if style.columns is not None or style.template is not None:
        write([], columns, style, io.StringIO())


def emit_fsck(check: FsckResult, style: OutputStyle, *, samples: int) -> None:
    """Write the result of a check: a summary for people, one document, or one finding a line."""
    if for_people(style):
        from xcomctl.cli.output.plans import print_check

        print_check(_console(), check, samples=samples)
        return
    if style.format == "json" and style.columns is None:
        head = {
            "schema": "xcomctl.fsck/1",
            "checked_at": format_time(check.checked_at),
            "totals": {
                k: v
                for k, v in asdict(check.totals()).items()
                if k not in ("rows_expired", "bytes_reclaimed")
            }
            | check.upload_totals(),
            "counts": {kind.kind: kind.count for kind in check.summary()},
        }
        _write_document(head, "findings", check.findings())
        return
    _write_records(check.findings(), FINDING_COLUMNS, style)


def emit_plan(plan: Plan, style: OutputStyle) -> None:
    """Write a plan: totals and samples for people, one document, or one action a line."""
    if for_people(style):
        from xcomctl.cli.output.plans import print_plan

        print_plan(_console(), plan)
        return
    if style.format == "json" and style.columns is None:
        _write_document(plan.header(), "actions", plan.records())
        return
    _write_records(plan.records(), ACTION_COLUMNS, style)


def show_plan(plan: Plan) -> None:
    """Show a plan on stderr, to somebody who is about to be asked and whose stdout is for a program."""
    from xcomctl.cli.output.plans import print_plan

    print_plan(_console(sys.stderr), plan)


def emit_outcome(
    plan: Plan, outcome: Outcome, style: OutputStyle, *, operation_id: str | None = None
) -> None:
    """Write what applying a plan did: lines for people, one JSON document or some records for programs.

    `operation_id` is None where nothing was begun, or nothing can be undone.
    """
    if style.format == "table":
        from xcomctl.cli.output.plans import print_outcome

        # Where the actions were asked for line by line, nothing else belongs between them.
        print_outcome(_console(sys.stdout if for_people(style) else sys.stderr), outcome)
        return
    document = {**outcome.document(plan), "operation_id": operation_id}
    if style.format == "csv":
        counts = [
            {"what": what, "outcome": name, "count": number}
            for what in ("rows", "objects", "uploads")
            for name, number in document[what].items()
        ]
        _write_records(counts, _OUTCOME_COLUMNS, OutputStyle("csv"))
        return
    sys.stdout.write(json.dumps(document, indent=2 if style.format == "json" else None) + "\n")


def for_people(style: OutputStyle) -> bool:
    """Whether the usual table is wanted, with all that people like to see beside it."""
    return style.format == "table" and style.columns is None and style.template is None


def _console(stream: TextIO | None = None) -> Console:
    from rich.console import Console

    return Console(file=stream or sys.stdout, highlight=False, markup=False, emoji=False)


def _write_document(head: Record, member: str, records: Iterable[Record]) -> None:
    for chunk in document_chunks(head, member, records):
        sys.stdout.write(chunk)


def _write_records(records: Iterable[Record], columns: Sequence[Column[Record]], style: OutputStyle) -> None:
    write(records, columns, style, sys.stdout)
