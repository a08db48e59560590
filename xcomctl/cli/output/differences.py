"""How a difference looks: as lines for people, as one document for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from xcomctl.cli.output.text import visible
from xcomctl.look.codecs.cells import json_ready
from xcomctl.look.difference.model import Change, ColumnChange, Difference, DiffSide

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_STYLES = {"added": "green", "removed": "red", "changed": "yellow"}
_MAX_NAME = 60
_MAX_VALUE = 120
_LISTED = 12
"""Columns whose changed cells are counted one by one."""


def print_difference(difference: Difference, console: Console) -> None:
    """Write the lines to a console; those that are longer than it is wide are left to the terminal."""
    for line in _lines(difference):
        console.print(line, soft_wrap=True, highlight=False)


def to_document(difference: Difference) -> dict[str, Any]:
    """The difference as the document `xcomctl.diff/1`; what there is not is null."""
    return {
        "schema": "xcomctl.diff/1",
        "same": difference.same,
        "old": asdict(difference.old),
        "new": asdict(difference.new),
        "columns": [asdict(column) for column in difference.columns],
        "rows": None if difference.rows is None else dict(difference.rows),
        "cells": dict(difference.cells),
        "total": difference.total,
        "changes": [
            {
                "path": each.path,
                "change": each.change,
                "old": json_ready(each.old),
                "new": json_ready(each.new),
            }
            for each in difference.changes
        ],
        "notes": list(difference.notes),
    }


def _lines(difference: Difference) -> Iterator[Text]:
    yield Text(f"--- {visible(difference.old.ref)}{_counted(difference.old)}", style="red")
    yield Text(f"+++ {visible(difference.new.ref)}{_counted(difference.new)}", style="green")
    for note in difference.notes:
        yield Text(f"  note: {visible(note)}")
    if difference.same:
        yield Text("no difference")
        return
    for column in difference.columns:
        yield _column(column)
    if difference.rows is not None:
        rows = ", ".join(f"{count} {name}" for name, count in difference.rows.items() if count)
        yield Text(f"rows   {rows or 'the same'}")
    if difference.cells:
        most = sorted(difference.cells.items(), key=lambda pair: -pair[1])
        counted = ", ".join(f"{visible(name)[:_MAX_NAME]} {count}" for name, count in most[:_LISTED])
        more = f", {len(most) - _LISTED} more columns" if len(most) > _LISTED else ""
        yield Text(f"cells  {sum(difference.cells.values())} changed: {counted}{more}")
    if difference.changes:
        yield Text("")
    for change in difference.changes:
        yield _change(change)
    if len(difference.changes) < difference.total:
        yield Text(f"{difference.total} changes, of which these are the first (--limit 0 shows all)")


def _counted(side: DiffSide) -> str:
    return "" if side.rows is None else f" ({side.rows} {'row' if side.rows == 1 else 'rows'})"


def _column(column: ColumnChange) -> Text:
    kinds = " -> ".join(visible(kind) for kind in (column.old, column.new) if kind is not None)
    text = f"{_SIGNS[column.change]} column {visible(column.name)[:_MAX_NAME]}: {kinds}"
    return Text(text, style=_STYLES[column.change])


def _change(change: Change) -> Text:
    path = visible(change.path[: _MAX_VALUE * 2])
    if change.change == "changed":
        text = f"{path}: {_value(change.old)} -> {_value(change.new)}"
    else:
        value = change.old if change.change == "removed" else change.new
        text = path if value is None else f"{path}: {_value(value)}"
    return Text(f"{_SIGNS[change.change]} {text}", style=_STYLES[change.change])


def _value(value: Any) -> str:
    text = visible(json.dumps(json_ready(value), ensure_ascii=False))
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 3]}..."
