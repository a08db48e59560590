"""What a task gets back equals what was returned: types, parts of parts, names and order included."""

from __future__ import annotations

import dataclasses
import datetime as dt
import subprocess
import sys
import zoneinfo
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.backend.golden import orders
from tests.backend.samples import Box, Colour, Order, Pair, Point, Right, same
from tests.services.object_stores import new_bucket, remove_bucket
from xcomctl.demo.server import SeaweedFS
from xcomctl_backend import File
from xcomctl_backend._codecs import compact_json, encode
from xcomctl_backend._exchange import Exchange
from xcomctl_backend._reference import Coordinates, Reference
from xcomctl_backend._s3 import S3Objects
from xcomctl_backend._settings import Settings
from xcomctl_backend.errors import CorruptObjectError, EncodingError, MissingObjectError

WHERE = Coordinates("d", "r", "t", -1, "return_value")


@pytest.fixture(scope="module")
def exchange(seaweed: SeaweedFS) -> Iterator[Exchange]:
    """An exchange on SeaweedFS that stores every value in S3."""
    bucket = new_bucket(seaweed)
    with closing(S3Objects(seaweed.client)) as objects:
        yield Exchange(Settings(bucket, "x", threshold=0), objects)
    remove_bucket(seaweed, bucket)


def _there_and_back(exchange: Exchange, value: object) -> Any:
    pushed = exchange.push(value, WHERE)
    assert isinstance(pushed, Reference) or value is None
    return exchange.pull(pushed.to_json()) if isinstance(pushed, Reference) else None


PARIS = zoneinfo.ZoneInfo("Europe/Paris")
SOME = UUID("0c9f7c1e-3a52-4b7e-9d0a-00000051aa00")

VALUES: list[Any] = [
    *((1, 2), {"t": (1, [2, {3}])}, {1: "a", (1, 2): 3, None: 4}, frozenset([1]), range(1, 9, 2), 1 - 2j),
    *(
        Decimal("1.10"),
        Decimal("NaN"),
        SOME,
        bytearray(b"q"),
        {"large": b"y" * 1000, "small": b"z"},
        2**70,
        [-(2**64)],
    ),
    *(
        {"__classname__": "os.system"},
        {"__xcomctl__": 1},
        {"__xcomctl_type__": "tuple"},
        {"__xcomctl_tree__": 1},
    ),
    *(float("nan"), [float("inf"), -float("inf"), -0.0], "\0", "\ud800", ["\ud800"], {"\ud800": "\0"}),
    *(dt.date(2024, 2, 29), dt.time(1, 2, 3, 4), dt.time(1, tzinfo=dt.timezone.utc), dt.timedelta(-1, 5, 7)),
    *(
        dt.datetime(2024, 1, 1),
        dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=PARIS),
        dt.timezone.utc,
        PARIS,
    ),
    dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30), "Newfoundland")),
    *(pd.Timestamp("2024-01-01T00:00:00.123456789", tz="Europe/Paris"), pd.Timedelta("1D"), pd.NaT, pd.NA),
    *(np.int64(3), np.float32(1.5), np.bool_(True), np.datetime64("2024-01-01"), np.str_("é")),
    *(np.arange(6).reshape(2, 3), np.zeros((0, 3)), np.array(5.0), np.array(["a", "bb"])),
    np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
    np.array([[1, "a"], [None, (1, 2)]], dtype=object),
    *(
        Colour.RED,
        Colour.BLUE,
        Right.READ | Right.WRITE,
        Pair(1, (2,)),
        Point(2, Colour.RED),
        Box(Box({1}), 2),
    ),
    Order(number=1, lines=[(1, 2), Point(1)]),
    *({"frame": orders(), "list": [orders(), (orders(), 1)]}, {"series": pd.Series([1, 2], name="s")}),
    *(
        pd.Series([1.5, None], index=[5, 6], name="n"),
        pd.Series([1, "a"]),
        pd.Series([(1,), {2}], name=("a", 1)),
    ),
    *(pd.DataFrame({"m": [1, "a", None]}), pd.DataFrame({"m": [(1, 2), [3]], "n": [1, 2]}, index=["x", "y"])),
    *(
        pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.DataFrame({"d": [{"a": 1}, {"b": 2}]}),
        pd.DataFrame(index=range(3)),
    ),
    *(pd.DataFrame({"b": pd.Series([True, False], dtype=object)}), pd.DataFrame({"u": [SOME, SOME]})),
    *(pd.DataFrame({"c": [1j, 2]}), pd.DataFrame({pd.Timestamp("2024-01-01"): [1], "b": [2]})),
    pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None])),
    pl.DataFrame(
        {"d": [dt.date(2024, 1, 1), None], "c": pl.Series(["x", "y"], dtype=pl.Categorical), "l": [[1], []]}
    ),
    *(
        [pl.Series("s", [1, None])],
        pa.table({"a": [1, 2], "b": [{"x": 1}, None]}),
        {"t": pa.table({"a": [1]})},
    ),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_as_it_was(exchange: Exchange, value: object) -> None:
    """A value of any type comes back from S3 equal, of its type, and with all its parts of theirs."""
    assert same(_there_and_back(exchange, value), value)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_gzip_changes_nothing_of_a_value(exchange: Exchange, value: object) -> None:
    """With `compression = gzip` every value comes back as without."""
    packing = Exchange(dataclasses.replace(exchange._settings, compression="gzip"), exchange._objects)
    assert same(_there_and_back(packing, value), value)


_scalars = st.one_of(
    *(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(),
        st.binary(max_size=1200),
        st.complex_numbers(),
    ),
    *(st.decimals(allow_nan=False), st.uuids(), st.dates(), st.times(), st.timedeltas()),
    *(
        st.datetimes(),
        st.datetimes(timezones=st.timezones(no_cache=False)),
        st.sampled_from([*Colour, *Right]),
    ),
)
_keys = st.one_of(st.text(), st.integers(), st.tuples(st.text(), st.integers()), st.none(), st.uuids())
_columns = st.one_of(
    *(
        st.lists(item, min_size=3, max_size=3)
        for item in (st.integers(-(2**63), 2**63 - 1), st.floats(), st.text())
    ),
    st.lists(_scalars.filter(lambda item: item is not None and item == item), min_size=3, max_size=3),
)
_frames = st.dictionaries(st.text(max_size=5), _columns, max_size=4).map(
    lambda columns: pd.DataFrame(columns, index=pd.Index([7, 8, 9], name="i"))
)
_arrays = st.lists(st.floats(width=32), max_size=5).map(lambda items: np.array(items, dtype="float32"))
_leaves = st.one_of(_scalars, _arrays, _frames)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(_keys, inner, max_size=4),
        st.sets(st.one_of(st.text(), st.uuids()), max_size=3),
        st.builds(Pair, inner, inner),
        st.builds(Point, st.integers(), inner),
        st.builds(Box, inner),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.recursive(_leaves, _nested, max_leaves=8))
def test_any_nested_value_comes_back_as_it_was(exchange: Exchange, value: object) -> None:
    """Whatever is nested in whatever comes back from S3 equal and of its types."""
    try:
        pulled = _there_and_back(exchange, value)
    except EncodingError as error:
        # What is refused is refused by name; Hypothesis finds integers beyond 64 bits in columns, dates before 1677.
        raise AssertionError(f"refused: {error}") from error
    assert same(pulled, value)


@settings(max_examples=150, deadline=None)
@given(value=st.recursive(_scalars, _nested, max_leaves=6))
def test_what_fits_the_row_comes_back_from_the_row(exchange: Exchange, value: object) -> None:
    """A small value of any type that stays in the row is read from its JSON, whatever order its members have there."""
    import json

    roomy = Exchange(dataclasses.replace(exchange._settings, threshold=100_000), exchange._objects)
    pushed = roomy.push(value, WHERE)
    if isinstance(pushed, Reference):
        pulled = roomy.pull(pushed.to_json())
    else:
        row = json.loads(pushed.json, parse_constant=_refuse)
        assert b"\\u0000" not in pushed.json
        assert compact_json(row) == pushed.json
        assert same(pushed.decoded, row)
        pulled = roomy.inline(row)
    assert same(pulled, value)


def _refuse(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON that PostgreSQL takes")


@pytest.mark.parametrize(
    "value", [float("nan"), [float("inf")], "\0", {"a": "\0"}, "\ud800", 2**63, [2**70], {"\0": 1}], ids=repr
)
def test_what_a_row_cannot_hold_goes_to_s3(exchange: Exchange, value: object) -> None:
    """What PostgreSQL's JSONB refuses or would change never stands in a row as plain JSON, however small it is."""
    pushed = Exchange(dataclasses.replace(exchange._settings, threshold=1024), exchange._objects).push(
        value, WHERE
    )
    assert isinstance(pushed, Reference) or "__xcomctl_tree__" in pushed.decoded


@pytest.mark.parametrize(
    ("value", "plain"),
    [(OrderedDict(a=1), {"a": 1}), (defaultdict(list, a=[1]), {"a": [1]})],
    ids=["OrderedDict", "defaultdict"],
)
def test_a_subclass_of_a_container_comes_back_as_the_container(
    exchange: Exchange, value: object, plain: object
) -> None:
    """Subclasses of dict and list are equal to what comes back, which is a plain dict or list."""
    assert same(_there_and_back(exchange, value), plain)


_MEMORY = """
import re, sys
from xcomctl_backend import File
from xcomctl_backend._exchange import Exchange
from xcomctl_backend._reference import Coordinates
from xcomctl_backend._s3 import S3Objects, default_client
from xcomctl_backend._settings import Settings


def most():
    # Not `getrusage`, which counts in what the parent had when it started this process.
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s*([0-9]+) kB", status.read())[1]) << 10


endpoint_url, bucket, path = sys.argv[1:]
exchange = Exchange(
    Settings(bucket, ""), S3Objects(lambda: default_client(endpoint_url=endpoint_url, region=None))
)
where = Coordinates("d", "r", "t", -1, "return_value")
exchange.pull(exchange.push("x" * 5000, where).to_json())
before = most()
pulled = exchange.pull(exchange.push(File(path), where).to_json())
size = pulled.path().stat().st_size
print(most() - before, size)
"""


class TestFile:
    """`File` hands over a file as it is."""

    def test_a_file_is_handed_over(self, exchange: Exchange, tmp_path: Path) -> None:
        """The pulling task gets a File with the name, the content and the frame of what was uploaded."""
        (tmp_path / "out.CSV").write_text("id,name\n1,Zoë\n", encoding="utf-8")
        reference = exchange.push(File(tmp_path / "out.CSV"), WHERE)
        assert isinstance(reference, Reference)
        assert (reference.codec, reference.name, reference.key[-4:]) == ("file", "out.CSV", ".csv")
        pulled = exchange.pull(reference.to_json())
        assert pulled.name == pulled.path().name == "out.CSV"
        assert pulled.read_text() == "id,name\n1,Zoë\n"
        assert pulled.read_bytes() == (tmp_path / "out.CSV").read_bytes()
        with pulled.open() as text, pulled.open("rb") as raw:
            assert (text.readline(), raw.read(2)) == ("id,name\n", b"id")
        pd.testing.assert_frame_equal(pulled.to_pandas(), pd.DataFrame({"id": [1], "name": ["Zoë"]}))
        assert pulled.to_pandas(usecols=["id"]).shape == (1, 1)

    def test_files_within_a_value(self, exchange: Exchange, tmp_path: Path) -> None:
        """Files may be anywhere in a value; a File that was pulled can be returned again."""
        for name in ("a.txt", "b"):
            (tmp_path / name).write_text(name)
        value = _there_and_back(exchange, {"files": [File(tmp_path / "a.txt"), (File(tmp_path / "b"),)]})
        again = _there_and_back(exchange, value["files"][1][0])
        assert [value["files"][0].name, value["files"][0].read_text(), again.read_text()] == [
            "a.txt",
            "a.txt",
            "b",
        ]

    def test_no_temporary_file_stays(
        self, exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was downloaded is removed with the File that asked for it, and nothing is left of an upload."""
        import tempfile

        (tmp_path / "a").write_text("x")
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(scratch))
        pulled = _there_and_back(exchange, File(tmp_path / "a"))
        nested = _there_and_back(exchange, [File(tmp_path / "a"), orders()])[0]
        assert (pulled.read_text(), nested.read_text(), len(list(scratch.iterdir()))) == ("x", "x", 2)
        del pulled, nested
        assert list(scratch.iterdir()) == []

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    def test_a_large_file_is_never_held_whole(
        self, exchange: Exchange, aws_environment: SeaweedFS, tmp_path: Path
    ) -> None:
        """A file of 300 MB goes there and back in a process of its own, whose memory grows by less than half of that."""
        with (tmp_path / "big.bin").open("wb") as target:
            for number in range(300):
                target.write(bytes([number % 251]) * (1 << 20))
        arguments = [aws_environment.endpoint_url, exchange._settings.bucket, str(tmp_path / "big.bin")]
        # A process that has done nothing else: the most that this one ever used would hide what a file takes.
        done = subprocess.run(
            [sys.executable, "-c", _MEMORY, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        grown, size = map(int, done.stdout.split())
        assert size == 300 << 20
        assert grown < 150 << 20

    def test_a_file_that_is_not_there_is_refused(self, exchange: Exchange, tmp_path: Path) -> None:
        """A File without a file is an error that says so."""
        for value in (File(tmp_path / "none"), [File(tmp_path / "none")]):
            with pytest.raises(
                EncodingError, match=r"XCom d/r/t:return_value: .*cannot be read: No such file"
            ):
                exchange.push(value, WHERE)

    def test_a_missing_or_changed_object_is_an_error(self, exchange: Exchange, tmp_path: Path) -> None:
        """The content of a File is checked when it is fetched, and nothing of a wrong one is left."""
        (tmp_path / "a").write_text("content")
        reference = exchange.push(File(tmp_path / "a"), WHERE)
        assert isinstance(reference, Reference)
        pulled = exchange.pull(reference.to_json())
        exchange._objects.put(reference.bucket, reference.key, b"changed", content_type="x/y", metadata={})
        with pytest.raises(CorruptObjectError):
            pulled.path()
        exchange._objects.delete(reference.bucket, reference.key)
        with pytest.raises(MissingObjectError, match="does not exist"):
            pulled.path()

    def test_the_pull_fails_where_the_object_is_gone(self, exchange: Exchange, tmp_path: Path) -> None:
        """A task does not get as far as its File: the pull asks whether the object is there, and as large as it was."""
        (tmp_path / "a").write_text("content")
        reference = exchange.push(File(tmp_path / "a"), WHERE)
        assert isinstance(reference, Reference)
        exchange._objects.put(
            reference.bucket, reference.key, b"longer than it was", content_type="x/y", metadata={}
        )
        with pytest.raises(CorruptObjectError, match="18 bytes for 7"):
            exchange.pull(reference.to_json())
        exchange._objects.delete(reference.bucket, reference.key)
        with pytest.raises(
            MissingObjectError, match=r"XCom d/r/t:return_value: its object .* does not exist"
        ):
            exchange.pull(reference.to_json())

    def test_a_missing_bucket_is_not_a_missing_object(self, exchange: Exchange, tmp_path: Path) -> None:
        """For a File, too, a bucket that is not there is the store's error."""
        from botocore.exceptions import ClientError

        reference = Reference("s3://no-such-bucket/k", "file", 1, "0" * 64)
        with pytest.raises(ClientError):
            exchange.pull(reference.to_json())

    @pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "..", "", "a\0b", "..\\evil"])
    def test_a_name_never_leaves_the_folder(self, name: str) -> None:
        """A reference that somebody wrote by hand cannot make a File write outside its temporary folder."""
        file = File.fetched_by(name, lambda path: path.touch())
        assert file.path().parent.name.startswith("xcomctl-")

    def test_what_pandas_does_not_read_is_an_error(self, tmp_path: Path) -> None:
        """`to_pandas` of another kind of file says so, and `open` writes nothing."""
        with pytest.raises(ValueError, match=r"pandas reads no file called 'a\.bin'"):
            File(tmp_path / "a.bin").to_pandas()
        with pytest.raises(ValueError, match="opened to read it"):
            File(tmp_path / "a.bin").open("w")


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.csv", "csv"), ("a.tar.gz", "file.gz"), ("a.ZIP", "file.zip"), ("a", "file")]
)
def test_a_compressed_file_has_a_key_that_no_other_backend_writes(
    tmp_path: Path, name: str, suffix: str
) -> None:
    """`<uuid>.gz` at that depth would read as a value that Airflow's own object storage backend compressed."""
    (tmp_path / name).write_bytes(b"content")
    with closing(encode(File(tmp_path / name))) as encoded:
        assert encoded.suffix == suffix
