"""Statistics of columns as a table that fits the terminal, with a sparkline for the spread of numbers and times."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from xcomctl.cli.output.text import visible

_BARS = "▁▂▃▄▅▆▇█"
_GAP = 2
_NAME = 24
_TYPE = 20
_BOUND = 20
"""Characters of a name, a type, and a least or greatest value that are shown."""
_NARROW = 100
"""Columns of a terminal below which values and bars are shorter."""
_DAY = 10
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")
_LEAST_SPREAD = 16
"""Characters of bars or of frequent values for which other columns give way."""
_LISTED = 100
_LAST = "spread"
_COLUMNS = ("nulls", "distinct", "min", "p25", "p50", "p75", "max", "mean")
_DISPENSABLE = ("p75", "p25", "mean", "distinct", "p50", "nulls", "type")
"""What is left out where the terminal is narrow, first to last."""


def statistics_table(
    statistics: Sequence[Mapping[str, Any]], width: int, *, typed: bool = False
) -> tuple[RenderableType, ...]:
    """A line for each column (or path), and a word on those of which only a sample was looked at.

    With `typed` there are also the types, which a frame has listed above.
    """
    names = [*("name", *(("type", "count") if typed else ("count",))), *_COLUMNS]
    listed = statistics[:_LISTED]
    cells = {name: [name, *(_cell(column, name, width) for column in listed)] for name in names}
    # What no column has would only take place.
    cells = {name: column for name, column in cells.items() if any(column[1:])}
    spread = [_LAST, *(_spread(column, width) for column in listed)]
    for name in _DISPENSABLE:
        if _width(cells) + min(max(map(len, spread)), _LEAST_SPREAD) <= width:
            break
        cells.pop(name, None)
    room = max(width - _width(cells), len(_LAST))
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_edge=False)
    for name, column in cells.items():
        numeric = any(_is_number(each.get(name)) for each in listed)
        table.add_column(Text(column[0]), justify="right" if numeric else "left", no_wrap=True)
    table.add_column(Text(_LAST), no_wrap=True)
    for line in range(1, len(listed) + 1):
        table.add_row(
            *(_aligned(column[line], listed[line - 1].get(name)) for name, column in cells.items()),
            Text(_cut(spread[line], max(room, 8))),
        )
    parts: list[RenderableType] = [table]
    if len(listed) < len(statistics):
        parts.append(Text(f"... {len(statistics) - len(listed)} more; -o json has them all"))
    if any(column.get("sampled") for column in statistics):
        most = max(column.get("sampled") or 0 for column in statistics)
        parts.append(
            Text(f"distinct, p25, p50, p75 and spread are of {most} values at random; the rest is of all")
        )
    return tuple(parts)


def sparkline(histogram: Sequence[int]) -> str:
    """Counts as bars of a character each; only the lowest bar may stand for none."""
    most = max(histogram, default=0)
    if not most:
        return ""
    steps = len(_BARS) - 1
    return "".join(_BARS[-(-count * steps // most)] for count in histogram)


def _spread(column: Mapping[str, Any], width: int) -> str:
    """The histogram, or the most frequent values with their share."""
    if bars := column.get("histogram"):
        return sparkline(
            bars if width > _NARROW else [sum(bars[at : at + 2]) for at in range(0, len(bars), 2)]
        )
    looked_at = column.get("sampled") or column["count"]
    return ", ".join(
        f"{_text(each['value'], 16)} {each['count'] / looked_at:.0%}" for each in column.get("top") or ()
    )


def _cell(column: Mapping[str, Any], name: str, width: int) -> str:
    value = column.get(name)
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if name == "distinct" and column.get("sampled"):
        return f"≥{value}"
    if name == "name":
        return _shortened(visible(value), max(_NAME, width // 3))
    if name == "type":
        return _text(value, _TYPE)
    if width <= _NARROW and isinstance(value, str):
        # Of a time, that is the day.
        return _text(value[:_DAY] if _TIME.match(value) else value, _DAY)
    return _text(value, _BOUND)


def _text(value: Any, most: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _cut(visible(text[: most * 2]), most)


def _shortened(text: str, most: int) -> str:
    """The beginning and the end of a name: paths differ in both."""
    if len(text) <= most:
        return text
    end = (most - 3) // 2
    return f"{text[: most - 3 - end]}...{text[-end:]}"


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _width(cells: Mapping[str, Sequence[str]]) -> int:
    return sum(max(Text(cell).cell_len for cell in column) + _GAP for column in cells.values())


def _aligned(cell: str, value: Any) -> Text:
    """Numbers to the right, also where a column has both numbers and texts."""
    return Text(cell, justify="right" if _is_number(value) else "left")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
