"""Reading parts of a stored object through a file."""

from __future__ import annotations

import io
import os
import random
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xcomctl.demo.server import SeaweedFS
from xcomctl.errors import StoreError
from xcomctl.models import ObjectAddress
from xcomctl.s3.reader import ObjectReader
from xcomctl.s3.store import S3Settings, S3Store

KIB = 1 << 10


def put(server: SeaweedFS, bucket: str, key: str, body: bytes) -> ObjectAddress:
    """Write an object."""
    with closing(server.client()) as client:
        client.put_object(Bucket=bucket, Key=key, Body=body)
    return ObjectAddress(bucket, key)


def test_it_reads_what_a_file_would(seaweed: SeaweedFS, seaweed_bucket: str) -> None:
    """Any sequence of seeks and reads gives what the same bytes in memory give."""
    content = random.Random(1).randbytes(300 * KIB)  # noqa: S311 - only bytes to read
    address = put(seaweed, seaweed_bucket, "random", content)
    dice = random.Random(2)  # noqa: S311 - only positions
    with closing(S3Store(S3Settings())) as store, ObjectReader(store, address, len(content)) as reader:
        expected = io.BytesIO(content)
        for _ in range(40):
            offset, length = dice.randrange(310 * KIB), dice.choice([0, 1, 100, 70 * KIB, -1])
            assert reader.seek(offset) == expected.seek(offset)
            assert reader.read(length) == expected.read(length)
            assert reader.tell() == expected.tell()
        assert reader.seek(-5, os.SEEK_END) == len(content) - 5
        assert reader.seek(2, os.SEEK_CUR) == len(content) - 3
        assert reader.read() == content[-3:]
        with pytest.raises(ValueError, match="negative"):
            reader.seek(-1)


def test_small_reads_share_a_block(seaweed: SeaweedFS, seaweed_bucket: str) -> None:
    """Reading on fetches blocks that grow; what is not read is not fetched."""
    address = put(seaweed, seaweed_bucket, "large", b"x" * (8 << 20))
    with closing(S3Store(S3Settings())) as store, ObjectReader(store, address, 8 << 20) as reader:
        fetched = [reader.bytes_fetched]
        for _ in range(4):
            reader.read(64 * KIB)
            fetched.append(reader.bytes_fetched)
        reader.seek(5 << 20)
        reader.read(10)
        fetched.append(reader.bytes_fetched)
    assert fetched == [0, 64 * KIB, 192 * KIB, 192 * KIB, 448 * KIB, 512 * KIB]


def test_the_head_of_a_parquet_file_needs_few_bytes(seaweed: SeaweedFS, seaweed_bucket: str) -> None:
    """The footer and one row group of a Parquet file of many are a small part of it."""
    sink = io.BytesIO()
    table = pa.table({"n": pa.array(range(1_000_000), pa.int64())})
    pq.write_table(table, sink, row_group_size=10_000, compression="none", use_dictionary=False)
    address = put(seaweed, seaweed_bucket, "frame.parquet", sink.getvalue())
    with (
        closing(S3Store(S3Settings())) as store,
        ObjectReader(store, address, len(sink.getvalue())) as reader,
    ):
        with pq.ParquetFile(reader) as file:
            first = file.read_row_group(0)
        fetched = reader.bytes_fetched
    assert first.column("n").to_pylist() == list(range(10_000))
    assert fetched < 0.05 * len(sink.getvalue())


def test_an_object_that_shrinks_is_an_error(seaweed: SeaweedFS, seaweed_bucket: str) -> None:
    """Fewer bytes than the object had are an error, never a short payload."""
    address = put(seaweed, seaweed_bucket, "shrunk", b"x" * 10)
    with (
        closing(S3Store(S3Settings())) as store,
        ObjectReader(store, address, 1000) as reader,
        pytest.raises(StoreError, match="changed while it was read"),
    ):
        reader.read()


def test_a_closed_reader_reads_nothing(seaweed: SeaweedFS, seaweed_bucket: str) -> None:
    """Reading after closing is a ValueError, as for any file."""
    reader = ObjectReader(S3Store(S3Settings()), ObjectAddress(seaweed_bucket, "any"), 10)
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.read(1)
