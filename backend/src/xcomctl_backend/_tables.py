"""Frames, tables and arrays as files that any tool can read: Parquet with zstd, CSV, NumPy's own format.

A library is imported only for a value of its own, or to read one.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from xcomctl_backend._classes import class_name
from xcomctl_backend.errors import EncodingError

CODECS = frozenset({"parquet", "parquet-series", "parquet-polars", "parquet-arrow", "npy"})
"""Codecs of this module, each of one type of value."""
_EXACT = frozenset({"string", "bytes", "empty", "date", "decimal"})
"""What a column of Python objects may hold to come back from Parquet as it was, as pandas names it."""
_DICTIONARY_BYTES = 256 << 10
"""So large may a dictionary of a column get: words that repeat fit, and what does not repeat is soon given up."""


class UnfitColumnsError(Exception):
    """A DataFrame with columns that Parquet refuses or would change."""

    def __init__(self, positions: list[int]) -> None:
        super().__init__()
        self.positions = positions
        """Positions of those columns; empty if it is the labels or the index."""


def table_codec(value: object) -> str | None:
    """The codec for a value, None if it is no frame, table or array."""
    # Whoever has such a value has imported its library. A subclass is not one: its own type would be lost.
    kind = type(value)
    for module, name, codec in (
        ("pandas", "DataFrame", "parquet"),
        ("pandas", "Series", "parquet-series"),
        ("polars", "DataFrame", "parquet-polars"),
        ("pyarrow", "Table", "parquet-arrow"),
        ("numpy", "ndarray", "npy"),
    ):
        library = sys.modules.get(module)
        if library is not None and kind is getattr(library, name, None):
            # NumPy writes arrays of objects as pickles.
            return None if codec == "npy" and value.dtype.hasobject else codec  # type: ignore[attr-defined]
    return None


def encode_table(value: Any, codec: str) -> bytes:
    """The file for a value of `codec`. Raises EncodingError, and UnfitColumnsError for pandas' own frames."""
    sink = io.BytesIO()
    if codec == "npy":
        import numpy as np

        np.save(sink, value, allow_pickle=False)
    elif codec == "parquet-polars":
        try:
            value.write_parquet(sink, compression="zstd")
        except Exception as error:
            # Also polars' PanicException, which is all that it says of a column of Python objects.
            raise EncodingError(
                f"it holds a polars.DataFrame that Parquet does not take ({type(error).__name__}): "
                f"columns of types {_names(value.dtypes)}"
            ) from None
    elif codec == "parquet-arrow":
        _write(value, sink)
    elif codec == "parquet-series":
        # Named 0: a Series may be called as a level of its index is. Its own name is in the metadata.
        _write(_named(_arrow_table(value.to_frame(name="0")), value.name), sink)
    else:
        _write(_arrow_table(value), sink)
    return sink.getvalue()


def decode_table(payload: Any, codec: str) -> Any:
    """The value of a file (bytes or a seekable stream) that `encode_table` wrote."""
    if codec == "npy":
        import numpy as np

        return np.load(_stream(payload), allow_pickle=False)
    if codec == "parquet-polars":
        import polars as pl

        return pl.read_parquet(_stream(payload))
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Arrow reads bytes of its own without copying them.
    table = pq.ParquetFile(pa.BufferReader(payload) if isinstance(payload, bytes) else payload).read()
    if codec == "parquet-arrow":
        return table
    frame = table.to_pandas()
    if codec == "parquet":
        return frame
    series = frame["0"]
    name = (table.schema.metadata or {}).get(_SERIES_NAME)
    return series.rename(None if name is None else name.decode())


def _stream(payload: Any) -> Any:
    return io.BytesIO(payload) if isinstance(payload, bytes) else payload


_SERIES_NAME = b"xcomctl-name"


def _named(table: Any, name: object) -> Any:
    if name is None:
        return table
    if type(name) is not str:
        raise EncodingError(f"it holds a pandas.Series whose name is a {class_name(type(name))}, not a str")
    return table.replace_schema_metadata({**(table.schema.metadata or {}), _SERIES_NAME: name})


def encode_csv(frame: Any) -> tuple[bytes, int]:
    """CSV of a pandas.DataFrame, and how many leading columns of it are the index."""
    import pandas as pd

    index = frame.index
    counted = isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None
    text = frame.to_csv(index=not counted)
    return text.encode(), 0 if counted else index.nlevels


def decode_csv(payload: bytes, index_columns: int) -> Any:
    """The DataFrame of a CSV, with what pandas takes the types of its columns for."""
    import pandas as pd

    return pd.read_csv(io.BytesIO(payload), index_col=list(range(index_columns)) or None)


def _write(table: Any, sink: io.BytesIO) -> None:
    import pyarrow.parquet as pq

    # Version 2.6 is the first that keeps nanoseconds. Statistics are for those who skip rows; a pull reads them all.
    pq.write_table(
        table,
        sink,
        compression="zstd",
        version="2.6",
        dictionary_pagesize_limit=_DICTIONARY_BYTES,
        write_statistics=False,
    )


def _arrow_table(frame: Any) -> Any:
    try:
        import pyarrow as pa
    except ImportError:
        raise EncodingError(
            "a pandas.DataFrame needs pyarrow: pip install pyarrow, or set [xcomctl_backend] format = csv"
        ) from None
    if not frame.shape[1] and len(frame):
        raise UnfitColumnsError([])
    if not frame.columns.is_unique or not _kept_labels(frame.columns):
        raise UnfitColumnsError([])
    if not all(_is_exact_index(frame.index.get_level_values(at)) for at in range(frame.index.nlevels)):
        raise UnfitColumnsError([])
    inexact = [at for at in range(frame.shape[1]) if not _is_exact(frame.iloc[:, at])]
    if inexact:
        raise UnfitColumnsError(inexact)
    try:
        return pa.Table.from_pandas(frame)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        raise UnfitColumnsError(_refused(frame, pa)) from None


def _kept_labels(columns: Any) -> bool:
    """Whether Parquet, whose names are text, gives the labels of the columns back: text, or integers, or levels of text."""
    kinds = {type(label) for level in getattr(columns, "levels", [columns]) for label in level.tolist()}
    return kinds <= {str} or (kinds <= {int} and columns.nlevels == 1)


def _is_exact(column: Any) -> bool:
    import pandas as pd

    if column.dtype != object:
        # A category of objects keeps no better than a column of them.
        return (
            not isinstance(column.dtype, pd.CategoricalDtype)
            or column.cat.categories.dtype != object
            or (_is_exact(column.cat.categories.to_series()))
        )
    found = pd.api.types.infer_dtype(column, skipna=True)
    if found == "string" and int(pd.__version__.partition(".")[0]) >= 3:
        # This pandas has a type of its own for text, and reads every column of it as that.
        return False
    return found in _EXACT


def _is_exact_index(level: Any) -> bool:
    import pandas as pd

    return level.dtype != object or pd.api.types.infer_dtype(level, skipna=True) in _EXACT


def _refused(frame: Any, pa: Any) -> list[int]:
    # The message of the library quotes data, so the columns are looked for instead.
    refused = []
    for position in range(frame.shape[1]):
        try:
            pa.Array.from_pandas(frame.iloc[:, position])
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            refused.append(position)
    return refused


def _names(kinds: Any) -> str:
    return ", ".join(sorted({str(kind) for kind in kinds}))
