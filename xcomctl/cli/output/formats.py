"""Items in every format: table, JSON, NDJSON, CSV and template from one list of columns; documents in JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TextIO

from xcomctl.cli.output.columns import Column, OutputStyle, T, choose, machine
from xcomctl.cli.output.text import json_safe, visible


def document_chunks(
    head: Mapping[str, Any], member: str, records: Iterable[Mapping[str, Any]]
) -> Iterator[str]:
    """Pieces of one indented JSON document: the members of `head`, then `member` with a line per record."""
    opening = json.dumps(dict(head), indent=2, ensure_ascii=False)[:-2]
    yield json_safe(f"{opening},\n" if head else "{\n") + f'  "{member}": ['
    separator = "\n    "
    empty = True
    for record in records:
        yield separator + json_safe(json.dumps(dict(record), ensure_ascii=False))
        separator = ",\n    "
        empty = False
    yield "]\n}\n" if empty else "\n  ]\n}\n"


def write(items: Iterable[T], columns: Sequence[Column[T]], style: OutputStyle, stream: TextIO) -> None:
    """Write `items` to `stream`.

    Raises UsageError for an unknown column or a bad template, before the first item is asked for.
    """
    if style.template is not None:
        from xcomctl.cli.output.template import write_template

        write_template(items, columns, style.template, stream)
        return
    chosen = choose(columns, style)
    if style.format == "table":
        from xcomctl.cli.output.table import write_table

        write_table(items, chosen, stream)
        return

    writers = {"json": write_json, "ndjson": write_ndjson, "csv": write_csv}
    writers[style.format](items, chosen, stream)


def to_json(value: Any, *, indent: int | None = None) -> str:
    """A JSON document of a value in JSON types, readable and harmless on a terminal."""
    return json_safe(json.dumps(machine(value), ensure_ascii=False, allow_nan=False, indent=indent))


def write_json(items: Iterable[T], columns: Sequence[Column[T]], stream: TextIO) -> None:
    """One list of objects, one object a line."""
    separator = "["
    for item in items:
        stream.write(f"{separator}\n  {to_json(record_of(item, columns))}")
        separator = ","
    stream.write("[]\n" if separator == "[" else "\n]\n")


def write_ndjson(items: Iterable[T], columns: Sequence[Column[T]], stream: TextIO) -> None:
    """One object a line, each as soon as it is known."""
    for item in items:
        stream.write(to_json(record_of(item, columns)) + "\n")
        stream.flush()


def write_csv(items: Iterable[T], columns: Sequence[Column[T]], stream: TextIO) -> None:
    """CSV as in RFC 4180, with a head: CRLF, quotes doubled, absent values empty, booleans in lower case.

    On a terminal it is for people, and safe to look at as a table is.
    """
    guard = visible if stream.isatty() else str
    # The stream's own translation of line ends would write CR CR LF on some systems, so the rows bring theirs.
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([guard(column.name) for column in columns])
    for item in items:
        writer.writerow([guard(_cell(machine(column.value(item)))) for column in columns])
        stream.flush()


def record_of(item: T, columns: Sequence[Column[T]]) -> dict[str, Any]:
    """An item as a record in JSON types."""
    return {column.name: machine(column.value(item)) for column in columns}


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
