"""`xcomctl gc`: collect what is expired or orphaned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xcomctl.cli.collect_options import CollectOptions, DryRun, MaxRate, WaitLock, Yes, make_plan, parse_wait
from xcomctl.cli.metrics_recorder import MetricsOption, record_metrics
from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputOptions, with_options
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.results import ACTION_COLUMNS, require_columns
from xcomctl.cli.run_plan import ApplyOptions, run_plan, save_plan
from xcomctl.errors import UsageError
from xcomctl.files import require_no_link


@with_options
def gc(
    connection: ConnectionOptions,
    output: OutputOptions,
    log_options: LogOptions,
    what: CollectOptions,
    resources: ResourceOptions,
    dry_run: DryRun = False,
    yes: Yes = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="With --dry-run: save the plan, for xcomctl apply.",
            rich_help_panel="Consent",
        ),
    ] = None,
    max_rate: MaxRate = None,
    wait_lock: WaitLock = None,
    metrics_file: MetricsOption = None,
) -> None:
    """Collect garbage: expired rows with their objects, and orphaned objects.

    The plan is shown first; on a terminal you are asked, elsewhere nothing is deleted without --yes. Objects that
    a row references are never touched, and both sides are asked again right before each deletion. Objects go to a
    trash first, and xcomctl undo brings back objects and rows.

    Examples:

        xcomctl gc --older-than 30d --dry-run

        xcomctl gc --older-than 30d --yes

        xcomctl gc --dag 'scratch_*' --keep-last 5

        xcomctl gc --policy policy.toml --dry-run --out plan.xcp

        xcomctl gc --older-than 30d --shard 3/8 --yes
    """
    log = log_options.log()
    with record_metrics(metrics_file, "gc", log, acts=True) as record:
        style = output.style()
        require_columns(ACTION_COLUMNS, style)
        if out is not None and not dry_run:
            raise UsageError("--out saves a plan that is not applied at once", hint="add --dry-run")
        if out is not None:
            require_no_link(out)
        scope = what.scope()
        wait = parse_wait(wait_lock, sharded=scope.shard is not None)
        with Interruption() as interruption, connection.open(resources) as session:
            record.about(session.roots, what.shard)
            plan = make_plan(
                session,
                scope,
                log,
                accepted=what.accept,
                inventory=what.inventory,
                weighed=record.wanted,
            )
            record.plan(plan)
            if out is not None:
                save_plan(plan, out, log)
            run_plan(
                plan,
                session,
                ApplyOptions("gc", yes=yes, dry_run=dry_run, max_rate=max_rate, wait_lock=wait),
                style=style,
                log=log,
                interruption=interruption,
                on_outcome=record.outcome,
            )
