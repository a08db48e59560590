"""`xcomctl sql`: question rows and objects in SQL."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import typer

from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, OutputOptions, with_options
from xcomctl.cli.output.columns import Column
from xcomctl.cli.output.formats import write
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.snapshot_files import JudgingOptions, SnapshotFileOption, snapshot_file_to_query

_Record = tuple[Any, ...]


@with_options
def sql(
    connection: ConnectionOptions,
    judging: JudgingOptions,
    resources: ResourceOptions,
    output: OutputOptions,
    log_options: LogOptions,
    statement: Annotated[
        str | None,
        typer.Argument(metavar="STATEMENT", help="One SELECT; - reads it from stdin.", show_default=False),
    ] = None,
    inventory: SnapshotFileOption = None,
    tables: Annotated[
        bool, typer.Option("--tables", help="List the tables and their columns, and ask nothing.")
    ] = False,
) -> None:
    """Question rows and objects in SQL, the dialect of DuckDB: entries, objects, rows, refs, about.

    The answer has the columns of the statement. Sizes are bytes, times are UTC. A statement reads the inventory and
    reaches nothing else. Keep an inventory (xcomctl inventory) to ask it more than once.

    Examples:

        xcomctl sql --inventory inv.duckdb "select dag_id, sum(size) from objects group by 1 order by 2 desc"

        xcomctl sql --inventory inv.duckdb -o csv - < question.sql

        xcomctl sql --tables
    """
    style = output.style()
    if tables or statement is None:
        write(_documented(), _TABLE_COLUMNS, style, sys.stdout)
        return
    question = sys.stdin.read() if statement == "-" else statement
    log = log_options.log()
    with Interruption(), connection.open(resources) as session, ExitStack() as opened:
        snapshot_file = opened.enter_context(snapshot_file_to_query(inventory, session, judging, log, opened))
        answer = snapshot_file.ask(question)
        columns = [_column(at, name, kind) for at, (name, kind) in enumerate(answer.columns)]
        write(answer.records, columns, style, sys.stdout)


def _column(at: int, name: str, kind: str) -> Column[_Record]:
    number = kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")) or kind.endswith("INT")
    return Column(name, lambda record: plain(record[at]), name, number=number)


def _documented() -> Iterator[dict[str, str]]:
    from xcomctl.inventory.snapshot_file import TABLES

    for table, columns in TABLES.items():
        for column in columns:
            yield {"table": table, "column": column.name, "type": column.type, "meaning": column.meaning}


_TABLE_COLUMNS: tuple[Column[dict[str, str]], ...] = (
    Column("table", lambda one: one["table"], "TABLE"),
    Column("column", lambda one: one["column"], "COLUMN"),
    Column("type", lambda one: one["type"], "TYPE"),
    Column("meaning", lambda one: one["meaning"], "MEANING"),
)


def plain(value: Any) -> Any:
    """A value of DuckDB as a machine value of `output.columns`.

    Numbers that are none become None, bytes hex digits; dates, times of day and UUIDs become text.
    """
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (bytes, bytearray)):
        return value.hex()
    if isinstance(value, datetime):
        return value
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    return value
