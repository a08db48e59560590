"""Arrow's arrays made from Python's values and NumPy's arrays. `pyarrow.array` does more, and imports pandas to do it."""

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


def positions(values: npt.NDArray[Any]) -> pa.Array:
    """An array of int64, as `take` wants it."""
    import numpy as np
    import pyarrow as pa

    content = np.ascontiguousarray(values, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(content)])


def texts(values: Sequence[str | None]) -> pa.Array:
    """An array of large_string, with a null for None. A lone surrogate becomes a question mark."""
    import numpy as np
    import pyarrow as pa

    encoded = [b"" if value is None else value.encode("utf-8", "replace") for value in values]
    ends = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(each) for each in encoded], out=ends[1:])
    present = _bits([value is not None for value in values])
    buffers = [present, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)


def numbers_in(array: pa.Array) -> npt.NDArray[np.float64]:
    """The values of an array of double without nulls."""
    import numpy as np

    content = np.frombuffer(array.buffers()[1], dtype=np.float64)
    return content[array.offset : array.offset + len(array)]


def _bits(values: Sequence[bool] | npt.NDArray[np.bool_]) -> pa.Buffer:
    import numpy as np
    import pyarrow as pa

    return pa.py_buffer(np.packbits(np.asarray(values, dtype=np.bool_), bitorder="little"))
