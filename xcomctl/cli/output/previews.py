"""How a preview looks: tables and folded trees for people, one JSON document for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from xcomctl.cli.output.folding import folded
from xcomctl.cli.output.statistics import statistics_table
from xcomctl.cli.output.text import visible
from xcomctl.look.codecs.cells import json_ready
from xcomctl.look.codecs.interface import (
    BinaryPreview,
    FramePreview,
    PicklePreview,
    Preview,
    TextPreview,
    TreePreview,
)
from xcomctl.look.preview import Shown
from xcomctl.units import format_duration, format_size, format_time

_MAX_CELL = 40
"""Characters of a cell that are shown."""
_MAX_LINE = 2000
_LISTED = 20
"""Strings, columns or references that are listed before the rest is only counted."""
_GAP = 2


def render(shown: Shown, *, head: int, now: datetime, width: int) -> Iterator[RenderableType]:
    """What a person sees, part by part: where it lives, what it is, its beginning. Nothing in it steers a terminal."""
    yield Text(visible(shown.found.ref), style="bold")
    for line in _facts(shown, now):
        yield Text(f"  {visible(line)}")
    for note in shown.notes:
        yield Text(f"  note: {visible(note)}")
    yield Text("")
    yield _body(shown.preview, head, width)
    if shown.found.held:
        yield Text("")
        yield Text(f"references inside: {len(shown.found.held)}")
        for reference in shown.found.held[:_LISTED]:
            uri = reference.addresses[0].uri if reference.addresses else reference.text
            yield Text(f"  {visible(uri)} ({reference.dialect}, {reference.confidence})")


def print_preview(shown: Shown, console: Console, *, head: int, now: datetime) -> None:
    """Write `render` to a console; lines that are longer than it is wide are left to the terminal."""
    for part in render(shown, head=head, now=now, width=console.width):
        console.print(part, soft_wrap=True, highlight=False)


def _facts(shown: Shown, now: datetime) -> Iterator[str]:
    found = shown.found
    if found.object is not None:
        if found.row is not None or found.reference is not None:
            yield f"object   {found.object.address.uri}"
        read = "" if shown.bytes_fetched is None else f", {format_size(shown.bytes_fetched)} read"
        yield f"size     {format_size(found.object.size)}{read}"
        yield f"written  {_when(found.object.last_modified, now)}"
    elif found.row is not None:
        yield f"inline   in table {found.row.table}, id {found.row.short_id}"
        yield f"size     {format_size(found.size)}"
        if found.row.written_at is not None:
            yield f"written  {_when(found.row.written_at, now)}"
    yield f"codec    {' in '.join((shown.codec, *reversed(shown.compression)))}"


def _when(at: datetime, now: datetime) -> str:
    return f"{format_time(at)} ({format_duration(now - at)} ago)"


def _body(preview: Preview, head: int, width: int) -> RenderableType:
    if isinstance(preview, FramePreview):
        return _frame(preview, width)
    if isinstance(preview, TreePreview):
        tree = _lines(folded(preview.value, items=max(head, 1), width=width))
        if not preview.statistics:
            return tree
        return Group(tree, Text(""), *statistics_table(preview.statistics, width, typed=True))
    if isinstance(preview, TextPreview):
        return _lines([*map(_cut_line, preview.text.splitlines()), *(["..."] if preview.truncated else [])])
    if isinstance(preview, PicklePreview):
        return _lines(_pickle(preview))
    return _lines(_binary(preview))


def _lines(lines: Iterator[str] | list[str]) -> Text:
    return Text("\n".join(visible(line) for line in lines))


def _cut_line(line: str) -> str:
    line = line.expandtabs(8)
    return line if len(line) <= _MAX_LINE else f"{line[:_MAX_LINE]}... {len(line)} characters"


def _frame(preview: FramePreview, width: int) -> RenderableType:
    rows = "rows not counted" if preview.rows is None else f"{preview.rows} {_plural('row', preview.rows)}"
    count = len(preview.columns)
    parts: list[RenderableType] = [
        Text(f"{visible(preview.kind)}: {rows} x {count} {_plural('column', count)}"),
        Text(""),
        *_column_lines(preview, width),
    ]
    if preview.head:
        parts += [Text(""), *_table(preview.head_columns, preview.head, width)]
    if preview.statistics:
        parts += [Text("")]
        if preview.described is not None and preview.described != preview.rows:
            parts += [Text(f"statistics of the first {preview.described} rows")]
        parts += statistics_table(preview.statistics, width)
    return Group(*parts)


def _column_lines(preview: FramePreview, width: int) -> list[RenderableType]:
    """The columns with their types, one under the other."""
    listed = preview.columns[: _LISTED * 2]
    longest = max((len(visible(name)) for name, _ in listed), default=0)
    lines = [f"  {_cell(name):<{min(longest, _MAX_CELL)}}  {_cell(kind)}" for name, kind in listed]
    if len(listed) < len(preview.columns):
        lines.append(f"  ... {len(preview.columns) - len(listed)} more columns")
    return [Text("\n".join(lines), no_wrap=True)] if lines else []


def _table(
    names: tuple[str, ...], rows: tuple[tuple[Any, ...], ...], width: int
) -> tuple[RenderableType, ...]:
    """A table of as many columns as fit the width, and a line that names those that do not."""
    columns = [[_cell(name), *(_cell(row[place]) for row in rows)] for place, name in enumerate(names)]
    fitting = 0
    used = 0
    for column in columns:
        used += max(Text(cell).cell_len for cell in column) + _GAP
        if used - _GAP > width and fitting:
            break
        fitting += 1
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_edge=False)
    for place in range(fitting):
        numbers = all(_is_number(row[place]) for row in rows)
        table.add_column(Text(columns[place][0]), justify="right" if numbers else "left", no_wrap=True)
    for line in range(1, len(rows) + 1):
        table.add_row(*(Text(column[line]) for column in columns[:fitting]))
    left = [_cell(name) for name in names[fitting:]]
    if not left:
        return (table,)
    more = ", ".join(left[:_LISTED]) + (", ..." if len(left) > _LISTED else "")
    return (
        table,
        Text(f"... {len(left)} more {_plural('column', len(left))}: {more} (choose with --columns)"),
    )


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = visible(text[: _MAX_CELL * 2])
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 3]}..."


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _pickle(preview: PicklePreview) -> Iterator[str]:
    cut = ", cut short or broken" if preview.truncated else ""
    yield f"pickle, protocol {preview.protocol}{cut}: looked at, not loaded"
    yield ""
    yield "loading it would import" if preview.classes else "loading it would import nothing"
    yield from _listed(preview.classes)
    if preview.strings:
        yield "strings"
        yield from _listed(tuple(json.dumps(text, ensure_ascii=False) for text in preview.strings))
    yield "opcodes"
    yield f"  {', '.join(f'{name} {count}' for name, count in preview.opcodes)}"


def _listed(texts: tuple[str, ...]) -> Iterator[str]:
    for text in texts[:_LISTED]:
        yield f"  {text}"
    if len(texts) > _LISTED:
        yield f"  ... {len(texts) - _LISTED} more"


def _binary(preview: BinaryPreview) -> Iterator[str]:
    """Offsets, hex digits and printable characters, sixteen bytes a line."""
    for place in range(0, len(preview.start), 16):
        part = preview.start[place : place + 16]
        printable = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        yield f"{place:08x}  {part.hex(' '):<47}  {printable}"
    if preview.size is None or preview.size > len(preview.start):
        yield "..."


def to_document(shown: Shown) -> dict[str, Any]:
    """The preview as the document `xcomctl.show/1`: JSON types only, absent is None, sizes in bytes, times RFC 3339."""
    found = shown.found
    row, claim, stored = found.row, found.claim, found.object
    origin = row or claim
    return {
        "schema": "xcomctl.show/1",
        "ref": found.ref,
        "id": row.short_id if row else None,
        "dag_id": origin.dag_id if origin else None,
        "run_id": origin.run_id if origin else None,
        "task_id": origin.task_id if origin else None,
        "map_index": origin.map_index if origin else None,
        "key": origin.key if origin else None,
        "try_number": row.try_number if row else None,
        "written_at": format_time(row.written_at) if row and row.written_at else None,
        "lives": "database" if stored is None else "s3",
        "uri": stored.address.uri if stored else None,
        "dialect": found.reference.dialect if found.reference else claim.dialect if claim else None,
        "last_modified": format_time(stored.last_modified) if stored else None,
        "size": found.size,
        "codec": shown.codec,
        "compression": list(shown.compression) or None,
        "notes": list(shown.notes),
        "references": [
            {
                "text": reference.text,
                "uri": reference.addresses[0].uri if reference.addresses else None,
                "dialect": reference.dialect,
                "confidence": reference.confidence,
            }
            for reference in found.held
        ],
        "preview": preview_document(shown.preview),
    }


def preview_document(preview: Preview) -> dict[str, Any]:
    """The preview itself, by `type`: frame, tree, text, pickle or binary (its first bytes in hex digits)."""
    if isinstance(preview, FramePreview):
        return {
            "type": "frame",
            "kind": preview.kind,
            "rows": preview.rows,
            "columns": [{"name": name, "type": kind} for name, kind in preview.columns],
            "head_columns": list(preview.head_columns),
            "head": [list(row) for row in preview.head],
            "statistics": list(preview.statistics) or None,
            "described": preview.described,
        }
    if isinstance(preview, TreePreview):
        return {
            "type": "tree",
            "value": json_ready(preview.value),
            "statistics": list(preview.statistics) or None,
        }
    if isinstance(preview, TextPreview):
        return {"type": "text", "text": preview.text, "truncated": preview.truncated}
    if isinstance(preview, PicklePreview):
        return {
            "type": "pickle",
            "protocol": preview.protocol,
            "classes": list(preview.classes),
            "strings": list(preview.strings),
            "opcodes": dict(preview.opcodes),
            "truncated": preview.truncated,
        }
    return {"type": "binary", "start": preview.start.hex(), "size": preview.size}
