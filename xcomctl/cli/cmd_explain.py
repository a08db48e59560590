"""`xcomctl explain`: why a row or an object stays or goes."""

from __future__ import annotations

from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.errors import UsageError


@with_options
def explain(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Why a row or an object stays or goes."""
    raise UsageError("not built yet")
