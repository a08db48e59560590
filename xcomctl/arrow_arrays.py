"""Arrow's arrays made from Python's values and NumPy's arrays.

`pyarrow.array` and `pyarrow.scalar` do more, and import pandas to do it: a quarter of a second at every start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


def doubles(values: Sequence[float]) -> pa.Array:
    """An array of double."""
    import numpy as np
    import pyarrow as pa

    content = np.array(values, dtype=np.float64)
    return pa.Array.from_buffers(pa.float64(), len(values), [None, pa.py_buffer(content)])


def flags(values: Sequence[bool] | npt.NDArray[np.bool_]) -> pa.Array:
    """An array of bool."""
    import pyarrow as pa

    return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])


def integers(values: npt.NDArray[Any], absent: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """An array of int64, with a null wherever `absent` says so."""
    import numpy as np
    import pyarrow as pa

    content = np.ascontiguousarray(values, dtype=np.int64)
    present = None if absent is None else _bits(~absent)
    return pa.Array.from_buffers(pa.int64(), len(values), [present, pa.py_buffer(content)])


def text(value: str) -> pa.StringScalar:
    """One text, as Arrow's functions take it beside arrays."""
    import numpy as np
    import pyarrow as pa

    encoded = value.encode()
    ends = np.array([0, len(encoded)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(ends), pa.py_buffer(encoded)])[0]


def binaries(values: Sequence[bytes]) -> pa.Array:
    """An array of binary. Raises OverflowError from 2 GiB on."""
    import numpy as np
    import pyarrow as pa

    ends = np.zeros(len(values) + 1, dtype=np.int64)
    np.cumsum([len(each) for each in values], out=ends[1:])
    if ends[-1] > np.iinfo(np.int32).max:
        raise OverflowError(f"{ends[-1]} bytes in one array")
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.binary(), len(values), buffers)


def texts(values: Sequence[str | None]) -> pa.Array:
    """An array of large_string, with a null for None. A lone surrogate becomes a question mark."""
    import numpy as np
    import pyarrow as pa

    present = None
    if None in values:
        present = _bits([value is not None for value in values])
    filled: Sequence[Any] = (
        values if present is None else ["" if value is None else value for value in values]
    )
    content = "".join(filled).encode("utf-8", "replace")
    lengths = list(map(len, filled))
    if sum(lengths) != len(content):
        lengths = [len(value.encode("utf-8", "replace")) for value in filled]
    ends = np.zeros(len(filled) + 1, dtype=np.int64)
    np.cumsum(lengths, out=ends[1:])
    buffers = [present, pa.py_buffer(ends), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.large_string(), len(filled), buffers)


def first(array: pa.BooleanArray, *, wanted: bool) -> int:
    """Position of the first such value; -1 where there is none."""
    import pyarrow.compute as pc

    return int(pc.index(array, flags([wanted])[0]).as_py())


def numbers_in(array: pa.Array) -> npt.NDArray[np.float64]:
    """The values of an array of double without nulls."""
    import numpy as np

    content = np.frombuffer(array.buffers()[1], dtype=np.float64)
    return content[array.offset : array.offset + len(array)]


def _bits(values: Sequence[bool] | npt.NDArray[np.bool_]) -> pa.Buffer:
    import numpy as np
    import pyarrow as pa

    return pa.py_buffer(np.packbits(np.asarray(values, dtype=np.bool_), bitorder="little"))
