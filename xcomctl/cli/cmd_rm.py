"""`xcomctl rm`: remove chosen XComs."""

from __future__ import annotations

from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.errors import UsageError


@with_options
def rm(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Remove chosen XComs, rows and objects."""
    raise UsageError("not built yet")
