from __future__ import annotations

import subprocess
import sys
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.backend.golden import FOLDER, VALUES, orders
from xcomctl_backend._codecs import SUFFIXES, decode, encode
from xcomctl_backend.errors import EncodingError, ReferenceFormatError


def _round_trip(value: Any, frame_format: str = "parquet") -> Any:
    encoded = encode(value, frame_format=frame_format)
    return decode(encoded.codec, encoded.payload, index_columns=encoded.index_columns)


@pytest.mark.parametrize("name", sorted(VALUES))
def test_golden_payloads_are_written(name: str) -> None:
    """A value is encoded to the bytes of its golden payload."""
    encoded = encode(VALUES[name], frame_format="csv")
    assert encoded.payload == (FOLDER / name).read_bytes()
    assert SUFFIXES[encoded.codec] == name.rpartition(".")[2]


def test_golden_parquet_is_read() -> None:
    """The golden Parquet payload gives the frame with index, order of columns, categories and time zone."""
    pd.testing.assert_frame_equal(
        decode("parquet", (FOLDER / "payloads/orders.parquet").read_bytes()), orders()
    )


_MULTI_INDEX = pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["letter", "number"])
_PERIODS = pd.period_range("2026-01", periods=3, freq="M")


@pytest.mark.parametrize(
    "frame",
    [
        orders(),
        pd.DataFrame(),
        pd.DataFrame({"a": []}),
        pd.DataFrame({"a": [1, 2, 3]}, index=_MULTI_INDEX),
        pd.DataFrame([[1, 2], [3, 4]], columns=pd.MultiIndex.from_tuples([("x", "a"), ("x", "b")])),
        pd.DataFrame([[1, 2], [3, 4]]),
        pd.DataFrame(
            {"n": pd.array([1, None, 3], dtype="Int64"), "b": pd.array([True, None, False], dtype="boolean")}
        ),
        pd.DataFrame({"p": _PERIODS, "d": pd.to_timedelta([1, 2, 3], unit="h")}),
        pd.DataFrame({"at": pd.to_datetime(["2026-01-01T00:00:00.123456789"])}),
        pd.DataFrame({"raw": [b"\x00\xff", None], "text": ["é", None]}),
        pd.DataFrame({"a": [1.5, float("nan")]}, index=[3, 1]),
    ],
    ids=lambda frame: "-".join(map(str, frame.columns)) or "empty",
)
def test_frames_come_back_equal(frame: pd.DataFrame) -> None:
    """A DataFrame comes back from Parquet with values, dtypes, index and columns unchanged."""
    pd.testing.assert_frame_equal(_round_trip(frame), frame)


def test_parquet_is_compressed_with_zstd() -> None:
    """The pages of the Parquet file are compressed with zstd."""
    import io

    metadata = pq.ParquetFile(io.BytesIO(encode(orders()).payload)).metadata
    assert {metadata.row_group(0).column(index).compression for index in range(metadata.num_columns)} == {
        "ZSTD"
    }


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1, 2, 3], "b": ["x", "é,\n", "z"]}),
        pd.DataFrame({"a": [1, 2, 3]}, index=_MULTI_INDEX),
        pd.DataFrame({"a": [1, 2]}, index=[5, 7]),
        pd.DataFrame({"a": [1, 2]}, index=pd.Index([0, 1], name="line")),
    ],
    ids=["no-index", "two-levels", "unnamed", "named"],
)
def test_csv_keeps_values_and_index(frame: pd.DataFrame) -> None:
    """A DataFrame of plain columns comes back from CSV with its index."""
    pd.testing.assert_frame_equal(_round_trip(frame, "csv"), frame)


@pytest.mark.parametrize(
    ("value", "codec"),
    [
        ("id,name\n1,Zoë\n", "text"),
        ("", "text"),
        ("\ud800 alone", "json"),
        (b"\x00\xff", "bytes"),
        ({"a": [1, 2.5, None, True, {"ü": "\U0001f600"}]}, "json"),
        ({"half": "\ud800"}, "json"),
        ([], "json"),
        (42, "json"),
        (None, "json"),
    ],
)
def test_plain_values_come_back_equal(value: object, codec: str) -> None:
    """Text, bytes and JSON values come back as they were."""
    assert encode(value).codec == codec
    assert _round_trip(value) == value


class _Secret:
    pass


def test_a_value_that_json_does_not_have_is_refused() -> None:
    """What cannot be stored is an error that names the types, and holds nothing of the value."""
    with pytest.raises(
        EncodingError, match="a value of type dict cannot be stored: Object of type _Secret is not JSON"
    ):
        encode({"password": "hunter2", "object": _Secret()})


def test_a_circle_is_refused() -> None:
    """A list that holds itself is an error, not a crash."""
    circle: list[object] = []
    circle.append(circle)
    with pytest.raises(EncodingError, match="a value of type list cannot be stored: ValueError"):
        encode(circle)


def test_a_frame_that_parquet_does_not_take_is_refused() -> None:
    """The error names the column that mixes types, and quotes nothing of its content."""
    frame = pd.DataFrame({"fine": [1, 2], "mixed": [1, "hunter2"]})
    with pytest.raises(EncodingError, match="column 'mixed' mixes types") as caught:
        encode(frame)
    assert "hunter2" not in str(caught.value)


def test_a_frame_with_two_columns_of_one_name_is_refused() -> None:
    """Parquet has no two columns of the same name; the error says so."""
    with pytest.raises(EncodingError, match="two columns of the same name"):
        encode(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_a_subclass_of_frame_is_not_taken_for_one() -> None:
    """A subclass would come back as a plain DataFrame, so it is left to Airflow's serialisation, here to plain JSON."""

    class GeoFrame(pd.DataFrame):
        pass

    with pytest.raises(EncodingError, match=r"a value of type .*GeoFrame cannot be stored"):
        encode(GeoFrame({"a": [1]}))


def test_an_unknown_codec_asks_for_an_upgrade() -> None:
    """A payload of a codec of a later release is an error that says what to do."""
    with pytest.raises(
        ReferenceFormatError, match="encoded as 'arrow', which this xcomctl-backend does not know"
    ):
        decode("arrow", b"")


def test_codecs_need_neither_airflow_nor_pandas() -> None:
    """The codecs write and read text, bytes and JSON where Airflow and pandas are not even installed."""
    program = (
        "import sys\n"
        "for name in ('airflow', 'pandas', 'pyarrow', 'boto3', 'botocore'):\n"
        "    sys.modules[name] = None\n"
        "import xcomctl_backend\n"
        "from xcomctl_backend import _exchange, _settings\n"
        "from xcomctl_backend._codecs import decode, encode\n"
        "for value in ({'a': [1]}, 'text', b'bytes'):\n"
        "    encoded = encode(value)\n"
        "    assert decode(encoded.codec, encoded.payload) == value\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("done\n", "")
