"""`xcomctl log`: what was done."""

from __future__ import annotations

from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.errors import UsageError


@with_options
def log(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """What was done, newest first."""
    raise UsageError("not built yet")
