"""`xcomctl inventory`: keep both sides, joined and judged, in a file."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputOptions, with_options
from xcomctl.cli.output.columns import Column, machine
from xcomctl.cli.output.formats import document_chunks, write
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.results import require_columns
from xcomctl.cli.scope_options import S3Inventory
from xcomctl.cli.snapshot_files import JudgingOptions, make_inventory, out_file
from xcomctl.units import format_size


@with_options
def inventory(
    connection: ConnectionOptions,
    judging: JudgingOptions,
    resources: ResourceOptions,
    output: OutputOptions,
    log_options: LogOptions,
    out: Annotated[
        Path, out_file("Where it is kept, as a DuckDB database; an inventory that is there is replaced.")
    ],
    inventory: S3Inventory = None,
) -> None:
    """Keep an inventory in a file: every row and every object, joined and judged, for questions in SQL.

    The file has names, sizes and times, and no value of an XCom. Nothing else is changed. xcomctl sql asks it, and so
    does whatever reads DuckDB.

    Examples:

        xcomctl inventory --out inv.duckdb

        xcomctl sql --inventory inv.duckdb "select dag_id, sum(size) from objects group by 1"
    """
    style = output.style()
    require_columns(_COLUMNS, style)
    log = log_options.log()
    with Interruption(), connection.open(resources) as session:
        from xcomctl.inventory.snapshot_file import open_snapshot_file, require_replaceable

        require_replaceable(out)
        make_inventory(out, session, judging, log, s3_inventory=inventory)
        with open_snapshot_file(out, session.resources) as snapshot_file:
            about, totals = snapshot_file.about(), snapshot_file.totals()
    log.note(f"the inventory is in {out}", hint=f"xcomctl sql --inventory {shlex.quote(str(out))} STATEMENT")
    if style.format == "json" and style.columns is None:
        head = {"schema": "xcomctl.inventory/1", "path": str(out), **machine(asdict(about))}
        for chunk in document_chunks(head, "totals", totals):
            sys.stdout.write(chunk)
        return
    write(totals, _COLUMNS, style, sys.stdout)


_COLUMNS: tuple[Column[dict[str, Any]], ...] = (
    Column("what", lambda total: total["what"], "WHAT"),
    Column("state", lambda total: total["state"], "STATE"),
    Column(
        "count", lambda total: total["count"], "COUNT", human=lambda total: f"{total['count']:,}", number=True
    ),
    Column(
        "bytes",
        lambda total: total["bytes"],
        "SIZE",
        human=lambda total: format_size(total["bytes"]),
        number=True,
    ),
)
