"""`xcomctl diff`: what changed from one XCom to another."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.completion import complete_ref
from xcomctl.cli.options import ConnectionOptions, DocumentFormat, LogOptions, RefArgument, with_options
from xcomctl.cli.output.text import json_safe
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.errors import UsageError
from xcomctl.units import format_size

if TYPE_CHECKING:
    from xcomctl.config.session import Session
    from xcomctl.look.difference import Difference
    from xcomctl.look.preview import Found

_PANEL = "What is compared"
_DIFFERENT = 4


@with_options
def diff(
    connection: ConnectionOptions,
    log_options: LogOptions,
    resources: ResourceOptions,
    ref: RefArgument,
    other: Annotated[
        str | None,
        typer.Argument(
            metavar="[NEW]",
            help="With a second one the first is the old side. Without it, REF is compared with the run before.",
            show_default=False,
            autocompletion=complete_ref,
        ),
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="RUN",
            help="Compare with the same XCom of this run, instead of the run before.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="A,B",
            help="Columns, or members of dicts in a list, that say which rows belong together; else their place does.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows", metavar="N", min=1, help="Read no more rows of a table.", rich_help_panel=_PANEL
        ),
    ] = None,
    limit: Annotated[
        int,
        typer.Option(
            "--limit",
            metavar="N",
            min=0,
            help="Changes that are shown, 0 for all. All are counted.",
            rich_help_panel="Output",
        ),
    ] = 20,
    output: Annotated[
        DocumentFormat, typer.Option("-o", "--output", help="Format of the data.", rich_help_panel="Output")
    ] = DocumentFormat.table,
) -> None:
    """Tell what changed from one XCom to another, or since the run before: columns, rows, cells, paths.

    Tables are compared whatever they are stored as, dicts and lists path by path, texts line by line; pickles are looked
    at, never loaded. Exits with 0 if nothing differs, with 4 if something does.

    Examples:

        xcomctl diff etl/latest/load

        xcomctl diff etl/latest/load --on id

        xcomctl diff etl/run_1/load etl/run_2/load -o json
    """
    if other is not None and run is not None:
        raise UsageError("there are three sides: two XComs and --run", hint="leave one of them out")
    keys = tuple(name.strip() for name in (on or "").split(",") if name.strip())
    with connection.open(resources) as session:
        from xcomctl.look.difference import Comparison, compare
        from xcomctl.look.preview import LARGE, find

        if other is not None:
            old, new = find(ref, session), find(other, session)
        else:
            new = find(ref, session)
            old = _counterpart(new, run, session)
        if rows is None and old.size + new.size > LARGE:
            log_options.log().note(
                f"reading {format_size(old.size + new.size)} to compare it; --rows 100000 reads less"
            )
        how = Comparison(on=keys, rows=rows, limit=limit or None)
        difference = compare(old, new, how, session.resources)
    _print(difference, output)
    if not difference.same:
        raise typer.Exit(_DIFFERENT)


def _counterpart(new: Found, run: str | None, session: Session) -> Found:
    """The same XCom in that run, or in the run before."""
    from xcomctl.look.difference import earlier, in_run
    from xcomctl.look.preview import find

    if new.row is None:
        raise UsageError("an object alone has no run before it", hint="name two XComs: xcomctl diff OLD NEW")
    row = earlier(new.row, session.source) if run is None else in_run(new.row, run, session.source)
    return find(row.ref, session)


def _print(difference: Difference, output: DocumentFormat) -> None:
    from xcomctl.cli.output.differences import print_difference, to_document

    if output is DocumentFormat.json:
        text = json.dumps(to_document(difference), ensure_ascii=False, allow_nan=False, indent=2)
        sys.stdout.write(json_safe(text) + "\n")
        return
    from rich.console import Console

    print_difference(difference, Console(file=sys.stdout, highlight=False, markup=False, emoji=False))
