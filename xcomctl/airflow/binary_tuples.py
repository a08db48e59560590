"""The binary format of PostgreSQL's COPY, turned into Arrow column by column: no value becomes a Python object.

A message is one record: the number of fields (2 bytes), then for each its size (4 bytes, -1 for NULL) and its bytes.
The first is preceded by a header, and the last one is no record but the end. The server sends one record per message,
as its protocol says; that is checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from xcomctl.arrow_arrays import binaries, integers
from xcomctl.errors import SourceError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

Kind = Literal["int2", "int4", "int8", "time", "text", "bytes"]

WIDTHS: Mapping[Kind, int] = {"int2": 2, "int4": 4, "int8": 8, "time": 8}
"""Bytes of the kinds that always take the same number."""

_NUMBERS = {2: ">i2", 4: ">i4", 8: ">i8"}

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_END = b"\xff\xff"

_EPOCH_2000 = 946_684_800_000_000
"""Microseconds from 1970 to 2000, whence PostgreSQL counts."""
_INFINITY = 2**63 - 1


class BinaryTuples:
    """Reads the messages of one COPY that gives fields of these names and kinds; those that have a width come first."""

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds
        self._begun = False
        self._ended = False

    def columns(self, messages: list[bytes]) -> dict[str, pa.Array]:
        """The fields of the next records by name: int64, timestamps in UTC microseconds, binary (also texts, unchecked).

        Empty if the messages hold none. Raises SourceError for what is no record of this form, and for a time that is
        infinite.
        """
        records = self._records(messages)
        if not records:
            return {}
        return _Records(binaries(records), self._kinds).columns()

    def close(self) -> None:
        """Make sure that the end came. Raises SourceError."""
        if not self._ended:
            raise SourceError("the database did not end its answer", hint="run the command again")

    def _records(self, messages: list[bytes]) -> list[bytes]:
        if self._ended:
            raise _malformed()
        if not self._begun:
            if messages[0][: len(_HEADER)] != _HEADER:
                raise _malformed()
            self._begun = True
            rest = messages[0][len(_HEADER) :]
            messages = [rest, *messages[1:]] if rest else messages[1:]
        if messages and messages[-1] == _END:
            self._ended = True
            messages = messages[:-1]
        return messages


class _Records:
    """Records side by side in one buffer, read field by field: where one ends, the next begins."""

    def __init__(self, records: pa.Array, kinds: Mapping[str, Kind]) -> None:
        import numpy as np

        _, offsets, self._buffer = records.buffers()
        self._kinds = kinds
        self._rows = len(records)
        self._data = np.frombuffer(self._buffer, np.uint8)
        bounds = np.frombuffer(offsets, np.int32)[: self._rows + 1].astype(np.int64)
        self._starts = bounds[:-1]
        self._ends = bounds[1:]

    def columns(self) -> dict[str, pa.Array]:
        """All fields. Nothing is taken before every size is known to fit: a wrong one would lead out of the buffer."""
        if (self._ends - self._starts < 2 + 4 * len(self._kinds)).any():
            raise _malformed()
        if (self._at(self._starts, ">i2") != len(self._kinds)).any():
            raise _malformed()
        columns, at = self._head()
        places: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        try:
            for field in self._kinds:
                if field not in columns:
                    sizes = self._at(at, ">i4")
                    places[field] = (at + 4, sizes)
                    at = at + 4 + sizes.clip(min=0)
        except IndexError:
            raise _malformed() from None
        if (at != self._ends).any():
            raise _malformed()
        return columns | {field: self._field(field, *place) for field, place in places.items()}

    def _head(self) -> tuple[dict[str, pa.Array], np.ndarray]:
        """The fields of fixed width, at once, and where the next ones begin; none if one of them is NULL somewhere."""
        import numpy as np

        fixed = {field: WIDTHS[kind] for field, kind in self._kinds.items() if kind in WIDTHS}
        parts = [
            part
            for field, width in fixed.items()
            for part in ((f"size of {field}", ">i4"), (field, _NUMBERS[width]))
        ]
        form = np.dtype(parts)
        begin = self._starts + 2
        if not fixed or (begin + form.itemsize > self._ends).any():
            return {}, begin
        heads = self._at(begin, f"V{form.itemsize}").view(form)
        if any((heads[f"size of {field}"] != width).any() for field, width in fixed.items()):
            return {}, begin
        return {
            field: self._numbers(field, heads[field].astype(np.int64), None) for field in fixed
        }, begin + form.itemsize

    def _field(self, field: str, starts: np.ndarray, sizes: np.ndarray) -> pa.Array:
        import numpy as np

        nulls = sizes < 0
        mask = nulls if nulls.any() else None
        width = WIDTHS.get(self._kinds[field])
        if width is None:
            return self._slices(starts, starts + sizes.clip(min=0), mask)
        present = slice(None) if mask is None else ~mask
        if (sizes[present] != width).any():
            raise _malformed()
        values = np.zeros(self._rows, np.int64)
        values[present] = self._at(starts[present], _NUMBERS[width])
        return self._numbers(field, values, mask)

    def _numbers(self, field: str, values: np.ndarray, mask: np.ndarray | None) -> pa.Array:
        import pyarrow as pa

        if self._kinds[field] != "time":
            return integers(values, mask)
        if values.max() == _INFINITY or values.min() == -_INFINITY - 1:
            raise SourceError(
                f"the database holds a {field} that is infinite",
                hint="mend or remove that row; nothing is judged while a row cannot be read",
            )
        return integers(values + _EPOCH_2000, mask).cast(pa.timestamp("us", tz="UTC"))

    def _slices(self, starts: np.ndarray, ends: np.ndarray, mask: np.ndarray | None) -> pa.Array:
        """Bytes from any places. They and what is between them make one array, of which every other value is taken."""
        import numpy as np
        import pyarrow as pa

        offsets = np.empty(2 * self._rows + 1, np.int32)
        offsets[0:-1:2] = starts
        offsets[1::2] = ends
        offsets[-1] = ends[-1]
        parts = pa.Array.from_buffers(
            pa.binary(), 2 * self._rows, [None, pa.py_buffer(offsets), self._buffer]
        )
        return parts.take(integers(np.arange(0, 2 * self._rows, 2), mask))

    def _at(self, places: np.ndarray, form: str) -> np.ndarray:
        """What the buffer holds at these places, as int64 if it is a number. Raises IndexError beyond the end."""
        import numpy as np

        kind = np.dtype(form)
        if len(self._data) < kind.itemsize:
            raise IndexError
        anywhere: Any = np.lib.stride_tricks.as_strided(
            self._data[: kind.itemsize].view(kind),
            shape=(len(self._data) - kind.itemsize + 1,),
            strides=(1,),
        )
        found: np.ndarray = anywhere[places]
        return found if kind.kind == "V" else found.astype(np.int64)


def _malformed() -> SourceError:
    return SourceError(
        "the database answers COPY in a form that is not PostgreSQL's",
        hint="name the database itself in --db, not something in front of it",
    )
