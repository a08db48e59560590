"""`xcomctl show`: preview one XCom, or write out its bytes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.options import ConnectionOptions, LogOptions, RefArgument, with_options
from xcomctl.cli.output.text import json_safe
from xcomctl.errors import UsageError
from xcomctl.files import require_no_link, written_aside
from xcomctl.look.codecs.interface import FramePreview, PreviewOptions, TreePreview
from xcomctl.look.preview import LARGE, find, preview, stored_bytes
from xcomctl.units import format_size

if TYPE_CHECKING:
    from xcomctl.look.preview import Shown

_PANEL = "How much"


class ShowFormat(str, Enum):
    """Formats of a preview."""

    table = "table"
    json = "json"


@with_options
def show(
    connection: ConnectionOptions,
    log_options: LogOptions,
    ref: RefArgument,
    head: Annotated[
        int, typer.Option("--head", metavar="N", min=0, help="Rows, items or lines.", rich_help_panel=_PANEL)
    ] = 10,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns", metavar="A,B", help="Only these columns of a table.", rich_help_panel=_PANEL
        ),
    ] = None,
    describe: Annotated[
        bool,
        typer.Option(
            "--describe",
            help="Also statistics: of every column, or of every path in a dict or list (reads it all).",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    rows: Annotated[
        int | None,
        typer.Option(
            "--rows", metavar="N", min=1, help="With --describe: read no more rows.", rich_help_panel=_PANEL
        ),
    ] = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the bytes as they are stored.", rich_help_panel="Output")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="With --raw: write to FILE.", rich_help_panel="Output"),
    ] = None,
    output: Annotated[
        ShowFormat, typer.Option("-o", "--output", help="Format of the preview.", rich_help_panel="Output")
    ] = ShowFormat.table,
) -> None:
    """Preview one XCom: a table, a dict, a text, a pickle (never loaded), wherever it lives.

    The codec is found by content, compressions are opened, and only the bytes that are needed are fetched.
    """
    if out is not None and not raw:
        raise UsageError("--out is for --raw", hint="add --raw, or redirect the output")
    if raw and output is not ShowFormat.table:
        raise UsageError("--raw writes bytes, not JSON", hint="give one of --raw and --output")
    if rows is not None and not describe:
        raise UsageError("--rows is for --describe", hint="add --describe, or write --head for what is shown")
    if out is not None:
        require_no_link(out)
    options = PreviewOptions(head=head, columns=_names(columns), describe=describe, rows=rows)
    with connection.open() as session:
        found = find(ref, session)
        if raw:
            _write_bytes(stored_bytes(found), out)
            return
        if describe and rows is None and found.size > LARGE:
            log_options.log().note(
                f"reading {format_size(found.size)} to describe it; --rows 100000 reads less"
            )
        shown = preview(found, options)
    if columns and not isinstance(shown.preview, FramePreview):
        log_options.log().note("--columns is for tables; this is none")
    if describe and not isinstance(shown.preview, (FramePreview, TreePreview)):
        log_options.log().note("--describe is for tables, dicts and lists; this is none")
    _print(shown, output, head)


def _names(columns: str | None) -> tuple[str, ...] | None:
    if columns is None:
        return None
    names = tuple(name.strip() for name in columns.split(",") if name.strip())
    if not names:
        raise UsageError("--columns names no column", hint="write --columns id,amount")
    return names


def _print(shown: Shown, output: ShowFormat, head: int) -> None:
    from xcomctl.cli.output.previews import print_preview, to_document

    if output is ShowFormat.json:
        text = json.dumps(to_document(shown), ensure_ascii=False, allow_nan=False, indent=2)
        sys.stdout.write(json_safe(text) + "\n")
        return
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    print_preview(shown, console, head=head, now=datetime.now(timezone.utc))


def _write_bytes(chunks: Iterator[bytes], out: Path | None) -> None:
    """Write to stdout, or to a file that appears only when it is whole. Raises UsageError if it cannot be written."""
    if out is None:
        sys.stdout.flush()
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    with written_aside(out) as part, part.open("wb") as stream:
        for chunk in chunks:
            stream.write(chunk)
