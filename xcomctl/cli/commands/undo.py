"""`xcomctl undo`: take back what a command did."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.operations import Interruption, begin_operation, consent
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputFormat, with_options
from xcomctl.cli.scope_options import resolve_roots
from xcomctl.cli.stages import stages
from xcomctl.errors import PartialError, UsageError
from xcomctl.units import quantity

if TYPE_CHECKING:
    from xcomctl.state.undo import Undone


@with_options
def undo(
    connection: ConnectionOptions,
    log_options: LogOptions,
    operation: Annotated[
        str,
        typer.Argument(metavar="ID", help="The operation, as `xcomctl log` names it.", show_default=False),
    ],
    output: Annotated[
        OutputFormat, typer.Option("-o", "--output", help="table or json.", rich_help_panel="Output")
    ] = OutputFormat.table,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would come back.", rich_help_panel="Consent"),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask first.", rich_help_panel="Consent")
    ] = False,
) -> None:
    """Bring back the rows and objects that an operation deleted, as they were.

    Objects come from the trash, rows from the journal, where their task instances still exist. What was purged, or
    has another one in its place by now, is told and stays as it is (exit 3). Undoing twice does no harm.

    Examples:

        xcomctl undo 20261122T142831Z-1a2b3c4d --dry-run

        xcomctl undo 20261122T142831Z-1a2b3c4d --yes
    """
    if output not in (OutputFormat.table, OutputFormat.json):
        raise UsageError(f"-o {output.value} does not suit an undo", hint="-o json, or -o table")
    log = log_options.log()
    with Interruption() as interruption, connection.open() as session:
        roots = resolve_roots(session, log)
        if not roots:
            raise UsageError("no store is configured, and journals are in stores", hint="add --store S3_URL")

        from xcomctl.state.journal import find, require_own_roots
        from xcomctl.state.undo import Undone, preview, require_same_database
        from xcomctl.state.undo import undo as bring_back

        record = find(session.store, roots, operation)
        require_own_roots(record, roots)
        require_same_database(record, session.source)
        expected = preview(record, session.store)
        if not expected.rows and not expected.objects:
            log.note(f"operation {record.id} took nothing away")
        if dry_run:
            _emit(expected, record.id, None, output)
            log.note("dry run: nothing was brought back")
            return
        summary = f"{quantity(expected.rows['inserted'], 'row')} and {quantity(expected.objects['restored'], 'object')}"
        if not consent(
            f"Bring back {summary}?", yes=yes, otherwise=f"nothing was brought back: {summary} would be"
        ):
            log.note("nothing was brought back")
            return
        undone = Undone()
        with (
            begin_operation(session, record.roots, "undo") as work,
            stages(log) as report,
        ):
            bring_back(
                record, work, session.store, session.dialects, undone, interruption.between_batches(report)
            )
        _emit(undone, record.id, work.id, output)
    if undone.missing:
        raise PartialError(
            f"not everything came back: {undone.missing:,} of the rows and objects did not",
            hint="the kinds above say why",
        )


def _emit(undone: Undone, undone_id: str, operation_id: str | None, output: OutputFormat) -> None:
    if output is OutputFormat.json:
        sys.stdout.write(json.dumps(undone.document(undone_id, operation_id), indent=2) + "\n")
        return
    from rich.console import Console

    from xcomctl.cli.output.outcomes import print_results

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    print_results(console, (undone.objects, undone.rows), undone.examples, expected=operation_id is None)
