"""CSV in the dialects that people and pandas write, recognised and typed from its first block."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from xcomctl.errors import UnreadableError
from xcomctl.look.codecs.interface import FramePreview, Payload, PreviewOptions, chosen_columns, is_whole
from xcomctl.look.codecs.parts import ColumnParts
from xcomctl.look.codecs.text import WESTERN, decoded, encoding_of

_DELIMITERS = ",;\t|"
_SAMPLE = 200
"""Records that the types of columns are guessed from."""
_SURE_RECORDS = 2
"""Records that must agree where nothing but the content says that it is CSV."""

_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d{0,17})")
_LONG_INTEGER = re.compile(r"[+-]?(?:0|[1-9]\d{0,99})")
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?")
_BOOLEAN = re.compile(r"[Tt]rue|[Ff]alse|TRUE|FALSE")
_TYPES = (
    ("int64", _INTEGER),
    ("integer", _LONG_INTEGER),
    ("double", _NUMBER),
    ("bool", _BOOLEAN),
    ("date", _DATE),
    ("timestamp", _TIMESTAMP),
)
_NUMERIC = ("int64", "integer", "double")
_NAMED_CSV = re.compile(r"(?:^|[._/-])(?:csv|tsv)(?:[._-]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a CSV is written, and its columns."""

    encoding: str
    delimiter: str
    has_header: bool
    names: tuple[str, ...]
    types: tuple[str, ...]
    rows: int | None
    """How many there are, if the first block was all of it."""


class CsvCodec:
    """CSV, with or without a header. One instance per payload: `preview` uses what `sniff` found."""

    name = "csv"

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._shape: _Shape | None = None

    def sniff(self, start: bytes, payload: Payload) -> bool:
        """Whether the first records have one delimiter and as many fields each; a name or hint lets less suffice."""
        hinted = payload.hint == self.name or _NAMED_CSV.search(payload.name) is not None
        self._shape = _shape_of(start, hinted=hinted, complete=is_whole(start, payload))
        return self._shape is not None

    def preview(self, payload: Payload, options: PreviewOptions) -> FramePreview:
        """The first rows, with types as the first block suggests. Raises UnreadableError, UsageError (no such column)."""
        shape = self._shape
        if shape is None:
            raise UnreadableError("the payload is not CSV")
        if shape.encoding == WESTERN:
            self._notes.append("the text is not UTF-8; it is shown as Latin-1, byte by byte")
        if not shape.has_header:
            self._notes.append("the first record looks like data: columns are named by their place")
        places = chosen_columns(shape.names, options)
        records = _records(payload.stream, shape)
        head: list[tuple[Any, ...]] = []
        names = [shape.names[place] for place in places]
        parts = ColumnParts(names, [shape.types[place] for place in places], options)
        ended = True
        for record in records:
            if parts.full and len(head) >= options.head:
                ended = False
                break
            cells = [_cell(record, place, shape.types[place]) for place in places]
            if len(head) < options.head:
                head.append(tuple(cells))
            if not parts.full:
                parts.add(cells)
        parts.flush()
        statistics = parts.statistics
        return FramePreview(
            kind="csv",
            rows=parts.rows if parts.wanted and ended else shape.rows,
            columns=tuple(zip(shape.names, shape.types, strict=True)),
            head=tuple(head),
            head_columns=tuple(names),
            statistics=() if statistics is None else statistics.columns(),
            described=None if statistics is None else parts.rows,
        )


def _shape_of(start: bytes, *, hinted: bool, complete: bool) -> _Shape | None:
    encoding = encoding_of(start)
    text = decoded(start, encoding) if encoding else None
    if encoding is None or not text:
        return None
    best: tuple[int, str, list[list[str]]] | None = None
    for delimiter in _DELIMITERS:
        records = _sample(text, delimiter, complete=complete)
        if records and (width := _width(records, hinted=hinted)) > (best[0] if best else 1):
            best = (width, delimiter, records)
    if best is None:
        records = _sample(text, ",", complete=complete) if hinted else []
        if not records:
            return None
        best = (1, ",", records)
    width, delimiter, records = best
    has_header = _is_header(records[0])
    names = tuple(records[0]) if has_header else tuple(str(place) for place in range(width))
    data = records[1:] if has_header else records
    sample = data[:_SAMPLE]
    types = tuple(
        _type_of([record[place] for record in sample if place < len(record)]) for place in range(len(names))
    )
    return _Shape(encoding, delimiter, has_header, names, types, len(data) if complete else None)


def _sample(text: str, delimiter: str, *, complete: bool) -> list[list[str]]:
    """The records of the first block, without one that the cut went through; none if they are not CSV."""
    records = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if record:
                records.append(record)
    except csv.Error:
        return []
    return records if complete else records[:-1]


def _width(records: list[list[str]], *, hinted: bool) -> int:
    """Fields of each record, 0 if the records do not agree or look like prose."""
    width = len(records[0])
    agreeing = sum(len(record) == width for record in records)
    if hinted:
        return width if agreeing * 2 > len(records) else 0
    prose = any(field.startswith(" ") for field in records[0][1:])
    return width if agreeing == len(records) >= _SURE_RECORDS and not prose else 0


def _is_header(record: list[str]) -> bool:
    """Whether the first record names columns: no field is a number or a time, or they count up from 0 (pandas does that)."""
    named = [field for field in record if field]
    if named and named == [str(place) for place in range(len(named))] and len(named) >= len(record) - 1:
        return len(named) > 1 or len(record) > 1
    return not any(_type_of([field]) in (*_NUMERIC, "date", "timestamp") for field in named)


def _type_of(fields: list[str]) -> str:
    filled = [field for field in fields if field]
    if not filled:
        return "null"
    return next((name for name, form in _TYPES if all(form.fullmatch(field) for field in filled)), "string")


def _records(stream: BinaryIO, shape: _Shape) -> Iterator[list[str]]:
    """The records after the header, read as far as they are asked for. Raises UnreadableError."""
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding=shape.encoding, errors="replace", newline="")
    reader = csv.reader(text, delimiter=shape.delimiter)
    skip = shape.has_header
    try:
        for record in reader:
            if record and not skip:
                yield record
            skip = skip and not record
    except csv.Error as error:
        raise UnreadableError(f"not readable as CSV at line {reader.line_num}: {error}") from error
    finally:
        # The stream belongs to the caller; a wrapper that is collected would close it.
        text.detach()


def _cell(record: list[str], place: int, kind: str) -> Any:
    field = record[place] if place < len(record) else ""
    if not field:
        return None
    if kind in ("int64", "integer") and _LONG_INTEGER.fullmatch(field):
        return int(field)
    if kind == "double" and _NUMBER.fullmatch(field):
        number = float(field)
        # What no double can hold stays as it is written.
        return number if math.isfinite(number) else field
    if kind == "bool" and _BOOLEAN.fullmatch(field):
        return field.lower() == "true"
    return field
