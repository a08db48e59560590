"""`xcomctl rm`: remove chosen XComs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.airflow.interface import Selection
from xcomctl.cli.collect_options import Accept, DryRun, MaxRate, TrashKeep, Yes
from xcomctl.cli.interruption import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, NameOptions, OutputOptions, with_options
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.results import ACTION_COLUMNS, require_columns
from xcomctl.cli.run_plan import ApplyOptions, run_plan
from xcomctl.cli.scope_options import parse_keep, require_acceptances
from xcomctl.cli.stages import stages
from xcomctl.errors import NotFoundError, UsageError
from xcomctl.globs import matches

if TYPE_CHECKING:
    from xcomctl.airflow.interface import Source
    from xcomctl.models import Row

_WHICH = "Which rows"


@with_options
def rm(
    connection: ConnectionOptions,
    output: OutputOptions,
    log_options: LogOptions,
    names: NameOptions,
    resources: ResourceOptions,
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REF",
            help="dag/run/task[3]:key (the run may be latest), or an id that ls prints.",
            show_default=False,
        ),
    ] = None,
    active: Annotated[
        bool,
        typer.Option(
            "--active",
            help="Also rows of runs that are not over, as a DAG's last task needs it.",
            rich_help_panel=_WHICH,
        ),
    ] = False,
    accept: Accept = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    trash_keep: TrashKeep = None,
    max_rate: MaxRate = None,
) -> None:
    """Remove chosen XComs: their rows, and the objects that no other row references.

    REFs name them one by one; --dag chooses them by globs, together with --run ('*' for all runs). The plan is shown
    and asked for as in gc, and xcomctl undo brings it back. Nothing else is looked for: orphans are left to gc. With
    --active a DAG can clean up after itself, in its last task or a callback.

    Examples:

        xcomctl rm etl/latest/load:return_value

        xcomctl rm --dag etl --run 'manual__*' --task 'stage_*' --dry-run

        xcomctl rm --dag etl --run "$AIRFLOW_CTX_DAG_RUN_ID" --active --yes
    """
    style = output.style()
    require_columns(ACTION_COLUMNS, style)
    require_acceptances(accept or ())
    selection = _selected(names)
    if (selection is None) == (not refs):
        raise UsageError(
            "rm takes either names of XComs, or --dag and --run", hint="xcomctl rm --dag DAG --run RUN"
        )
    log = log_options.log()
    with Interruption() as interruption, connection.open(resources) as session:
        from xcomctl.gc.removal import Removal, plan_removal
        from xcomctl.inventory.judging import Sides

        removal = Removal(_told(selection, refs or []), active_runs=active)
        if trash_keep is not None:
            removal = replace(removal, trash_keep=parse_keep("--trash-keep", trash_keep))
        with stages(log) as report:
            plan = plan_removal(
                Sides(
                    session.source,
                    session.store if session.roots else None,
                    session.dialects,
                    tuple(session.roots),
                    resources=session.resources,
                    report=report,
                ),
                _chosen(session.source, selection, refs or []),
                removal,
                now=datetime.now(timezone.utc),
                endpoint=session.endpoint,
                accepted=accept or (),
            )
        run_plan(
            plan,
            session,
            ApplyOptions("rm", yes=yes, dry_run=dry_run, max_rate=max_rate),
            style=style,
            log=log,
            interruption=interruption,
        )


def _selected(names: NameOptions) -> Selection | None:
    """What the options choose, of every attempt. None if none of them is given. Raises UsageError."""
    if names == NameOptions():
        return None
    if names.dag is None or names.run is None:
        given = "--dag" if names.dag is not None else "--run, --task and --key"
        raise UsageError(
            f"{given} alone is too much to remove", hint="xcomctl rm --dag DAG --run RUN, or --run '*'"
        )
    return replace(names.selection(), all_attempts=True)


def _chosen(source: Source, selection: Selection | None, refs: list[str]) -> Iterator[Row]:
    """The rows that are meant. Raises NotFoundError for a name that none has, UsageError for a DAG that nobody knows."""
    from xcomctl.airflow.naming import row_named, short_id_in

    for ref in refs:
        short_id = short_id_in(ref)
        row = row_named(ref, source) if short_id is None else source.row_by_short_id(short_id)
        if row is None:
            raise NotFoundError(f"there is no XCom {ref}", hint="xcomctl ls lists XComs with their ids")
        yield row
    if selection is not None:
        glob = selection.dag or ""
        if not any(matches(glob, dag) for dag in source.dag_ids()):
            raise UsageError(f"--dag {glob!r} matches no DAG", hint="xcomctl ls lists XComs with their DAGs")
        yield from source.rows(selection)


def _told(selection: Selection | None, refs: list[str]) -> dict[str, str | list[str] | None]:
    """What was chosen, for the plan."""
    if selection is None:
        return {"refs": refs}
    return {name: getattr(selection, name) for name in ("dag", "run", "task", "key")}
