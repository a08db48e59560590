"""Options that say how much of the machine a verb may take to join rows and objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

_PANEL = "How"


@dataclass(frozen=True, slots=True)
class ResourceOptions:
    """Limits as they are typed; the configuration reads them. None is "not given"."""

    memory: Annotated[
        str | None,
        typer.Option(
            "--memory",
            metavar="SIZE",
            help="Memory for joining rows and objects; what does not fit goes to disk.",
            show_default="1GiB",
            rich_help_panel=_PANEL,
        ),
    ] = None
    threads: Annotated[
        str | None,
        typer.Option(
            "--threads",
            metavar="N",
            help="Threads that join rows and objects.",
            show_default="one per core",
            rich_help_panel=_PANEL,
        ),
    ] = None
    tmp: Annotated[
        str | None,
        typer.Option(
            "--tmp",
            metavar="DIR",
            help="Folder for what does not fit into memory.",
            show_default="the system's",
            rich_help_panel=_PANEL,
        ),
    ] = None
