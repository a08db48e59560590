"""`xcomctl ls`: list XComs with size, type and where they live."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.options import (
    WHICH_ROWS,
    ConnectionOptions,
    LogOptions,
    OutputOptions,
    SelectionOptions,
    with_options,
)
from xcomctl.cli.output import formats as data
from xcomctl.cli.output.entries import entry_columns
from xcomctl.cli.scope_options import WrittenOptions
from xcomctl.look.listing import Listing, ListQuery
from xcomctl.units import parse_size

if TYPE_CHECKING:
    from xcomctl.cli.stderr import StderrLog


class Sort(str, Enum):
    """Orders of the listing."""

    age = "age"
    size = "size"
    dag = "dag"
    run = "run"
    task = "task"
    key = "key"


@with_options
def ls(
    connection: ConnectionOptions,
    selection: SelectionOptions,
    output: OutputOptions,
    log_options: LogOptions,
    written: WrittenOptions,
    min_size: Annotated[
        str | None,
        typer.Option("--min-size", metavar="SIZE", help="At least, as in 10MB.", rich_help_panel=WHICH_ROWS),
    ] = None,
    all_attempts: Annotated[
        bool,
        typer.Option(
            "--all-attempts", help="Also of earlier tries (Airflow 3.4).", rich_help_panel=WHICH_ROWS
        ),
    ] = False,
    sort: Annotated[
        Sort,
        typer.Option(
            "--sort", help="Newest or largest first, names from a to z.", rich_help_panel=WHICH_ROWS
        ),
    ] = Sort.age,
    limit: Annotated[
        int,
        typer.Option("--limit", min=0, help="At most so many rows; 0 for all.", rich_help_panel=WHICH_ROWS),
    ] = 50,
    no_stat: Annotated[
        bool, typer.Option("--no-stat", help="Never ask S3; unknown sizes stay empty.")
    ] = False,
) -> None:
    """List XComs, newest first: size, type, and whether they live in the database or in S3.

    TIME is 2026-11-01, 2026-11-01T06:00:00Z, or 7d for seven days ago.
    """
    now = datetime.now(timezone.utc)
    log = log_options.log()
    style = output.style()
    query = ListQuery(
        selection=replace(written.within(selection.selection(), now), all_attempts=all_attempts),
        sort=sort.value,
        limit=limit or None,
        min_size=None if min_size is None else parse_size(min_size),
    )
    with connection.open() as session:
        # The store is made when the first object is asked for: a listing without references needs no botocore.
        stat_many = None if no_stat else lambda addresses: session.store.stat_many(addresses)
        listing = Listing(session.source, session.dialects, session.roots, query, stat_many)
        log.detail(f"database: {session.source.info().label}")
        with closing(iter(listing)) as entries:
            data.write(entries, entry_columns(now), style, sys.stdout)
    _explain(listing, log)


def _explain(listing: Listing, log: StderrLog) -> None:
    """Say what the listing does not show."""
    if listing.count == 0:
        log.note("no XCom matches")
    if listing.cut:
        log.note(
            f"there are more than the {listing.count} shown", hint="--limit 0 for all, or narrow it down"
        )
    if listing.left_out:
        log.note(f"{listing.left_out} are left out because their size is unknown")
    if listing.unresolved:
        log.note(
            f"{listing.unresolved} references do not say in which bucket they are",
            hint="--store s3://bucket/prefix",
        )
    for problem in listing.problems:
        log.note(f"sizes are incomplete: {problem.cause}", hint=problem.hint)
