"""Lines of JSON (NDJSON, JSON Lines): a dict a line, shown as a table."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from xcomctl.errors import UnreadableError
from xcomctl.look.codecs.cells import json_ready
from xcomctl.look.codecs.interface import FramePreview, Payload, PreviewOptions, chosen_columns, is_whole
from xcomctl.look.codecs.parts import ColumnParts

_MAX_LINE = 16 << 20
"""Bytes of a line that are parsed."""
_SURE_LINES = 2
"""Lines that must be dicts where nothing but the content says what it is."""
_NAMED = re.compile(r"\.(?:ndjson|jsonl)(?:[._-]|$)", re.IGNORECASE)


class NdjsonCodec:
    """Lines of JSON. One instance per payload: `preview` uses the members and types that `sniff` found."""

    name = "ndjson"

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._columns: dict[str, str] = {}
        self._rows: int | None = None

    def sniff(self, start: bytes, payload: Payload) -> bool:
        """Whether every whole line of the first bytes is a JSON object, and there are at least two unless it is named so."""
        if start.lstrip()[:1] != b"{":
            return False
        whole = is_whole(start, payload)
        lines = [line for line in (start.splitlines() if whole else start.splitlines()[:-1]) if line.strip()]
        least = 1 if payload.hint == self.name or _NAMED.search(payload.name) else _SURE_LINES
        if len(lines) < least:
            return False
        try:
            records = [json.loads(line) for line in lines]
        except (ValueError, RecursionError):
            return False
        if not all(isinstance(record, dict) for record in records):
            return False
        names = dict.fromkeys(name for record in records for name in record)
        self._columns = {name: _type_of([record.get(name) for record in records]) for name in names}
        self._rows = len(records) if whole else None
        return True

    def preview(self, payload: Payload, options: PreviewOptions) -> FramePreview:
        """The first rows, with the members of the first block as columns.

        Raises UnreadableError (a line is no JSON object), UsageError (no such column).
        """
        names = list(self._columns)
        places = chosen_columns(names, options)
        chosen = [names[place] for place in places]
        head: list[tuple[Any, ...]] = []
        parts = ColumnParts(chosen, [self._columns[name] for name in chosen], options)
        late: dict[str, None] = {}
        ended = True
        for record in _records(payload.stream):
            if parts.full and len(head) >= options.head:
                ended = False
                break
            late |= dict.fromkeys(name for name in record if name not in self._columns)
            cells = [json_ready(record.get(name)) for name in chosen]
            if len(head) < options.head:
                head.append(tuple(cells))
            if not parts.full:
                parts.add(cells)
        parts.flush()
        if late:
            self._notes.append(
                f"left out are members that only occur further down: {', '.join(list(late)[:8])}"
            )
        statistics = parts.statistics
        return FramePreview(
            kind="ndjson",
            rows=parts.rows if parts.wanted and ended else self._rows,
            columns=tuple(self._columns.items()),
            head=tuple(head),
            head_columns=tuple(chosen),
            statistics=() if statistics is None else statistics.columns(),
            described=None if statistics is None else parts.rows,
        )


def _records(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """The dicts, read as far as they are asked for. Raises UnreadableError."""
    number = 0
    while line := stream.readline(_MAX_LINE + 1):
        number += 1
        if len(line) > _MAX_LINE:
            raise UnreadableError(f"line {number} is longer than {_MAX_LINE >> 20} MiB")
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(f"line {number} is not JSON") from error
        if not isinstance(record, dict):
            raise UnreadableError(f"line {number} is not a JSON object")
        yield record


def _type_of(values: list[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float} or kinds == {float}:
        return "double"
    single = {int: "int64", bool: "bool", str: "string"}
    return single.get(kinds.pop(), "json") if len(kinds) == 1 else "json" if kinds else "null"
