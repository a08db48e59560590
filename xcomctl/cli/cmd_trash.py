"""`xcomctl trash`: what was moved out of the way."""

from __future__ import annotations

from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.errors import UsageError


@with_options
def trash_ls(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """What is in the trash."""
    raise UsageError("not built yet")


@with_options
def trash_restore(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Put objects back from the trash."""
    raise UsageError("not built yet")


@with_options
def trash_purge(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Delete from the trash for good."""
    raise UsageError("not built yet")
