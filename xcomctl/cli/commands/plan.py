"""`xcomctl plan`: plans that are saved and read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xcomctl.cli.collect_options import CollectOptions, make_plan
from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputOptions, with_options
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.results import ACTION_COLUMNS, emit_plan, require_columns
from xcomctl.cli.run_plan import introduce, save_plan
from xcomctl.files import require_no_link

app = typer.Typer()


@app.callback(invoke_without_command=True)
@with_options
def plan(
    context: typer.Context,
    connection: ConnectionOptions,
    output: OutputOptions,
    log_options: LogOptions,
    what: CollectOptions,
    resources: ResourceOptions,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Save the plan, for xcomctl apply.", show_default=False),
    ] = None,
) -> None:
    """Plan a collection, as gc does, and save the plan: to be read, and applied within a day. Nothing is deleted.

    Examples:

        xcomctl plan --older-than 30d --out plan.xcp

        xcomctl plan show plan.xcp

        xcomctl apply plan.xcp
    """
    if context.invoked_subcommand is not None:
        return
    style = output.style()
    require_columns(ACTION_COLUMNS, style)
    if out is not None:
        require_no_link(out)
    scope = what.scope()
    log = log_options.log()
    with Interruption(), connection.open(resources) as session:
        made = make_plan(session, scope, log, accepted=what.accept, inventory=what.inventory)
        emit_plan(made, style)
        if out is None:
            log.note("the plan was not saved", hint="add --out plan.xcp")
        else:
            save_plan(made, out, log)


@app.command("show")
@with_options
def plan_show(
    output: OutputOptions,
    log_options: LogOptions,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A saved plan.", show_default=False)],
) -> None:
    """Show a saved plan, if it is as it was written: what would be done, why, and what stands in the way.

    Examples:

        xcomctl plan show plan.xcp

        xcomctl plan show plan.xcp -o ndjson | jq -r 'select(.action == "delete_object") | .uri'
    """
    style = output.style()
    require_columns(ACTION_COLUMNS, style)

    from xcomctl.gc.plan_file import load

    saved = load(file)
    introduce(saved, log_options.log())
    emit_plan(saved, style)
