"""`xcomctl du`: where the bytes are."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.cli.metrics_recorder import MetricsOption, record_metrics
from xcomctl.cli.operations import Interruption
from xcomctl.cli.options import ConnectionOptions, LogOptions, NameOptions, OutputOptions, with_options
from xcomctl.cli.output.formats import write
from xcomctl.cli.output.text import visible
from xcomctl.cli.resource_options import ResourceOptions
from xcomctl.cli.results import for_people, require_columns
from xcomctl.cli.scope_options import LOOKED_AT, WrittenOptions
from xcomctl.cli.snapshot_files import JudgingOptions, SnapshotFileOption, snapshot_file_to_query
from xcomctl.errors import UsageError
from xcomctl.units import format_size, quantity

if TYPE_CHECKING:
    from xcomctl.airflow.interface import Selection, TableWeight
    from xcomctl.cli.metrics_recorder import MetricsRecorder
    from xcomctl.cli.output.columns import Column, OutputStyle
    from xcomctl.inventory.snapshot_file import SnapshotFile
    from xcomctl.inventory.usage import Dimension, Growth, UsagePart

_DAGS_RECORDED = 50
"""How many DAGs metrics tell one by one: each is a time series."""


_HOW = "In which parts"
_TOP = 20


@dataclass(frozen=True, slots=True)
class PartOptions:
    """In which parts. None is "not given"."""

    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            metavar="A,B",
            help="dag, task, key, run, month, codec (or type), dialect, state; several with commas.",
            show_default="dag",
            rich_help_panel=_HOW,
        ),
    ] = None
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth",
            metavar="N",
            min=1,
            max=4,
            help="1: by DAG, 2: and task, 3: and key, 4: and run.",
            rich_help_panel=_HOW,
        ),
    ] = None
    top: Annotated[
        int | None,
        typer.Option(
            "--top",
            metavar="N",
            min=0,
            max=1_000_000,
            help="Only the N largest parts, and the others in one; 0 for all.",
            show_default=f"{_TOP} in a table, else all",
            rich_help_panel=_HOW,
        ),
    ] = None
    growth: Annotated[
        bool,
        typer.Option("--growth", help="What came in by day, in the last 30 days.", rich_help_panel=_HOW),
    ] = False
    tables: Annotated[
        bool,
        typer.Option(
            "--tables", help="What the database's tables weigh; nothing else is read.", rich_help_panel=_HOW
        ),
    ] = False

    def dimensions(self) -> tuple[Dimension, ...]:
        """What tells the parts from each other. Raises UsageError where options are wrong or contradict each other."""
        from xcomctl.inventory.usage import DEPTHS, dimensions

        given = {
            "--by": self.by is not None,
            "--depth": self.depth is not None,
            "--growth": self.growth,
            "--tables": self.tables,
        }
        named = [option for option, is_given in given.items() if is_given]
        if self.top is not None and (self.growth or self.tables):
            named.append("--top")
        if len(named) > 1:
            raise UsageError(f"{named[0]} and {named[1]} contradict each other", hint="give one of them")
        if self.by is not None:
            return dimensions([word.strip() for word in self.by.split(",") if word.strip()])
        return dimensions(DEPTHS[: self.depth or 1])

    def most(self, style: OutputStyle) -> int | None:
        """How many parts are told one by one; None for all of them."""
        if self.top is None:
            return _TOP if style.format == "table" else None
        return self.top or None


@with_options
def du(
    connection: ConnectionOptions,
    resources: ResourceOptions,
    output: OutputOptions,
    log_options: LogOptions,
    parts: PartOptions,
    names: NameOptions,
    written: WrittenOptions,
    inventory: SnapshotFileOption = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy",
            metavar="FILE",
            help="A policy file, which says what is expired.",
            rich_help_panel=LOOKED_AT,
        ),
    ] = None,
    metrics_file: MetricsOption = None,
) -> None:
    """Show where the bytes are: rows, objects and sizes by DAG, or by whatever else tells them apart.

    A size is that of the values in rows, references among them, and of the objects in S3. An object is counted once,
    also if several rows reference it; one that none references belongs to the DAG that its own key tells.
    Growth is what was written in the last 30 days and is still there: nothing is taken off for what was deleted, and
    the forecast goes on as if nothing were deleted from now on.

    Examples:

        xcomctl du

        xcomctl du --by dag,task --top 10

        xcomctl du --inventory inv.duckdb --by month -o csv

        xcomctl du --tables
    """
    log = log_options.log()
    with record_metrics(metrics_file, "du", log) as record:
        style = output.style()
        by = parts.dimensions()
        question = _Question(
            by, written.within(names.selection(), datetime.now(timezone.utc)), parts.most(style), style
        )
        with Interruption(), connection.open(resources) as session, ExitStack() as opened:
            if record.wanted and not _is_snapshot_file(inventory):
                record.about(session.roots)
            if parts.tables:
                _require_alone(names, written, inventory, policy)
                weights = session.source.weights()
                record.weights(weights)
                _write_tables(weights, style)
                return
            question.check(growth=parts.growth)
            snapshot_file = snapshot_file_to_query(
                inventory, session, JudgingOptions(policy=policy), log, opened
            )
            opened.enter_context(snapshot_file)
            # A snapshot file is asked where the database is out of reach, too.
            asked = not _is_snapshot_file(inventory) and (record.wanted or for_people(style))
            weights = session.source.weights() if asked else []
            _record(record, snapshot_file, question, weights)
            if parts.growth:
                question.write_growth(snapshot_file)
                return
            total = question.write_parts(snapshot_file)
            if for_people(style):
                question.write_summary(snapshot_file, total, weights)
            if not total.rows and not total.objects:
                log.note("nothing matches")


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of an inventory, and how the answer is to look."""

    by: Sequence[Dimension]
    chosen: Selection
    top: int | None
    style: OutputStyle

    def check(self, *, growth: bool) -> None:
        """Raise UsageError for columns that there are not, before anything is read."""
        from xcomctl.cli.output.usage import DAY_COLUMNS
        from xcomctl.inventory.usage import UsagePart

        if growth:
            require_columns(DAY_COLUMNS, self.style)
        else:
            require_columns(self._columns(UsagePart((), 0, 0, 0, 0)), self.style)

    def growth(self, snapshot_file: SnapshotFile) -> Growth | None:
        """What comes in; None where that cannot be told."""
        from xcomctl.inventory.usage import growth_of

        return None if self.chosen.until is not None else growth_of(snapshot_file, self.chosen)

    def write_growth(self, snapshot_file: SnapshotFile) -> None:
        from xcomctl.cli.output.usage import DAY_COLUMNS
        from xcomctl.inventory.usage import new_bytes

        write(new_bytes(snapshot_file, self.chosen), DAY_COLUMNS, self.style, sys.stdout)

    def write_parts(self, snapshot_file: SnapshotFile) -> UsagePart:
        """Write the parts; the whole, for what else is said of it."""
        from xcomctl.inventory.usage import break_down

        found = break_down(snapshot_file, self.by, self.chosen, top=self.top)
        write(found.parts, self._columns(found.total), self.style, sys.stdout)
        return found.total

    def write_summary(
        self, snapshot_file: SnapshotFile, total: UsagePart, weights: Sequence[TableWeight]
    ) -> None:
        """For people: the sum, where it leads, and, of all of it, what the database's own tables weigh."""
        from xcomctl.airflow.interface import Selection
        from xcomctl.cli.output.usage import growth_line, weight_lines
        from xcomctl.inventory.usage import break_down, dimensions

        lines = [
            f"total: {format_size(total.bytes)} in {quantity(total.rows, 'row')} and {quantity(total.objects, 'object')}"
        ]
        for part in break_down(snapshot_file, dimensions(["state"]), self.chosen).parts:
            if part.place == ("reserved",):
                own = f"{format_size(part.bytes)} in {quantity(part.objects, 'object')}"
                lines.append(f"of it xcomctl's own, trash and journal: {own}")
        growth = self.growth(snapshot_file)
        if growth is not None:
            lines.append(growth_line(growth, total))
        if self.chosen == Selection():
            lines += weight_lines(weights)
        for line in lines:
            sys.stdout.write(visible(line) + "\n")

    def _columns(self, total: UsagePart) -> Sequence[Column[UsagePart]]:
        from xcomctl.cli.output.usage import part_columns

        return part_columns(
            self.by,
            total,
            width=shutil.get_terminal_size().columns,
            blocks=_encodes(sys.stdout.encoding, "█"),
            bars=for_people(self.style),
        )


def _is_snapshot_file(inventory: str | None) -> bool:
    """Whether the option names a file of ours, and not an S3 Inventory."""
    return inventory is not None and "://" not in inventory


def _record(
    record: MetricsRecorder, snapshot_file: SnapshotFile, question: _Question, weights: Sequence[TableWeight]
) -> None:
    if not record.wanted:
        return
    from xcomctl.inventory.usage import break_down, dimensions

    record.about(snapshot_file.about().roots)
    record.weights(weights)
    record.states(list(break_down(snapshot_file, dimensions(["state"]), question.chosen).parts))
    by_dag = break_down(snapshot_file, dimensions(["dag"]), question.chosen, top=_DAGS_RECORDED)
    record.dags(list(by_dag.parts), question.growth(snapshot_file))


def _require_alone(
    names: NameOptions, written: WrittenOptions, inventory: str | None, policy: Path | None
) -> None:
    if names != NameOptions() or written != WrittenOptions() or inventory is not None or policy is not None:
        raise UsageError(
            "--tables weighs the tables as a whole, and now",
            hint="xcomctl du --tables, without --dag, --inventory and the like",
        )


def _write_tables(weights: Sequence[TableWeight], style: OutputStyle) -> None:
    from xcomctl.cli.output.usage import WEIGHT_COLUMNS

    write(weights, WEIGHT_COLUMNS, style, sys.stdout)


def _encodes(encoding: str | None, text: str) -> bool:
    try:
        text.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
