"""`xcomctl plan`: plans that are saved and read."""

from __future__ import annotations

import typer

from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.errors import UsageError


@with_options
def plan(context: typer.Context, connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Plan a collection and save the plan."""
    if context.invoked_subcommand is not None:
        return
    raise UsageError("not built yet")


@with_options
def plan_show(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Show a saved plan."""
    raise UsageError("not built yet")
