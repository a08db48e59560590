"""`xcomctl report`: an inventory as a page to look at."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from xcomctl.cli.interruption import Interruption
from xcomctl.cli.inventories import InventoryToAsk, JudgingOptions, inventory_to_ask
from xcomctl.cli.options import ConnectionOptions, TalkOptions, with_options
from xcomctl.cli.resources import ResourceOptions
from xcomctl.units import format_size


@with_options
def report(
    connection: ConnectionOptions,
    judging: JudgingOptions,
    resources: ResourceOptions,
    talk: TalkOptions,
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Where the page is saved; a report that is there is replaced.",
            show_default=False,
        ),
    ],
    inventory: InventoryToAsk = None,
) -> None:
    """Save a page to look at: what fills the bucket, how it grows, what is broken, and what the policy would free.

    One HTML file that fetches nothing, for a browser, a phone or paper. It has names, sizes and times, and no value of
    an XCom. Nothing else is changed. Needs the extra named report, as its error says where that is missing.

    Examples:

        xcomctl report --older-than 30d --out report.html

        xcomctl report --inventory inv.duckdb --out report.html
    """
    voice = talk.talk()
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
        kept = opened.enter_context(inventory_to_ask(inventory, session, judging, voice, opened))
        page = render_page(read_figures(kept))
        save(page, out)
    voice.note(f"the report is in {out} ({format_size(len(page.encode()))}); open it in a browser")
