from __future__ import annotations

import io
import subprocess
import sys
from collections import namedtuple
from contextlib import closing
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.backend.golden import FOLDER, TABLES, VALUES, golden_cases, orders
from tests.backend.samples import Colour, same
from xcomctl_backend._codecs import SUFFIXES, Serialisation, decode, decode_tree, encode
from xcomctl_backend.errors import EncodingError, ReferenceFormatError


def _round_trip(value: Any, frame_format: str = "parquet", compression: str = "none") -> Any:
    encoded = encode(value, frame_format=frame_format, compression=compression)
    with closing(encoded):
        return decode(encoded.codec, encoded.content, index_columns=encoded.index_columns)


def _bytes(value: Any) -> bytes:
    content = encode(value).content
    assert isinstance(content, bytes)
    return content


@pytest.mark.parametrize("name", sorted(VALUES))
def test_golden_payloads_are_written(name: str) -> None:
    """A value is encoded to the bytes of its golden payload."""
    encoded = encode(VALUES[name], frame_format="csv")
    assert encoded.content == (FOLDER / name).read_bytes()
    assert SUFFIXES[encoded.codec] == name.rpartition(".")[2]


@pytest.mark.parametrize("name", sorted({**VALUES, **TABLES}))
def test_golden_payloads_are_read(name: str) -> None:
    """A golden payload gives its value, with all the types in it."""
    [case, *_] = [case for case in golden_cases() if case.payload_name == name]
    stream = io.BytesIO(case.payload) if case.codec == "bundle" else case.payload
    index_columns = case.reference.get("index_columns", 0)
    assert same(decode(case.codec, stream, index_columns=index_columns), {**VALUES, **TABLES}[name])


@pytest.mark.parametrize("name", sorted(TABLES))
def test_golden_codecs_are_chosen(name: str) -> None:
    """A value is encoded in the codec, and with the suffix, of its golden file."""
    [case, *_] = [case for case in golden_cases() if case.payload_name == name]
    with closing(encode(TABLES[name])) as encoded:
        assert (encoded.codec, encoded.suffix) == (case.codec, case.suffix)
        assert encoded.type_name == case.reference["type"]


def test_golden_gzip_is_written() -> None:
    """With gzip the codec, the suffix and the payload are those of the golden file; level and time are fixed."""
    [case] = [case for case in golden_cases() if case.name == "list-gzip"]
    encoded = encode(VALUES["payloads/list.json"], compression="gzip", row_limit=0)
    assert (encoded.codec, encoded.suffix) == (case.codec, case.suffix)
    assert decode(case.codec, case.payload) == VALUES["payloads/list.json"]


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
    metadata = pq.ParquetFile(io.BytesIO(_bytes(orders()))).metadata
    assert {metadata.row_group(0).column(index).compression for index in range(metadata.num_columns)} == {
        "ZSTD"
    }


def test_many_categories_are_kept() -> None:
    """Categories whose names exceed what a dictionary may hold keep their order, and those that no row has are there too."""
    count = 30_000
    names = [f"customer {(number * 7919) % count:09d}" for number in range(count)] + ["never used"]
    frame = pd.DataFrame({"c": pd.Categorical(names[:count], categories=names, ordered=True)})
    pulled = _round_trip(frame)
    assert pulled["c"].cat.categories.tolist() == names
    assert pulled["c"].cat.ordered
    assert pulled["c"].cat.codes.equals(frame["c"].cat.codes)


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


@pytest.mark.parametrize(
    "value",
    [
        {"password": "hunter2", "object": _Secret()},
        [("hunter2", {"hunter2"}, _Secret())],
        {"frame": orders(), "object": pd.DataFrame({"hunter2": [1]}).groupby("hunter2")},
    ],
)
def test_a_part_of_unknown_type_is_refused(value: Any) -> None:
    """What cannot be stored is an error that names the type of the offending part, and holds nothing of the value."""
    with pytest.raises(
        EncodingError, match=r"a value of type .* cannot be stored: it holds a .*(Secret|GroupBy)"
    ) as caught:
        encode(value)
    assert "hunter2" not in str(caught.value)


def test_a_circle_is_refused() -> None:
    """A list or dict that holds itself is an error, not a crash."""
    circle: list[object] = []
    circle.append({"within": circle})
    with pytest.raises(EncodingError, match="it holds a list that holds itself"):
        encode(circle)


@pytest.mark.parametrize("kind", [lambda inner: [inner], lambda inner: (inner,)], ids=["list", "tuple"])
def test_nesting_without_end_is_refused(kind: Any) -> None:
    """A value that is nested deeper than a reader could follow is an error."""
    value: Any = ()
    for _ in range(5000):
        value = kind(value)
    with pytest.raises(EncodingError, match="nested"):
        encode(value)


def test_a_local_class_is_refused() -> None:
    """A class that no import finds again is refused when the value is stored, and not when it is loaded."""
    local = namedtuple("local", "a b")
    local.__qualname__ = "test.<locals>.local"
    with pytest.raises(EncodingError, match=r"<locals>.local: a class must be at the top of a module"):
        encode(local(1, 2))


def test_a_class_that_airflow_does_not_allow_is_refused() -> None:
    """A class that the pulling task may not load is refused when the value is stored, naming Airflow's setting."""
    denying = Serialisation(allowed=lambda _name: False)
    with pytest.raises(
        EncodingError, match=r"samples.Colour, which could not .* allowed_deserialization_classes"
    ):
        encode([Colour.RED], serialisation=denying)


def test_a_class_that_is_not_allowed_is_not_imported() -> None:
    """A tree that names a class outside the list is an error, and nothing is imported for it."""
    document = {
        "__xcomctl_tree__": 1,
        "value": {"__xcomctl_type__": "dataclass", "module": "antigravity", "class": "X", "fields": {}},
    }
    with pytest.raises(ReferenceFormatError, match=r"antigravity\.X, which .* does not allow"):
        decode_tree(document, Serialisation(allowed=lambda _name: False))
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    ("module", "name"), [("subprocess", "Popen"), ("os", "system"), ("builtins", "eval")]
)
@pytest.mark.parametrize("kind", ["dataclass", "attrs", "pydantic", "enum", "namedtuple"])
def test_only_classes_of_the_kind_are_made(kind: str, module: str, name: str) -> None:
    """Even if the list allows everything, a tree makes no instance of a class that is not of the kind it says."""
    node = {"__xcomctl_type__": kind, "module": module, "class": name, "fields": {}, "items": [], "name": "x"}
    with pytest.raises(ReferenceFormatError, match=f"is not a {kind} class"):
        decode_tree({"__xcomctl_tree__": 1, "value": node}, Serialisation())


def test_a_subclass_of_frame_is_not_taken_for_one() -> None:
    """A subclass would come back as a plain DataFrame, so it is left to Airflow, and refused without it."""

    class GeoFrame(pd.DataFrame):
        pass

    with pytest.raises(EncodingError, match=r"a value of type .*GeoFrame cannot be stored"):
        encode(GeoFrame({"a": [1]}))


def test_an_index_that_parquet_would_change_is_refused() -> None:
    """An index of mixed types is an error that says so, and quotes nothing of it."""
    with pytest.raises(EncodingError, match="whose index Parquet does not take") as caught:
        encode(pd.DataFrame({"a": [1, 2]}, index=[1, "hunter2"]))
    assert "hunter2" not in str(caught.value)


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
        "    assert decode(encoded.codec, encoded.content) == value\n"
        "print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("done\n", "")
