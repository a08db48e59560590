"""`xcomctl sql`: question rows and objects in SQL."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from xcomctl.cli.interruption import Interruption
from xcomctl.cli.inventories import JudgingOptions, make_inventory
from xcomctl.cli.options import ConnectionOptions, OutputOptions, TalkOptions, with_options
from xcomctl.cli.resources import ResourceOptions
from xcomctl.errors import UsageError
from xcomctl.render.columns import Column
from xcomctl.render.output import write
from xcomctl.render.sql_values import plain

if TYPE_CHECKING:
    from xcomctl.cli.progress import Talk
    from xcomctl.kept_inventory import KeptInventory
    from xcomctl.wiring import Session

_Record = tuple[Any, ...]


@with_options
def sql(
    connection: ConnectionOptions,
    judging: JudgingOptions,
    resources: ResourceOptions,
    output: OutputOptions,
    talk: TalkOptions,
    statement: Annotated[
        str | None,
        typer.Argument(metavar="STATEMENT", help="One SELECT; - reads it from stdin.", show_default=False),
    ] = None,
    inventory: Annotated[
        str | None,
        typer.Option(
            "--inventory",
            metavar="FILE",
            help="A kept inventory, or the manifest.json of an S3 Inventory. Without it, all is listed now.",
            rich_help_panel="What is looked at",
        ),
    ] = None,
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
    voice = talk.talk()
    with Interruption(), connection.open(resources) as session, ExitStack() as opened:
        kept = opened.enter_context(_inventory(inventory, session, judging, voice, opened))
        answer = kept.ask(question)
        columns = [_column(at, name, kind) for at, (name, kind) in enumerate(answer.columns)]
        write(answer.records, columns, style, sys.stdout)


def _inventory(
    named: str | None, session: Session, judging: JudgingOptions, talk: Talk, opened: ExitStack
) -> KeptInventory:
    """The inventory that is to be asked: the file, or one that is made now, and is gone when `opened` is closed."""
    from xcomctl.kept_inventory import open_kept

    if named is not None and "://" not in named:
        if judging.given:
            raise UsageError(
                "the inventory was judged when it was made: options such as --older-than change nothing now",
                hint="give them to xcomctl inventory, or leave out --inventory",
            )
        return open_kept(Path(named).expanduser(), session.resources)
    folder = opened.enter_context(
        tempfile.TemporaryDirectory(prefix="xcomctl-", dir=session.resources.tmp, ignore_cleanup_errors=True)
    )
    path = Path(folder) / "inventory.duckdb"
    make_inventory(path, session, judging, talk, s3_inventory=named)
    return open_kept(path, session.resources)


def _column(at: int, name: str, kind: str) -> Column[_Record]:
    number = kind.startswith(("DECIMAL", "DOUBLE", "FLOAT")) or kind.endswith("INT")
    return Column(name, lambda record: plain(record[at]), name, number=number)


def _documented() -> Iterator[dict[str, str]]:
    from xcomctl.kept_inventory import TABLES

    for table, columns in TABLES.items():
        for column in columns:
            yield {"table": table, "column": column.name, "type": column.type, "meaning": column.meaning}


_TABLE_COLUMNS: tuple[Column[dict[str, str]], ...] = (
    Column("table", lambda one: one["table"], "TABLE"),
    Column("column", lambda one: one["column"], "COLUMN"),
    Column("type", lambda one: one["type"], "TYPE"),
    Column("meaning", lambda one: one["meaning"], "MEANING"),
)
