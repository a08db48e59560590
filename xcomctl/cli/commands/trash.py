"""`xcomctl trash`: what collections moved out of the way."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.operations import Interruption, begin_operation, consent
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputFormat, OutputOptions, with_options
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.stages import stages
from xcomctl.cli.verbs import help_if_no_verb
from xcomctl.errors import NotFoundError, PartialError, UsageError
from xcomctl.globs import matches
from xcomctl.models import ObjectAddress, Root, outermost
from xcomctl.units import format_duration, format_size, parse_duration, quantity

if TYPE_CHECKING:
    from xcomctl.config.session import Session
    from xcomctl.gc.apply import Outcome
    from xcomctl.s3.interface import Store
    from xcomctl.state.trash.entries import TrashEntry

_AT_ONCE = 1000

Format = Annotated[
    OutputFormat, typer.Option("-o", "--output", help="table or json.", rich_help_panel="Output")
]


app = typer.Typer(
    help="What collections moved out of the way.", callback=help_if_no_verb, invoke_without_command=True
)


@app.command("ls")
@with_options
def trash_ls(connection: ConnectionOptions, output: OutputOptions, log_options: LogOptions) -> None:
    """List what is in the trash: whose place it left, when, by which operation, and when it is purged.

    The last column counts 14 days, which is what collections keep unless told otherwise.

    Examples:

        xcomctl trash ls

        xcomctl trash ls -o json
    """
    from xcomctl.cli.output.formats import write
    from xcomctl.cli.output.outcomes import trash_columns
    from xcomctl.state.trash.entries import DEFAULT_TRASH_KEEP

    style = output.style()
    log = log_options.log()
    with connection.open() as session:
        roots = _roots(session)
        write(_contents(session.store, roots), trash_columns(DEFAULT_TRASH_KEEP), style, sys.stdout)
        log.detail(f"looked at {', '.join(root.uri for root in roots)}")


@app.command("restore")
@with_options
def trash_restore(
    connection: ConnectionOptions,
    log_options: LogOptions,
    uris: Annotated[
        list[str] | None,
        typer.Argument(metavar="URI", help="Objects, by the place that they left.", show_default=False),
    ] = None,
    operation: Annotated[
        str | None, typer.Option("--operation", metavar="ID", help="All that this operation took.")
    ] = None,
    dag: Annotated[str | None, typer.Option("--dag", metavar="GLOB", help="All of these DAGs.")] = None,
    output: Format = OutputFormat.table,
) -> None:
    """Put objects back from the trash, where nothing else has their place. Rows come back by `xcomctl undo`.

    Examples:

        xcomctl trash restore s3://bucket/xcom/etl/r1/load/4b3e6c1e-52f7-4b0e-9d52-6f0e3c1f4a2d

        xcomctl trash restore --operation 20261122T142831Z-1a2b3c4d

        xcomctl trash restore --dag 'etl_*'
    """
    _require_document(output)
    wanted = {ObjectAddress.parse(uri) for uri in uris or ()}
    if not (wanted or operation or dag):
        raise UsageError("restore what?", hint="name URIs, --operation ID or --dag GLOB; xcomctl trash ls")
    log = log_options.log()
    with Interruption() as interruption, connection.open() as session:
        roots = _roots(session)

        from xcomctl.gc.apply import Outcome

        dialects = session.dialects

        def chosen(entry: TrashEntry) -> bool:
            if wanted and entry.original not in wanted:
                return False
            if operation is not None and entry.operation_id != operation:
                return False
            claim = dialects.claim(entry.original.key) if dag is not None else None
            return matches(dag, None if claim is None else claim.dag_id)

        entries = [entry for entry in _contents(session.store, roots) if chosen(entry)]
        missing = wanted - {entry.original for entry in entries}
        if missing or not entries:
            named = f"{min(missing).uri} is" if missing else "what was asked for is"
            raise NotFoundError(f"{named} not in the trash", hint="xcomctl trash ls")
        outcome = Outcome()
        with (
            begin_operation(session, roots, "trash restore") as work,
            stages(log) as progress,
        ):
            report = interruption.between_batches(progress)
            # The newest of several that had one place comes first, and has it then.
            entries.sort(key=lambda entry: entry.discarded_at, reverse=True)
            for start in range(0, len(entries), _AT_ONCE):
                part = entries[start : start + _AT_ONCE]
                outcome.add_recoveries(work.restore(part))
                report("objects restored", len(part))
            work.summary.update(outcome.summary())
        _emit(outcome, work.id, output)
    _require_all(outcome.failed + outcome.objects["occupied"])


@app.command("purge")
@with_options
def trash_purge(
    connection: ConnectionOptions,
    log_options: LogOptions,
    resources: ResourceOptions,
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="D", help="Only what has been there for longer.")
    ] = "14d",
    output: Format = OutputFormat.table,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before deleting.", rich_help_panel="Consent")
    ] = False,
) -> None:
    """Delete from the trash for good. All rows are read before: what one of them references is put back instead.

    Examples:

        xcomctl trash purge --yes

        xcomctl trash purge --older-than 0s
    """
    _require_document(output)
    keep = parse_duration(older_than)
    log = log_options.log()
    with Interruption() as interruption, connection.open(resources) as session:
        limits = session.resources
        roots = _roots(session)
        before = {root.bucket: session.store.now(root.bucket) - keep for root in roots}

        def is_old(entry: TrashEntry) -> bool:
            # The store tells its own time to the second; some products list fractions.
            return entry.discarded_at.replace(microsecond=0) <= before[entry.original.bucket]

        number = size = 0
        for entry in _contents(session.store, roots, is_old):
            number, size = number + 1, size + entry.size
        if not number:
            log.note(f"nothing in the trash is older than {format_duration(keep)}")
            return
        summary = f"{quantity(number, 'object')} ({format_size(size)})"
        if not consent(
            f"Delete {summary} for good?", yes=yes, otherwise=f"nothing was purged: {summary} would go"
        ):
            log.note("nothing was purged")
            return

        from xcomctl.gc.apply import Outcome, RowReading, purge_unreferenced
        from xcomctl.gc.rate_limit import RateLimit

        outcome = Outcome()
        with (
            begin_operation(session, roots, "trash purge") as work,
            stages(log) as progress,
        ):
            try:
                purge_unreferenced(
                    _contents(session.store, roots, is_old),
                    work,
                    RowReading(
                        session.dialects, resources=limits, report=interruption.between_batches(progress)
                    ),
                    outcome=outcome,
                    rate=RateLimit(),
                )
            finally:
                work.summary.update(outcome.summary())
        _emit(outcome, work.id, output)
    occupied = outcome.objects["occupied"]
    if occupied:
        log.note(
            f"the trash keeps {quantity(occupied, 'object')} whose key a row names, with another object in its place"
        )
    _require_all(outcome.failed)


def _roots(session: Session) -> list[Root]:
    roots = outermost(session.roots)
    if not roots:
        raise UsageError("no store is configured, and the trash is in stores", hint="add --store S3_URL")
    return roots


def _contents(
    store: Store, roots: list[Root], wanted: Callable[[TrashEntry], bool] = lambda _: True
) -> Iterator[TrashEntry]:
    from xcomctl.state.trash.contents import contents

    return (entry for entry in contents(store, roots) if wanted(entry))


def _require_document(output: OutputFormat) -> None:
    if output not in (OutputFormat.table, OutputFormat.json):
        raise UsageError(f"-o {output.value} does not suit this verb", hint="-o json, or -o table")


def _emit(outcome: Outcome, operation_id: str, output: OutputFormat) -> None:
    counts = {name: outcome.objects[name] for name in ("restored", "occupied", "purged", "gone", "failed")}
    if output is OutputFormat.json:
        document = {
            "schema": "xcomctl.trash-outcome/1",
            "operation": operation_id,
            "objects": counts,
            "failures": outcome.failures,
        }
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    from rich.console import Console

    from xcomctl.cli.output.outcomes import print_results

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    print_results(console, (counts,), {"failed": outcome.failures})


def _require_all(staying: int) -> None:
    """Raise PartialError if something did not go as it was wanted."""
    if staying:
        raise PartialError(
            f"not all that was asked for: the trash still has {quantity(staying, 'object')} of it",
            hint="xcomctl trash ls shows what",
        )
