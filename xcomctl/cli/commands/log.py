"""`xcomctl log`: what was done."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputOptions, with_options
from xcomctl.errors import PartialError, UsageError

if TYPE_CHECKING:
    from xcomctl.cli.output.columns import OutputStyle
    from xcomctl.models import Root
    from xcomctl.s3.interface import Store
    from xcomctl.state.journal import JournalStep, OperationRecord


@with_options
def log(
    connection: ConnectionOptions,
    output: OutputOptions,
    log_options: LogOptions,
    operation: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]", help="An operation, of which every step is shown.", show_default=False
        ),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=0, help="Most operations to show, 0 for all.")
    ] = 20,
) -> None:
    """Show what was done to the stores, newest first: who, when, with which command, and how much.

    The id is what `xcomctl undo` takes. With an id, the steps of that operation are shown, with counts. An operation
    that is unfinished is at work, or was killed; the next one settles what became of it.

    Examples:

        xcomctl log --store s3://my-bucket/xcom

        xcomctl log -o json | jq -r '.[0].id'

        xcomctl log 20261122T142831Z-1a2b3c4d
    """
    style = output.style()
    log = log_options.log()
    with Interruption(), connection.open() as session:
        if not session.roots:
            raise UsageError("no store is configured", hint="add --store s3://BUCKET/PREFIX")
        if operation is not None:
            _write_steps(session.store, session.roots, operation, style)
            return

        from xcomctl.cli.output.formats import write
        from xcomctl.cli.output.journals import OPERATION_COLUMNS
        from xcomctl.state.journal import operations

        unreadable: list[str] = []

        def on_damage(error: Exception) -> None:
            unreadable.append(str(error))
            log.note(str(error))

        records = operations(session.store, session.roots, limit or None, on_damage=on_damage)
        write(records, OPERATION_COLUMNS, style, sys.stdout)
    if unreadable:
        raise PartialError(
            f"operations that could not be read: {len(unreadable)}",
            hint="an older version of a damaged object may still be in the bucket",
        )


def _write_steps(store: Store, roots: list[Root], operation_id: str, style: OutputStyle) -> None:
    from xcomctl.cli.output.formats import write
    from xcomctl.cli.output.journals import OPERATION_COLUMNS, STEP_COLUMNS, StepCounts
    from xcomctl.state.journal import find, steps

    def counted(step: JournalStep) -> StepCounts:
        results = (
            None if step.outcome is None else Counter(str(entry.get("result")) for entry in step.outcome)
        )
        return StepCounts(step.number, step.kind, len(step.intent), results)

    record: OperationRecord = find(store, roots, operation_id)
    found = (counted(step) for step in steps(store, record))
    if style.format == "json" and style.columns is None:
        from xcomctl.cli.output.formats import document_chunks, record_of

        head = {"schema": "xcomctl.log/1", **record_of(record, OPERATION_COLUMNS)}
        for chunk in document_chunks(head, "steps", (record_of(step, STEP_COLUMNS) for step in found)):
            sys.stdout.write(chunk)
        return
    write(found, STEP_COLUMNS, style, sys.stdout)
