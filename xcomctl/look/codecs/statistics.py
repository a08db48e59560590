"""Statistics of columns, gathered part by part in bounded memory.

Counts, least, greatest and mean are of all values. Quantiles, distinct and frequent values and the histogram are of a
sample where there are more values than it holds; `sampled` then says how many these are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xcomctl.arrow_arrays import doubles, flags, integers, numbers_in, texts
from xcomctl.look.codecs.arrow_cells import form_of, is_counted
from xcomctl.look.codecs.cells import json_ready

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

SAMPLE = 20_000
"""Values of a column that quantiles and the like are taken from."""
BINS = 16
"""Bars of a histogram, of equal width from the least value to the greatest."""

_TOP = 5
"""Most frequent values that are told."""
_TOLD_APART = 256
"""Characters by which texts are told apart: what is kept of each in the sample."""
_NUMBERS = ("int64", "integer", "double", "number")
"""Types of columns whose values are numbers, where they are not Arrow's."""
_SEED = 20_000
"""The sample is random, and the same whenever the same payload is described."""


class Statistics:
    """Statistics of every column of a table; a `codecs.interface.ColumnTaker`."""

    def __init__(self, names: Sequence[str], types: Sequence[str]) -> None:
        self._columns = [ColumnStatistics(name, kind) for name, kind in zip(names, types, strict=True)]
        self.rows = 0
        """Rows that were taken."""

    def begin(self, names: Sequence[str], types: Sequence[str]) -> None:
        """Nothing to do: the columns are known."""

    def take(self, columns: Sequence[pa.Array]) -> None:
        """Some rows more."""
        self.rows += len(columns[0])
        for statistics, column in zip(self._columns, columns, strict=True):
            statistics.add(column)

    def take_cells(self, place: int, cells: list[Any]) -> None:
        """Values of one column as a CSV has them: see `ColumnStatistics.add_cells`."""
        self._columns[place].add_cells(cells)

    def columns(self) -> tuple[dict[str, Any], ...]:
        """What is known, column by column, as JSON types."""
        return tuple(column.as_dict() for column in self._columns)


class ColumnStatistics:
    """What is known of one column so far."""

    def __init__(self, name: str, kind: str) -> None:
        self.name = name
        self.type = kind
        self._count = 0
        self._nulls = 0
        self._least: Any = None
        self._greatest: Any = None
        self._total: float | None = None
        self._sample: _Sample | None = None

    def add(self, column: pa.Array, bounds: tuple[Any, Any] | None = None) -> None:
        """Take a part of the column into account: an array of one type, with nulls.

        `bounds` are the least and the greatest value of the part, where the array only comes near them.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        kind = column.type
        floating = pa.types.is_float32(kind) or pa.types.is_float64(kind)
        # pandas means "no value" by a NaN as much as by a null.
        present = column.filter(pc.invert(pc.is_nan(column))) if floating else column.drop_null()
        self._count += len(present)
        self._nulls += len(column) - len(present)
        if not len(present) or not _is_ordered(kind):
            return
        form = None
        if is_counted(kind):
            form = form_of(kind)
            present = present.cast(pa.int64())
        if bounds is None:
            found = pc.min_max(present)
            bounds = found["min"].as_py(), found["max"].as_py()
        self._widen(*bounds)
        if pa.types.is_integer(kind) or floating or pa.types.is_decimal(kind):
            numbers = present.cast(pa.float64(), safe=False)
            self._total = (self._total or 0.0) + pc.sum(numbers).as_py()
            present = numbers if pa.types.is_decimal(kind) else present
        self._sample = self._sample or _Sample(form)
        self._sample.add(present)

    def add_cells(self, cells: list[Any]) -> None:
        """Take values as JSON types, of which some may not be of the column's type: those are only counted."""
        filled = [cell for cell in cells if cell is not None]
        bounds = None
        if self.type == "bool":
            chosen = flags([cell for cell in filled if isinstance(cell, bool)])
        elif self.type in _NUMBERS:
            numbers = [cell for cell in filled if type(cell) in (int, float)]
            chosen = doubles([_double(number) for number in numbers])
            if numbers and all(isinstance(number, int) for number in numbers):
                bounds = min(numbers), max(numbers)
        else:
            chosen = texts([cell for cell in filled if isinstance(cell, str)])
        self._nulls += len(cells) - len(filled)
        self._count += len(filled) - len(chosen)
        self.add(chosen, bounds)

    def as_dict(self) -> dict[str, Any]:
        """The statistics as JSON types; null where there is no such thing of the column's type."""
        sample = self._sample
        form = json_ready if sample is None or sample.form is None else sample.form
        mean = self._total / self._count if self._total is not None and self._count else None
        told = {} if sample is None else sample.as_dict()
        return {
            "name": self.name,
            "type": self.type,
            "count": self._count,
            "nulls": self._nulls,
            "min": None if self._least is None else form(self._least),
            "max": None if self._greatest is None else form(self._greatest),
            "mean": json_ready(mean),
            **{name: told.get(name) for name in ("distinct", "p25", "p50", "p75", "histogram", "top")},
            "sampled": told.get("sampled"),
        }

    def _widen(self, least: Any, greatest: Any) -> None:
        if least is not None and (self._least is None or least < self._least):
            self._least = least
        if greatest is not None and (self._greatest is None or greatest > self._greatest):
            self._greatest = greatest


class _Sample:
    """Values chosen at random, each with the same chance, whatever the parts in which they come."""

    def __init__(self, form: Any) -> None:
        self.form = form
        """How a value that counts parts of a second is written; None for all others."""
        self._values: pa.Array | None = None
        self._draws: npt.NDArray[np.float64] | None = None
        self._seen = 0
        self._random: np.random.Generator | None = None

    def add(self, values: pa.Array) -> None:
        """Take values that are not null. Those with the lowest draws stay."""
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        self._seen += len(values)
        if self._random is None:
            self._random = np.random.default_rng(_SEED)
        draws = self._random.random(len(values))
        if self._draws is not None and len(self._draws) == SAMPLE:
            low = draws < self._draws.max()
            values, draws = values.filter(flags(low)), draws[low]
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            values = pc.utf8_slice_codeunits(values, 0, _TOLD_APART)
        if self._values is not None and self._draws is not None:
            values = pa.concat_arrays([self._values, values])
            draws = np.concatenate([self._draws, draws])
        if len(draws) > SAMPLE:
            kept = np.argpartition(draws, SAMPLE)[:SAMPLE]
            values, draws = values.take(integers(kept)), draws[kept]
        self._values, self._draws = values, draws

    def as_dict(self) -> dict[str, Any]:
        """What the sample tells, as JSON types."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._values is None:
            return {}
        kind = self._values.type
        counted = pc.value_counts(self._values)
        told: dict[str, Any] = {
            "distinct": len(counted),
            "sampled": len(self._values) if len(self._values) < self._seen else None,
        }
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
            pairs = sorted(zip(counted.field(1).to_pylist(), counted.field(0).to_pylist(), strict=True))
            pairs.sort(key=lambda pair: -pair[0])
            # Where every value is another one, none is frequent.
            told["top"] = [
                {"value": value, "count": count}
                for count, value in pairs[:_TOP]
                if count > 1 or len(pairs) <= _TOP
            ]
        else:
            told |= self._spread(self._values)
        return told

    def _spread(self, values: pa.Array) -> dict[str, Any]:
        """Quantiles of numbers, and the histogram of numbers and times."""
        import numpy as np
        import pyarrow as pa

        is_number = self.form is None and not pa.types.is_date(values.type)
        if pa.types.is_date32(values.type):
            values = values.cast(pa.int32())
        elif pa.types.is_date64(values.type):
            values = values.cast(pa.int64())
        numbers = numbers_in(values.cast(pa.float64(), safe=False))
        numbers = numbers[np.isfinite(numbers)]
        if not len(numbers):
            return {}
        told: dict[str, Any] = {}
        if is_number:
            quartiles = np.quantile(numbers, [0.25, 0.5, 0.75])
            told |= dict(zip(("p25", "p50", "p75"), map(json_ready, quartiles.tolist()), strict=True))
        low, high = float(numbers.min()), float(numbers.max())
        if np.isfinite(high - low) and high > low:
            told["histogram"] = np.histogram(numbers, bins=BINS, range=(low, high))[0].tolist()
        return told


def _double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _is_ordered(kind: pa.DataType) -> bool:
    import pyarrow as pa

    of = pa.types
    tests = (
        of.is_integer,
        of.is_float32,
        of.is_float64,
        of.is_decimal,
        of.is_string,
        of.is_large_string,
        of.is_date,
        of.is_boolean,
        of.is_timestamp,
        of.is_duration,
        of.is_time64,
    )
    return any(test(kind) for test in tests)
