"""`xcomctl policy check`: check a policy file."""

from __future__ import annotations

from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.errors import UsageError


@with_options
def policy_check(connection: ConnectionOptions, talk: TalkOptions) -> None:
    """Check a policy file."""
    raise UsageError("not built yet")
