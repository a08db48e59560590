"""`xcomctl apply`: execute a saved plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from xcomctl.cli.collect_options import Accept, MaxRate, WaitLock, Yes, parse_wait
from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputOptions, with_options
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.results import ACTION_COLUMNS, require_columns
from xcomctl.cli.run_plan import ApplyOptions, introduce, run_plan
from xcomctl.cli.scope_options import require_acceptances


@with_options
def apply(
    connection: ConnectionOptions,
    output: OutputOptions,
    log_options: LogOptions,
    resources: ResourceOptions,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A saved plan.", show_default=False)],
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="Refuse a plan that was made with another policy file than this one; needed where it makes backups.",
            rich_help_panel="Consent",
        ),
    ] = None,
    accept: Accept = None,
    yes: Yes = False,
    max_rate: MaxRate = None,
    wait_lock: WaitLock = None,
) -> None:
    """Execute a saved plan: just its actions, as far as what they are about is still as it was seen.

    A plan that was edited, is older than a day, was made for another database or other stores, or names objects that
    are not this command's to touch is refused (exit 5). What changed since is skipped and counted. A plan can be
    applied again: that ends in the same state.

    Examples:

        xcomctl apply plan.xcp

        xcomctl apply plan.xcp --yes --policy policy.toml
    """
    style = output.style()
    require_columns(ACTION_COLUMNS, style)
    require_acceptances(accept or ())
    wait = parse_wait(wait_lock)
    log = log_options.log()

    from xcomctl.gc.found_plan import require_own_plan
    from xcomctl.gc.freshness import require_fresh
    from xcomctl.gc.plan_file import load
    from xcomctl.policy.file import load_policy

    rules = None if policy is None else load_policy(policy)
    with Interruption() as interruption, connection.open(resources) as session:
        saved = load(file, session.resources.tmp)
        introduce(saved, log)
        require_own_plan(
            saved,
            roots=session.roots,
            tables=session.source.info().tables,
            dialects=session.dialects,
            backup_to=None if rules is None else rules.backup_to,
        )
        fresh = require_fresh(
            saved,
            session.source,
            session.store if saved.scope["roots"] else None,
            roots=session.roots,
            endpoint=session.endpoint,
            policy_digest=None if rules is None else rules.digest,
            accepted=accept or (),
        )
        run_plan(
            fresh,
            session,
            ApplyOptions("apply", yes=yes, max_rate=max_rate, wait_lock=wait),
            style=style,
            log=log,
            interruption=interruption,
        )
