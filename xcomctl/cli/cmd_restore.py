"""`xcomctl restore`: put a backup back."""

from __future__ import annotations

from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.errors import UsageError


@with_options
def restore(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Put a backup back."""
    raise UsageError("not built yet")
