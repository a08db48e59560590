"""Tables for people: fitted to a terminal, whole everywhere else, and safe to look at whatever the data holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from xcomctl.cli.output.columns import Column, Fit, T, machine
from xcomctl.cli.output.text import visible

_BLOCK = 1000
"""The widths of a table are those of its first rows, so that a long one can be written as it comes."""

_GAP = "  "
_NARROWEST = 6
_ABSENT = "-"


def write_table(items: Iterable[T], columns: Sequence[Column[T]], stream: TextIO) -> None:
    """Write a table. On a terminal it is as wide as that at most; elsewhere no value is cut. No items, no head."""
    items = iter(items)
    first = list(islice(items, _BLOCK))
    if not first:
        return
    heads = [visible(column.title or column.name.upper()) for column in columns]
    # Colour, width and NO_COLOR are rich's to find out.
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    brief = False
    widths = _widths(heads, first, columns, brief=False)
    if console.is_terminal and _line_width(widths) > console.width:
        brief = True
        widths = _fitted(_widths(heads, first, columns, brief=True), columns, console.width)
    rows = (_texts(columns, item, brief=brief) for item in chain(first, items))
    coloured = console.color_system is not None and any(column.style for column in columns)
    for number, row in enumerate(chain([heads], rows)):
        cells = list(_cells(row, columns, widths, cut=console.is_terminal))
        if number == 0:
            head = Text(_GAP.join(cells).rstrip(), style="bold")
            console.print(head, no_wrap=True, overflow="ignore", crop=False)
        elif coloured:
            parts = [(cell, column.style or "") for cell, column in zip(cells, columns, strict=True)]
            line = Text(_GAP).join(Text(*part) for part in parts)
            line.rstrip()
            console.print(line, no_wrap=True, overflow="ignore", crop=False)
        else:
            stream.write(_GAP.join(cells).rstrip() + "\n")


def _texts(columns: Sequence[Column[T]], item: T, *, brief: bool) -> list[str]:
    return [_text(column, item, brief=brief) for column in columns]


def _text(column: Column[T], item: T, *, brief: bool) -> str:
    human = (column.brief if brief else None) or column.human
    if human is not None:
        return visible(human(item)) or _ABSENT
    value = machine(column.value(item))
    if value is None or value == "":
        return _ABSENT
    return visible(str(value))


def _widths(
    heads: Sequence[str], items: Sequence[T], columns: Sequence[Column[T]], *, brief: bool
) -> list[int]:
    rows = [heads, *(_texts(columns, item, brief=brief) for item in items)]
    return [max(cell_len(row[at]) for row in rows) for at in range(len(columns))]


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _fitted(widths: Sequence[int], columns: Sequence[Column[T]], width: int) -> list[int]:
    """Widths whose sum is at most `width`, if cutting can do that: the widest that may be cut is cut first."""
    fitted = list(widths)
    excess = _line_width(fitted) - width
    elastic = [at for at, column in enumerate(columns) if column.fit is not Fit.whole]
    while excess > 0:
        widest = max(elastic, key=lambda at: fitted[at], default=None)
        if widest is None or fitted[widest] <= _NARROWEST:
            break
        fitted[widest] -= 1
        excess -= 1
    return fitted


def _cells(
    row: Sequence[str], columns: Sequence[Column[T]], widths: Sequence[int], *, cut: bool
) -> Iterator[str]:
    for text, column, width in zip(row, columns, widths, strict=True):
        shown = _cut(text, width, column.fit) if cut and column.fit is not Fit.whole else text
        padding = " " * max(0, width - cell_len(shown))
        yield padding + shown if column.number else shown + padding


def _cut(text: str, width: int, fit: Fit) -> str:
    if cell_len(text) <= width:
        return text
    tail = (width - 1) // 2 if fit is Fit.middle else 0
    end = text[len(text) - tail :] if tail else ""
    return set_cell_size(text, max(0, width - 1 - cell_len(end))).rstrip() + "…" + end
