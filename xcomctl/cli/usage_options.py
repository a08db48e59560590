"""Options of `du`: in which parts rows and objects are added up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from xcomctl.errors import UsageError

if TYPE_CHECKING:
    from xcomctl.cli.output.columns import OutputStyle
    from xcomctl.inventory.usage import Dimension

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
