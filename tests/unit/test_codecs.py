"""Payloads in and previews out: a corpus of files, and what needs more than a file."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.services.fault_proxy import FaultProxy, fault_proxy
from tests.services.object_stores import MotoServer, buckets, point_to
from tests.services.payloads import examine_bytes, parquet_of
from tests.services.store_faults import breaks_after
from xcomctl.cli.output.previews import preview_document
from xcomctl.errors import StoreError, UnreadableError, XcomctlError
from xcomctl.look.codecs.interface import (
    FramePreview,
    Payload,
    PicklePreview,
    PreviewOptions,
    TextPreview,
    TreePreview,
)
from xcomctl.look.codecs.registry import Examined, examine, preview
from xcomctl.look.codecs.text import TextCodec
from xcomctl.models import ObjectAddress
from xcomctl.s3.reader import ObjectReader
from xcomctl.s3.store import S3Settings, S3Store

CORPUS = Path(__file__).parent.parent / "corpus" / "payloads"
CASES: list[dict[str, Any]] = json.loads((CORPUS / "expected.json").read_text())


ADDRESS = ObjectAddress("payloads", "payload")


@pytest.fixture(scope="module")
def _bucket(moto_server: MotoServer) -> Iterator[None]:
    """The bucket in which each test writes its payload anew."""
    with buckets(moto_server, ADDRESS.bucket):
        yield


@pytest.fixture
def server(moto_server: MotoServer, _bucket: None, monkeypatch: pytest.MonkeyPatch) -> MotoServer:
    """An S3 server with that bucket."""
    point_to(monkeypatch, moto_server)
    return moto_server


def _examine_object(
    server: MotoServer | FaultProxy, content: bytes, name: str = "", options: PreviewOptions | None = None
) -> tuple[Examined, int]:
    """What is found in an object with this content, and how many bytes of it were fetched."""
    with closing(server.client()) as client:
        client.put_object(Bucket=ADDRESS.bucket, Key=ADDRESS.key, Body=content)
    with closing(S3Store(S3Settings(endpoint_url=server.endpoint_url))) as store:
        reader = ObjectReader(store, ADDRESS, len(content))
        with io.BufferedReader(reader) as stream:
            examined = examine(Payload(stream, len(content), name), options or PreviewOptions())
            return examined, reader.bytes_fetched


def _case_id(case: dict[str, Any]) -> str:
    return ",".join(
        str(value) for name, value in case.items() if name in ("file", "name", "hint", "columns", "head")
    )


@pytest.mark.parametrize("case", CASES, ids=_case_id)
def test_corpus(case: dict[str, Any]) -> None:
    """Every payload of the corpus is previewed as its line in expected.json says, or fails with that cause."""
    path = CORPUS / case["file"]
    columns = tuple(case["columns"]) if "columns" in case else None
    options = PreviewOptions(head=case.get("head", 3), columns=columns, describe=case.get("describe", False))
    with path.open("rb") as stream:
        payload = Payload(stream, path.stat().st_size, case.get("name", path.name), case.get("hint"))
        if "error" in case:
            with pytest.raises(XcomctlError) as caught:
                examine(payload, options)
            assert str(caught.value)[: len(case["error"])] == case["error"]
            return
        examined = examine(payload, options)
    assert examined.codec == case["codec"]
    assert list(examined.compression) == case.get("compression", [])
    assert list(examined.notes) == case.get("notes", [])
    document = json.loads(json.dumps(preview_document(examined.preview), allow_nan=False))
    for told, expected in zip(
        document.get("statistics") or (), case["preview"].get("statistics", ()), strict=True
    ):
        # What a sample tells has tests of its own.
        for name in set(told) - set(expected):
            del told[name]
    assert {name: document[name] for name in case["preview"]} == case["preview"]


def test_corpus_is_complete() -> None:
    """Every file of the corpus has a line in expected.json."""
    files = {path.name for path in CORPUS.iterdir()} - {"expected.json"}
    assert {case["file"] for case in CASES} == files


def test_pickles_are_not_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Previewing hostile pickles runs nothing of what they name: no file appears, no module is imported."""
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    for path in [*CORPUS.glob("*pickle*"), CORPUS / "hostile-exec.csv"]:
        with path.open("rb") as stream:
            assert isinstance(preview(Payload(stream, path.stat().st_size), PreviewOptions()), PicklePreview)
    assert list(tmp_path.iterdir()) == []
    assert set(sys.modules) - before == set()


def test_pickle_work_is_bounded(server: MotoServer) -> None:
    """Of a pickle of many megabytes only the first MiB is fetched and looked at."""
    content = b"\x80\x04(" + b"K\x01" * (8 << 20) + b"l."
    examined, fetched = _examine_object(server, content)
    assert isinstance(examined.preview, PicklePreview)
    assert examined.preview.truncated
    assert fetched <= 2 << 20


def test_pickle_opcode_counts() -> None:
    """The opcodes of a pickle are counted, the most frequent first."""
    examined = examine_bytes(b"\x80\x04]\x94(K\x01K\x02K\x03e.")
    assert isinstance(examined.preview, PicklePreview)
    assert examined.preview.opcodes[0] == ("BININT1", 3)
    assert dict(examined.preview.opcodes)["APPENDS"] == 1


def test_cut_pickles_never_fail() -> None:
    """A pickle that ends anywhere still has a preview."""
    content = (CORPUS / "frame.pickle").read_bytes()
    for end in range(2, len(content)):
        shown = examine_bytes(content[:end]).preview
        assert isinstance(shown, PicklePreview)
        assert shown.truncated


def test_parquet_head_fetches_little(server: MotoServer) -> None:
    """The head of a Parquet file of some 30 MB in several row groups takes less than 5 % of its bytes."""
    rows = 1_300_000
    generator = pa.array([(index * 2654435761) % 4294967296 for index in range(rows)], pa.int64())
    table = pa.table(
        {"id": pa.array(range(rows), pa.int64()), "a": generator, "b": generator, "c": generator}
    )
    content = parquet_of(table, row_group_size=20_000, compression="snappy", use_dictionary=False)
    assert len(content) > 25_000_000
    examined, fetched = _examine_object(server, content, "frame.parquet")
    assert isinstance(examined.preview, FramePreview)
    assert examined.preview.rows == rows
    assert examined.preview.head[1] == (1, 2654435761, 2654435761, 2654435761)
    assert fetched < len(content) * 0.05


def test_parquet_columns_fetch_less(server: MotoServer) -> None:
    """Columns that are not shown are not fetched."""
    wide = pa.array([f"{index * 2654435761 % 4294967296:0200d}" for index in range(20_000)])
    content = parquet_of(
        pa.table({"id": range(20_000), "wide": wide}), compression="none", use_dictionary=False
    )
    _, everything = _examine_object(server, content)
    examined, fetched = _examine_object(server, content, options=PreviewOptions(columns=("id",)))
    assert isinstance(examined.preview, FramePreview)
    assert examined.preview.head_columns == ("id",)
    assert fetched < everything


def test_wide_frame_shows_its_first_columns() -> None:
    """Of a frame with very many columns the first 64 have a head; all are listed."""
    table = pa.table({f"c{index}": [index] for index in range(500)})
    examined = examine_bytes(parquet_of(table))
    assert isinstance(examined.preview, FramePreview)
    assert (len(examined.preview.columns), len(examined.preview.head_columns)) == (500, 64)


@pytest.mark.parametrize("describe", [False, True])
def test_head_over_several_row_groups(describe: bool) -> None:
    """A head that is longer than a row group goes on in the next one."""
    content = parquet_of(pa.table({"n": list(range(100))}), row_group_size=10)
    examined = examine_bytes(content, options=PreviewOptions(head=25, describe=describe))
    assert isinstance(examined.preview, FramePreview)
    assert [row[0] for row in examined.preview.head] == list(range(25))


def test_large_serialised_frame_is_not_read_whole(server: MotoServer) -> None:
    """Of a DataFrame that Airflow wrote as hex digits in 60 MB of JSON, a few percent are fetched."""
    rows = 1_000_000
    values = pa.array([(index * 2654435761) % 4294967296 for index in range(rows)], pa.int64())
    digits = parquet_of(
        pa.table({"a": values, "b": values, "c": values}), row_group_size=20_000, use_dictionary=False
    )
    content = json.dumps(
        {"__classname__": "pandas.DataFrame", "__version__": 1, "__data__": digits.hex().upper()}
    ).encode()
    examined, fetched = _examine_object(server, content)
    assert isinstance(examined.preview, FramePreview)
    assert (examined.codec, examined.preview.kind, examined.preview.rows) == (
        "json",
        "pandas.DataFrame",
        rows,
    )
    assert examined.preview.head[1] == (2654435761,) * 3
    assert fetched < len(content) * 0.06


def test_large_serialised_frame_in_gzip() -> None:
    """A serialised frame that is too large to parse is found inside a compression, too."""
    digits = parquet_of(
        pa.table({"a": list(range(3_000_000))}), compression="none", use_dictionary=False
    ).hex()
    content = json.dumps(
        {"__classname__": "pandas.core.frame.DataFrame", "__version__": 1, "__data__": digits}
    )
    assert len(content) > 16 << 20
    examined = examine_bytes(gzip.compress(content.encode(), 1))
    assert isinstance(examined.preview, FramePreview)
    assert (examined.compression, examined.preview.rows) == (("gzip",), 3_000_000)


def test_large_json_shows_its_beginning(server: MotoServer) -> None:
    """A JSON document above 16 MiB is not read whole: its beginning is shown as text, and a note says so."""
    content = b'{"numbers": [' + b"1234567, " * (2 << 20) + b"0]}"
    examined, fetched = _examine_object(server, content, "big.json")
    assert isinstance(examined.preview, TextPreview)
    assert examined.preview.text.startswith('{"numbers": [1234567,')
    assert (examined.codec, examined.preview.truncated) == ("json", True)
    assert examined.notes == ("the JSON is larger than 16 MiB; shown is its beginning",)
    assert fetched <= 1 << 20


def test_long_string_is_json() -> None:
    """A JSON string that is longer than what is sniffed is one document."""
    examined = examine_bytes(json.dumps("0123456789abcdef" * 20_000).encode())
    assert examined.preview == TreePreview("0123456789abcdef" * 20_000)


def test_csv_head_fetches_one_block(server: MotoServer) -> None:
    """The head of a large CSV takes its first block."""
    content = b"id,name\n" + b"".join(b"%d,name %d\n" % (n, n) for n in range(1_000_000))
    examined, fetched = _examine_object(server, content, "frame.csv")
    assert isinstance(examined.preview, FramePreview)
    assert (examined.preview.rows, examined.preview.head[9]) == (None, (9, "name 9"))
    assert fetched < 256 << 10


def test_csv_describe_counts_all_rows() -> None:
    """Statistics of a CSV are over all of it, and so is the number of rows."""
    content = b"id,name\n" + b"".join(b"%d,name %06d\n" % (n, n) for n in range(50_000))
    examined = examine_bytes(content, "frame.csv", PreviewOptions(describe=True))
    assert isinstance(examined.preview, FramePreview)
    assert examined.preview.rows == 50_000
    told = examined.preview.statistics[0]
    assert [told[name] for name in ("name", "type", "count", "nulls", "min", "max", "mean")] == [
        "id", "int64", 50_000, 0, 0, 49_999, 24_999.5,
    ]  # fmt: skip


def test_text_stops_after_its_lines(server: MotoServer) -> None:
    """A text of one endless line, and one of many lines, are read no further than what is shown."""
    for content in (b"x" * (64 << 20), b"some words of a log\n" * (1 << 20)):
        examined, fetched = _examine_object(server, content)
        assert isinstance(examined.preview, TextPreview)
        assert examined.preview.truncated
        assert fetched <= 4 << 20


def test_bomb_is_not_unpacked() -> None:
    """Of a gigabyte of zeros in a megabyte of gzip only the beginning is unpacked."""
    packed = gzip.compress(b"\0" * (64 << 20), 9) * 16
    examined = examine_bytes(packed)
    assert (examined.codec, examined.compression) == ("binary", ("gzip",))


def test_packed_parquet_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A codec that reads from the end does not unpack more than a limit."""
    monkeypatch.setattr("xcomctl.look.codecs.compression.MAX_SPOOLED", 4 << 20)
    with pytest.raises(UnreadableError) as caught:
        examine_bytes(gzip.compress(b"PAR1" + b"\0" * (16 << 20)))
    assert str(caught.value).startswith("the content unpacks to more than 4 MiB")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "text", "pickle"])
def test_lost_connection_is_no_corrupt_payload(kind: str, compressed: bool, server: MotoServer) -> None:
    """An error of the store while a payload is read stays that error, whichever library was reading."""
    values = [f"{index * 2654435761:012d}" for index in range(200_000)]
    content = {
        "parquet": parquet_of(pa.table({"a": values}), use_dictionary=False, row_group_size=10_000),
        "csv": b"a,b\n" + "".join(f"{value},1\n" for value in values).encode(),
        "json": json.dumps(values).encode(),
        "text": "\n".join(values).encode(),
        "pickle": b"\x80\x04(" + b"".join(b"\x8c\x0c" + value.encode() for value in values) + b"l.",
    }[kind]
    stored = gzip.compress(content, 1) if compressed else content
    options = PreviewOptions(head=100_000, describe=True)
    with fault_proxy(server, breaks_after(140_000)) as broken:
        with pytest.raises(StoreError) as caught:
            _examine_object(broken, stored, f"payload.{kind}", options)
        assert str(caught.value) == f"the connection to {broken.endpoint_url} broke over {ADDRESS.uri}"


def test_text_codec_says_that_it_guessed() -> None:
    """Text that is not UTF-8 is shown with a note."""
    notes: list[str] = []
    shown = TextCodec(notes).preview(Payload(io.BytesIO("blåbær".encode("latin-1")), 6), PreviewOptions())
    assert shown == TextPreview("blåbær", truncated=False)
    assert notes == ["the text is not UTF-8; it is shown as Latin-1, byte by byte"]


def test_previews_need_no_pandas() -> None:
    """No preview imports pandas, and only Parquet, statistics and some compressions import pyarrow."""
    code = (
        "import io, sys\n"
        "from pathlib import Path\n"
        "from xcomctl.look.codecs.interface import Payload, PreviewOptions\n"
        "from xcomctl.look.codecs.registry import preview\n"
        "def look(name, **options):\n"
        "    content = Path(sys.argv[1], name).read_bytes()\n"
        "    preview(Payload(io.BytesIO(content), len(content), name), PreviewOptions(**options))\n"
        "for name in ('dict.json.gz', 'pandas.csv', 'protocol-4.pickle', 'utf16.txt', 'dict.json.xz'):\n"
        "    look(name)\n"
        "print('pyarrow' in sys.modules)\n"
        "for name in ('frame.parquet', 'types.parquet', 'airflow-3.3.2-df', 'dict.json.zst', 'pandas.csv', 'dict.json'):\n"
        "    look(name, describe=True)\n"
        "print('pandas' in sys.modules, 'duckdb' in sys.modules, 'botocore' in sys.modules)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, str(CORPUS)], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["False", "False", "False", "False"]
