"""Payloads as a store would hold them, and what is found in them."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xcomctl.look.codecs.interface import Payload, PreviewOptions
from xcomctl.look.codecs.registry import Examined, examine


def examine_bytes(content: bytes, name: str = "", options: PreviewOptions | None = None) -> Examined:
    """What is found in a payload with this content and, perhaps, this name."""
    return examine(Payload(io.BytesIO(content), len(content), name), options or PreviewOptions())


def parquet_of(table: pa.Table, **options: Any) -> bytes:
    """The table as a Parquet file."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    content: bytes = sink.getvalue().to_pybytes()
    return content
