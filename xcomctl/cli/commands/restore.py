"""`xcomctl restore`: put a backup back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.commands.backup import BackupPlace, DocumentOutput, emit_document
from xcomctl.cli.operations import Interruption, begin_operation, consent
from xcomctl.cli.options import ConnectionOptions, DocumentFormat, LogOptions, SelectionOptions, with_options
from xcomctl.cli.stages import stages
from xcomctl.errors import PartialError, UsageError
from xcomctl.models import Root
from xcomctl.units import quantity

if TYPE_CHECKING:
    from xcomctl.backup.restore import RestoreResult
    from xcomctl.backup.restore_request import RestoreRequest
    from xcomctl.cli.stderr import StderrLog
    from xcomctl.config.session import Session


@with_options
def restore(
    place: BackupPlace,
    connection: ConnectionOptions,
    selection: SelectionOptions,
    log_options: LogOptions,
    to_store: Annotated[
        str | None,
        typer.Option(
            "--to-store",
            metavar="S3_URL",
            help="Put the objects below this root instead, and rewrite the references to them.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be restored.", rich_help_panel="Consent")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before restoring.", rich_help_panel="Consent")
    ] = False,
    output: DocumentOutput = DocumentFormat.table,
) -> None:
    """Put a backup back: objects first, then the rows that reference them. Nothing is overwritten.

    A row comes back only where its task instance exists and no other value is in its place, an object only where
    its key is free; what is there already, equal to the backup, is fine. Objects go below those stores of the backup
    that are stores here, or below --to-store; --dry-run names them. All else is reported, and exit 3.

    Examples:

        xcomctl restore /backups/xcoms --dry-run

        xcomctl restore /backups/xcoms --dag 'finance_*' --yes

        xcomctl restore s3://safe-bucket/xcoms@20261122T150000Z-1a2b3c4d --to-store s3://new-bucket/xcom
    """
    if selection.state is not None:
        raise UsageError(
            "--state does not go with restore: a backup does not know it", hint="choose by --dag or --run"
        )
    root = None if to_store is None else Root.parse(to_store)
    log = log_options.log()
    with Interruption() as interruption, connection.open() as session:
        from xcomctl.backup import read_manifest, split_place
        from xcomctl.backup.restore_request import RestoreRequest
        from xcomctl.cli.output.backups import restore_lines

        where, backup_id = split_place(place)
        backup_target = session.backup_target(where)
        request = RestoreRequest.of(
            backup_target,
            read_manifest(backup_target, backup_id),
            selection.selection(),
            configured=session.roots,
            to_root=root,
        )
        if dry_run or not yes:
            preview = _preview(request, session, log)
            if dry_run:
                emit_document(
                    preview.document(request, dry_run=True), restore_lines(preview, previewed=request), output
                )
                raise typer.Exit(3 if preview.failed else 0)
            if not _agreed(request, preview, log):
                return
        result = _carry_out(request, session, log, interruption)
        emit_document(result.document(request, dry_run=False), restore_lines(result), output)
    if result.failed:
        raise PartialError(
            f"{result.failed} rows and objects were not restored",
            hint="the outcome names some of each kind; restoring again does no harm",
        )


def _preview(request: RestoreRequest, session: Session, log: StderrLog) -> RestoreResult:
    """What a restore would do. Changes nothing."""
    from xcomctl.backup.restore import RestoreResult, restore

    result = RestoreResult()
    with stages(log) as report:
        restore(request, session.source, session.store, operation=None, result=result, report=report)
    return result


def _agreed(request: RestoreRequest, preview: RestoreResult, log: StderrLog) -> bool:
    """Whether to go on. Raises UsageError where nobody can be asked."""
    from xcomctl.cli.output.backups import restore_lines, restore_summary

    def show() -> None:
        for line in restore_lines(preview, previewed=request):
            typer.echo(line, err=True)

    summary = restore_summary(preview.rows, preview.objects, preview.bytes_restored)
    agreed = consent(
        f"Restore {summary}?",
        yes=False,
        otherwise=f"nothing was restored: {summary} would come back",
        hint="add --yes to restore, or --dry-run to see more",
        show=show,
    )
    if not agreed:
        log.note("nothing was restored")
    return agreed


def _carry_out(
    request: RestoreRequest, session: Session, log: StderrLog, interruption: Interruption
) -> RestoreResult:
    from xcomctl.backup.restore import RestoreResult, restore

    result = RestoreResult()
    try:
        # The journal holds values: it lies where this command may write, whatever the backup says of its stores.
        with (
            begin_operation(session, request.targets or session.roots, "restore") as operation,
            stages(log) as report,
        ):
            reported = interruption.between_batches(report)
            restore(
                request, session.source, session.store, operation=operation, result=result, report=reported
            )
    except BaseException:
        # What came back before it broke must not go unsaid.
        log.note(
            f"cut short after {quantity(result.rows['inserted'], 'row')} and"
            f" {quantity(result.objects['restored'], 'object')} came back",
            hint="run the same command again to finish",
        )
        raise
    return result
