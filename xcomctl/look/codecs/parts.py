"""Records of Python's values as Arrow's columns, part by part: what CSV and lines of JSON have in common."""

from __future__ import annotations

import json
from typing import Any

from xcomctl.arrow_arrays import texts
from xcomctl.look.codecs.interface import PreviewOptions
from xcomctl.look.codecs.statistics import Statistics

_PART = 8192
"""Records that are handed on together."""


class ColumnParts:
    """Records handed on to statistics and to a sink, if there is one, as columns and so many at a time."""

    def __init__(self, names: list[str], types: list[str], options: PreviewOptions) -> None:
        self.statistics = Statistics(names, types) if options.describe else None
        self._sink = options.sink
        self._limit = options.rows
        self._records: list[list[Any]] = []
        self.rows = 0
        self.wanted = self.statistics is not None or self._sink is not None
        for taker in (self.statistics, self._sink):
            if taker is not None:
                taker.begin(names, types)

    @property
    def full(self) -> bool:
        """Whether it takes no more."""
        return not self.wanted or self.rows == self._limit

    def add(self, cells: list[Any]) -> None:
        """Take a record."""
        self._records.append(cells)
        self.rows += 1
        if len(self._records) == _PART:
            self.flush()

    def flush(self) -> None:
        """Hand on what was taken."""
        if not self._records or not self.wanted:
            return
        columns = [list(column) for column in zip(*self._records, strict=True)]
        self._records = []
        if self.statistics is not None:
            for place, column in enumerate(columns):
                self.statistics.take_cells(place, column)
        if self._sink is not None:
            # A column of numbers may hold something else further down: as text they are all of one type.
            self._sink.take([texts([_as_text(cell) for cell in column]) for column in columns])


def _as_text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    return json.dumps(cell, ensure_ascii=False)
