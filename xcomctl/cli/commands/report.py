"""`xcomctl report`: an inventory as a page to look at."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, with_options
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.snapshot_files import JudgingOptions, SnapshotFileOption, out_file, snapshot_file_to_query
from xcomctl.units import format_size


@with_options
def report(
    connection: ConnectionOptions,
    judging: JudgingOptions,
    resources: ResourceOptions,
    log_options: LogOptions,
    out: Annotated[Path, out_file("Where the page is saved; a report that is there is replaced.")],
    inventory: SnapshotFileOption = None,
) -> None:
    """Save a page to look at: what fills the bucket, how it grows, what is broken, and what the policy would free.

    One HTML file that fetches nothing, for a browser, a phone or paper. It has names, sizes and times, and no value of
    an XCom. Nothing else is changed. Needs the extra named report, as its error says where that is missing.

    Examples:

        xcomctl report --older-than 30d --out report.html

        xcomctl report --inventory inv.duckdb --out report.html
    """
    log = log_options.log()
    from xcomctl.inventory.report import (
        read_figures,
        render_page,
        require_libraries,
        require_replaceable,
        save,
    )

    # Before anything is read, which may take long.
    require_libraries()
    out = out.expanduser()
    require_replaceable(out)
    with Interruption(), connection.open(resources) as session, ExitStack() as opened:
        snapshot_file = opened.enter_context(snapshot_file_to_query(inventory, session, judging, log, opened))
        page = render_page(read_figures(snapshot_file))
        save(page, out)
    log.note(f"the report is in {out} ({format_size(len(page.encode()))}); open it in a browser")
