"""`xcomctl apply`: execute a saved plan."""

from __future__ import annotations

from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.errors import UsageError


@with_options
def apply(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Execute a saved plan."""
    raise UsageError("not built yet")
