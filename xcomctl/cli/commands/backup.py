"""`xcomctl backup`: copy XComs to a safe place, and check what is there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Annotated, Any

import typer

from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, DocumentFormat, LogOptions, SelectionOptions, with_options
from xcomctl.cli.scope_options import resolve_roots
from xcomctl.cli.stages import stages
from xcomctl.errors import PartialError, UsageError

DocumentOutput = Annotated[
    DocumentFormat, typer.Option("-o", "--output", help="Format of the result.", rich_help_panel="Output")
]

BackupPlace = Annotated[
    str,
    typer.Argument(
        metavar="BACKUP",
        help="DIR or s3://bucket/prefix: the newest backup there; with @ID behind it, that one.",
        show_default=False,
    ),
]


app = typer.Typer()


@app.callback(invoke_without_command=True)
@with_options
def backup(
    context: typer.Context,
    connection: ConnectionOptions,
    selection: SelectionOptions,
    log_options: LogOptions,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="PLACE", help="Where backups are kept: DIR or s3://bucket/prefix."),
    ] = None,
    output: DocumentOutput = DocumentFormat.table,
) -> None:
    """Copy XComs to a safe place: rows as of one moment, and the objects that they reference.

    A payload that is there from an earlier backup is not copied again. The values themselves are in a backup: give the
    place the rights that the database has. Objects that rows reference and that do not exist are counted, and are no
    failure; exit 3 if an object exists and could not be copied, or lies outside of the stores, where none is read.

    Examples:

        xcomctl backup --to /backups/xcoms

        xcomctl backup --dag 'finance_*' --to s3://safe-bucket/xcoms

        xcomctl backup verify /backups/xcoms
    """
    if context.invoked_subcommand is not None:
        return
    if to is None:
        raise UsageError("there is no place given for the backup", hint="xcomctl backup --to /backups/xcoms")
    log = log_options.log()
    with Interruption(), connection.open() as session:
        roots = resolve_roots(session, log)

        from xcomctl.backup import back_up
        from xcomctl.cli.output.backups import backup_lines

        backup_target = session.backup_target(to, apart_from=roots)
        with stages(log) as report:
            result = back_up(
                session.source,
                session.store,
                session.dialects,
                backup_target,
                selection.selection(),
                roots=roots,
                now=datetime.now(timezone.utc),
                report=report,
            )
        document = {
            **result.manifest.document(),
            "failures": list(result.failures),
            "missing": list(result.missing),
            "unresolved": list(result.unresolved),
        }
        emit_document(document, backup_lines(result, to), output)
    if result.failed:
        raise PartialError(
            f"done in part, without {result.failed:,} of the objects: {result.first_failure}",
            hint="run the same command again; what is there already is not copied again"
            if result.failures
            else "if these are yours, add the --store that they lie in",
        )


@app.command("ls")
@with_options
def backup_ls(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="DIR or s3://bucket/prefix.")],
    connection: ConnectionOptions,
    output: DocumentOutput = DocumentFormat.table,
) -> None:
    """The finished backups of a place, newest first.

    Examples:

        xcomctl backup ls /backups/xcoms
    """
    with Interruption(), connection.open() as session:
        from xcomctl.backup import backup_ids, read_manifest
        from xcomctl.units import format_size, format_time, quantity

        backup_target = session.backup_target(place)
        manifests = [read_manifest(backup_target, backup_id) for backup_id in backup_ids(backup_target)]
        lines = [
            f"{one.id}  {format_time(one.snapshot_at)}  {quantity(one.counts['rows'], 'row')}"
            f"  {quantity(one.counts['objects_stored'], 'object')}  {format_size(one.counts['bytes'])}"
            for one in manifests
        ]
        document = {
            "schema": "xcomctl.backups/1",
            "backups": [{k: v for k, v in one.document().items() if k != "parts"} for one in manifests],
        }
        emit_document(document, lines, output)


@app.command("verify")
@with_options
def backup_verify(
    place: BackupPlace,
    connection: ConnectionOptions,
    log_options: LogOptions,
    output: DocumentOutput = DocumentFormat.table,
) -> None:
    """Read all of a backup and compare checksums; exit 4 if anything is missing or is not what was written.

    Examples:

        xcomctl backup verify /backups/xcoms

        xcomctl backup verify s3://safe-bucket/xcoms@20261122T150000Z-1a2b3c4d
    """
    log = log_options.log()
    with Interruption(), connection.open() as session:
        from xcomctl.backup import read_manifest, split_place, verify
        from xcomctl.cli.output.backups import verification_lines

        where, backup_id = split_place(place)
        backup_target = session.backup_target(where)
        with stages(log) as report:
            result = verify(backup_target, read_manifest(backup_target, backup_id), report=report)
        emit_document(result.document(), verification_lines(result, where), output)
    raise typer.Exit(4 if result.findings else 0)


def emit_document(document: dict[str, Any], lines: Iterable[str], output: DocumentFormat) -> None:
    """Write a result to stdout: one JSON document, or lines for people."""
    if output is DocumentFormat.json:
        from xcomctl.cli.output.text import json_safe

        typer.echo(json_safe(json.dumps(document, indent=2, ensure_ascii=False)))
        return
    for line in lines:
        typer.echo(line)
