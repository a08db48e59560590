"""`xcomctl backup`: copy XComs to a safe place."""

from __future__ import annotations

import typer

from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.errors import UsageError


@with_options
def backup(context: typer.Context, connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Copy XComs to a safe place."""
    if context.invoked_subcommand is not None:
        return
    raise UsageError("not built yet")


@with_options
def backup_verify(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Check a backup."""
    raise UsageError("not built yet")
