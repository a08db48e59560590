"""`xcomctl rm`: remove chosen XComs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.airflow.interface import Selection
from xcomctl.cli.collect_options import Accept, DryRun, MaxRate, TrashKeep, Yes
from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import (
    WHICH_ROWS,
    ConnectionOptions,
    LogOptions,
    NameOptions,
    OutputOptions,
    RefsArgument,
    dag_glob,
    run_glob,
    with_options,
)
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.results import ACTION_COLUMNS, require_columns
from xcomctl.cli.run_plan import ApplyOptions, run_plan
from xcomctl.cli.scope_options import parse_keep, require_acceptances
from xcomctl.cli.stages import stages
from xcomctl.errors import UsageError
from xcomctl.globs import matches

if TYPE_CHECKING:
    from xcomctl.airflow.interface import Source
    from xcomctl.config.session import Session
    from xcomctl.models import Row
    from xcomctl.progress import Progress


@dataclass(frozen=True, slots=True)
class RemovalNames(NameOptions):
    """Which XComs, by globs on their names: of a DAG only together with its runs."""

    dag: Annotated[str | None, dag_glob("DAG id, or a glob such as 'etl_*'. Needs --run.")] = None
    run: Annotated[str | None, run_glob("Run id, or a glob; '*' for all runs.")] = None


@with_options
def rm(
    connection: ConnectionOptions,
    output: OutputOptions,
    log_options: LogOptions,
    names: RemovalNames,
    resources: ResourceOptions,
    refs: RefsArgument = None,
    active: Annotated[
        bool,
        typer.Option(
            "--active",
            help="Also rows of runs that are not over, as a DAG's last task needs it.",
            rich_help_panel=WHICH_ROWS,
        ),
    ] = False,
    accept: Accept = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    trash_keep: TrashKeep = None,
    max_rate: MaxRate = None,
) -> None:
    """Remove chosen XComs: their rows, and the objects that no other row references.

    REFs name them one by one, an object those whose value it is; --dag chooses them by globs, together with --run ('*'
    for all runs). The plan is shown and asked for as in gc, and xcomctl undo brings it back. Nothing else is looked for:
    orphans are left to gc. With --active a DAG can clean up after itself, in its last task or a callback.

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
            rows = (
                _named(refs or [], session, report)
                if selection is None
                else _chosen(session.source, selection)
            )
            plan = plan_removal(
                Sides(
                    session.source,
                    session.store if session.roots else None,
                    session.dialects,
                    tuple(session.roots),
                    resources=session.resources,
                    report=report,
                ),
                rows,
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


def _selected(names: RemovalNames) -> Selection | None:
    """What the options choose, of every attempt. None if none of them is given. Raises UsageError."""
    if names == RemovalNames():
        return None
    if names.dag is None or names.run is None:
        given = "--dag" if names.dag is not None else "--run, --task and --key"
        raise UsageError(
            f"{given} alone is too much to remove", hint="xcomctl rm --dag DAG --run RUN, or --run '*'"
        )
    return replace(names.selection(), all_attempts=True)


def _named(refs: list[str], session: Session, report: Progress) -> list[Row]:
    """The rows that are named, each once: an object stands for the rows whose value it is.

    Raises NotFoundError, UsageError, SourceError, StoreError.
    """
    from xcomctl.look.refs import row_or_address
    from xcomctl.look.rows_of_object import rows_of_object
    from xcomctl.models import Row

    found: dict[tuple[str, str], Row] = {}
    for ref in refs:
        subject = row_or_address(ref, session)
        rows = (
            [subject]
            if isinstance(subject, Row)
            else rows_of_object(subject, session, resources=session.resources, report=report)
        )
        found |= {(row.table, row.row_key): row for row in rows}
    return list(found.values())


def _chosen(source: Source, selection: Selection) -> Iterator[Row]:
    """The rows that are selected. Raises UsageError for a DAG that nobody knows."""
    if not any(matches(selection.dag, dag) for dag in source.dag_ids()):
        raise UsageError(
            f"--dag {selection.dag!r} matches no DAG", hint="xcomctl ls lists XComs with their DAGs"
        )
    yield from source.rows(selection)


def _told(selection: Selection | None, refs: list[str]) -> dict[str, str | list[str] | None]:
    """What was chosen, for the plan."""
    if selection is None:
        return {"refs": refs}
    return {name: getattr(selection, name) for name in ("dag", "run", "task", "key")}
