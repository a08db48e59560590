"""Values to payloads and back. Imports pandas and pyarrow only for a value that is a DataFrame, Airflow never.

JSON is written and read by functions that the caller passes in: Airflow's own in a task, plain JSON elsewhere.
"""

from __future__ import annotations

import io
import json
import sys
from dataclasses import dataclass, field
from typing import Any, Callable

from xcomctl_backend.errors import EncodingError, ReferenceFormatError

SUFFIXES = {"parquet": "parquet", "csv": "csv", "json": "json", "text": "txt", "bytes": "bin"}
"""Codecs of format 1, with the suffix of their objects."""
CONTENT_TYPES = {
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "text": "text/plain; charset=utf-8",
    "bytes": "application/octet-stream",
}


@dataclass(frozen=True)
class Encoded:
    """A value as a payload. `document` is its JSON if the row could hold the value itself, else None."""

    codec: str
    payload: bytes = field(repr=False)
    type_name: str
    document: bytes | None = field(default=None, repr=False)
    index_columns: int = 0


def plain_json(value: object) -> bytes:
    """JSON without Airflow: dict, list, str, numbers, bool, None. Raises TypeError or ValueError for anything else."""
    return json_bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def json_bytes(text: str) -> bytes:
    """UTF-8 of a JSON text. A lone surrogate, which UTF-8 does not have, is written as the escape that JSON has."""
    return text.encode("utf-8", "backslashreplace")


def encode(
    value: object, *, frame_format: str = "parquet", dump_json: Callable[[object], bytes] = plain_json
) -> Encoded:
    """Encode any value. Raises EncodingError, whose message names types and columns and never holds data."""
    name = _type_name(value)
    if _is_frame(value):
        if frame_format == "csv":
            payload, index_columns = _csv(value)
            return Encoded("csv", payload, "pandas.DataFrame", index_columns=index_columns)
        return Encoded("parquet", _parquet(value), "pandas.DataFrame")
    if type(value) is bytes:
        return Encoded("bytes", value, name)
    try:
        document = dump_json(value)
    except TypeError as error:
        raise EncodingError(f"a value of type {name} cannot be stored: {error}") from None
    except (ValueError, AttributeError, RecursionError) as error:
        raise EncodingError(
            f"a value of type {name} cannot be stored: {type(error).__name__} while writing it as JSON"
        ) from None
    if type(value) is str:
        try:
            return Encoded("text", value.encode(), name, document)
        except UnicodeEncodeError:
            return Encoded("json", document, name, document)
    return Encoded("json", document, name, document)


def decode(
    codec: str, payload: bytes, *, index_columns: int = 0, load_json: Callable[[bytes], Any] = json.loads
) -> Any:
    """Decode a payload whose checksum was verified. Raises ReferenceFormatError for a codec of a later release."""
    if codec == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        return pq.ParquetFile(pa.BufferReader(payload)).read().to_pandas()
    if codec == "csv":
        import pandas as pd

        return pd.read_csv(io.BytesIO(payload), index_col=list(range(index_columns)) or None)
    if codec == "json":
        return load_json(payload)
    if codec == "text":
        return payload.decode()
    if codec == "bytes":
        return payload
    raise ReferenceFormatError(
        f"the object is encoded as {codec!r}, which this xcomctl-backend does not know: upgrade it"
    )


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _is_frame(value: object) -> bool:
    # Whoever has a DataFrame has imported pandas. A subclass is not one: its own type would be lost.
    pandas = sys.modules.get("pandas")
    return pandas is not None and type(value) is getattr(pandas, "DataFrame", None)


def _parquet(frame: Any) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise EncodingError(
            "a pandas.DataFrame needs pyarrow: pip install pyarrow, or set [xcomctl_backend] format = csv"
        ) from None
    if not frame.columns.is_unique:
        raise EncodingError(
            "a pandas.DataFrame with two columns of the same name cannot be stored as Parquet"
        )
    try:
        table = pa.Table.from_pandas(frame)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        # The message of the library quotes data, so the column is looked for instead.
        raise EncodingError(
            f"a pandas.DataFrame cannot be stored as Parquet: {_unfit_columns(frame, pa)} mixes types or holds "
            "objects that Parquet does not have"
        ) from None
    sink = io.BytesIO()
    # Version 2.6 is the first that keeps nanoseconds.
    pq.write_table(table, sink, compression="zstd", version="2.6")
    return sink.getvalue()


def _unfit_columns(frame: Any, pa: Any) -> str:
    unfit = []
    for position, name in enumerate(frame.columns):
        try:
            pa.Array.from_pandas(frame.iloc[:, position])
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            unfit.append(f"column {name!r}")
    return ", ".join(unfit) or "its index"


def _csv(frame: Any) -> tuple[bytes, int]:
    import pandas as pd

    index = frame.index
    counted = isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and index.name is None
    text = frame.to_csv(index=not counted)
    return text.encode(), 0 if counted else index.nlevels
