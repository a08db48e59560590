"""`xcomctl undo`: take back what a command did."""

from __future__ import annotations

from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.errors import UsageError


@with_options
def undo(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Bring back the rows and objects that a command deleted."""
    raise UsageError("not built yet")
