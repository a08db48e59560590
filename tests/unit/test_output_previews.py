from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from rich.console import Console

from xcomctl.cli.output.folding import folded
from xcomctl.cli.output.previews import print_preview, to_document
from xcomctl.look.codecs.interface import (
    BinaryPreview,
    FramePreview,
    PicklePreview,
    Preview,
    TextPreview,
    TreePreview,
)
from xcomctl.look.preview import Found, Shown
from xcomctl.models import ObjectAddress, Row
from xcomctl.s3.interface import ObjectInfo

WRITTEN_AT = datetime(2026, 11, 1, 6, tzinfo=timezone.utc)
ROW = Row("xcom", "1", 7, "etl", "run_1", "load", 2, "key", WRITTEN_AT, b"12345")
OBJECT = ObjectInfo(ObjectAddress("xcoms", "etl/x.json.gz"), 2048, "etag", WRITTEN_AT)
FRAME = FramePreview(
    kind="pandas.DataFrame",
    rows=2,
    columns=(("id", "int64"), ("name", "string")),
    head=((1, "a"), (20, None)),
    head_columns=("id", "name"),
)


def _shown(preview: Preview) -> Shown:
    return Shown(Found(ROW.ref, ROW), preview, "json", (), (), None)


def _printed(preview: Preview | Shown, *, width: int = 80, head: int = 10) -> list[str]:
    """The lines that a console of that width gets, after the header."""
    shown = preview if isinstance(preview, Shown) else _shown(preview)
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=True, color_system=None, markup=False)
    print_preview(shown, console, head=head, now=WRITTEN_AT + timedelta(days=3))
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    return lines if isinstance(preview, Shown) else lines[lines.index("") + 1 :]


def test_header_of_an_inline_value() -> None:
    """The header says what is shown, where it lives, its size, age and codec, and every note."""
    shown = replace(_shown(TreePreview(1)), notes=("be careful",))
    assert _printed(shown)[:7] == [
        "etl/run_1/load[2]:key",
        f"  inline   in table xcom, id {ROW.short_id}",
        "  size     5 B",
        "  written  2026-11-01T06:00:00Z (3d ago)",
        "  codec    json",
        "  note: be careful",
        "",
    ]


def test_header_of_an_object() -> None:
    """The header of an object says how much of it was read, and which compressions it is in."""
    found = Found(ROW.ref, ROW, object=OBJECT)
    shown = Shown(found, TreePreview(1), "json", ("gzip", "xz"), (), 512)
    assert _printed(shown)[:5] == [
        "etl/run_1/load[2]:key",
        "  object   s3://xcoms/etl/x.json.gz",
        "  size     2.0 KiB, 512 B read",
        "  written  2026-11-01T06:00:00Z (3d ago)",
        "  codec    json in xz in gzip",
    ]


def test_frame() -> None:
    """A frame is shown as its shape, its columns with types, and its first rows, numbers to the right."""
    assert _printed(FRAME) == [
        "pandas.DataFrame: 2 rows x 2 columns",
        "",
        "  id    int64",
        "  name  string",
        "",
        "id  name",
        " 1  a",
        "20",
    ]


def test_frame_with_statistics() -> None:
    """Statistics are a table of their own, with bars for numbers and shares for texts; of a sample they say so."""
    number = {"name": "id", "type": "int64", "count": 4, "nulls": 0, "min": 1, "max": 20, "mean": 10.5}
    text = {
        "name": "\x1b[1m",
        "type": "string",
        "count": 4,
        "nulls": 1,
        "min": "a",
        "max": "\x07",
        "mean": None,
    }
    statistics = (
        {
            **number,
            "distinct": 4,
            "histogram": [0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 4],
            "sampled": 3,
        },
        {**text, "distinct": 2, "top": [{"value": "\x07", "count": 3}, {"value": "a", "count": 1}]},
    )
    lines = _printed(replace(FRAME, head=(), statistics=statistics, described=4))
    assert lines[5:] == [
        "statistics of the first 4 rows",
        "name     count  nulls  distinct  min   max  mean  spread",
        "id           4      0        ≥4    1    20  10.5  ▁▃▁▁▅▁▁█",
        "\\x1b[1m      4      1         2  a    \\x07        \\x07 75%, a 25%",
        "distinct, p25, p50, p75 and spread are of 3 values at random; the rest is of all",
    ]
    assert all(
        len(line) <= 40 for line in _printed(replace(FRAME, head=(), statistics=statistics), width=40)[5:7]
    )


def test_uncounted_rows() -> None:
    """Where the rows were not counted the shape says so."""
    assert _printed(replace(FRAME, rows=None))[0] == "pandas.DataFrame: rows not counted x 2 columns"


def test_wide_frame_fits() -> None:
    """No line of a wide frame is longer than the terminal; what does not fit is named or counted."""
    names = tuple(f"column_{number}" for number in range(30))
    frame = FramePreview("csv", 1, tuple((name, "int64") for name in names), (tuple(range(30)),), names)
    lines = _printed(frame, width=40)
    assert [line for line in lines if len(line) > 40 and not line.startswith("...")] == []
    assert lines[-1].startswith("... 26 more columns: column_4, column_5,")
    assert lines[-1].endswith("(choose with --columns)")


def test_long_cell_is_cut() -> None:
    """A long cell does not push the others out."""
    frame = replace(FRAME, head=((1, "x" * 5000),))
    assert _printed(frame)[-1] == f" 1  {'x' * 37}..."


def test_data_cannot_steer_the_terminal() -> None:
    """Escapes, control characters, bidirectional marks and markup in data come out as text, wherever they stand."""
    evil = "\x1b[31m[bold]\r\x07\u202e"
    safe = "\\x1b[31m[bold]\\r\\x07\\u202e"
    frame = FramePreview(evil, 1, ((evil, "string"),), ((evil,),), (evil,))
    shapes: list[Preview] = [
        frame,
        TreePreview({evil: [evil]}),
        TreePreview(evil),
        TextPreview(evil, truncated=False),
        PicklePreview(4, (evil,), (evil,), ((evil, 1),)),
        BinaryPreview(evil.encode(), None),
    ]
    for shape in shapes:
        shown = Shown(Found(evil, replace(ROW, table=evil)), shape, "json", (), (evil,), None)
        text = "\n".join(_printed(shown))
        assert [char for char in text if not char.isprintable() and char != "\n"] == []
        assert safe in text


def test_text_keeps_its_lines() -> None:
    """Text keeps its lines and its empty ones; more is announced."""
    assert _printed(TextPreview("a\n\n\tb\n", truncated=True)) == ["a", "", "        b", "..."]


def test_pickle() -> None:
    """A pickle is shown as what it would import, its strings and the shape of its opcodes."""
    pickle = PicklePreview(4, ("os.system",), ("touch x",), (("MEMOIZE", 6), ("STOP", 1)), truncated=True)
    assert _printed(pickle) == [
        "pickle, protocol 4, cut short or broken: looked at, not loaded",
        "",
        "loading it would import",
        "  os.system",
        "strings",
        '  "touch x"',
        "opcodes",
        "  MEMOIZE 6, STOP 1",
    ]


def test_binary() -> None:
    """Bytes are shown with offset, hex digits and what is printable."""
    lines = _printed(BinaryPreview(b"\x00ABC" * 5, 100))
    assert lines[0] == "00000000  00 41 42 43 00 41 42 43 00 41 42 43 00 41 42 43  .ABC.ABC.ABC.ABC"
    assert lines[2] == "..."


def test_folding() -> None:
    """Deep parts, long lists, long strings and many members are folded into counts; what fits stays on one line."""
    value = {
        "small": {"a": [1, 2, {"b": None}]},
        "list": list(range(1500)),
        "text": "x" * 5000,
        "deep": {"1": {"2": {"3": {"4": 1, "5": list(range(100))}, "list": list(range(50))}}},
        "many": {f"k{number}": number for number in range(60)},
    }
    lines = list(folded(value, items=3, width=60))
    assert lines[:8] == [
        "{",
        '  "small": {"a": [1, 2, {"b": null}]},',
        '  "list": [',
        "    0,",
        "    1,",
        "    2,",
        "    ... 1497 more items",
        "  ],",
    ]
    assert f'  "text": "{"x" * 200}"... 5000 characters,' in lines
    assert '        "3": {... 2 keys},' in lines
    assert "    ... 20 more members" in lines


def test_folding_scalars_and_empty() -> None:
    """Scalars and empty containers are one line."""
    shapes: dict[Any, str] = {None: "null", True: "true", 1.5: "1.5", "é": '"é"'}
    assert {value: "".join(folded(value, items=3, width=80)) for value in shapes} == shapes
    assert list(folded([], items=3, width=80)) == ["[]"]
    assert list(folded({}, items=3, width=80)) == ["{}"]


def test_document_is_json() -> None:
    """The document of every preview is plain JSON, without NaN."""
    shapes: list[Preview] = [
        FRAME,
        TreePreview({"x": float("nan"), "y": [float("inf")]}),
        TextPreview("a", truncated=True),
        PicklePreview(4, ("os.system",), (), (("STOP", 1),)),
        BinaryPreview(b"\x00\xff", 2),
    ]
    documents = [json.loads(json.dumps(to_document(_shown(shape)), allow_nan=False)) for shape in shapes]
    assert [document["preview"]["type"] for document in documents] == [
        "frame",
        "tree",
        "text",
        "pickle",
        "binary",
    ]
    assert documents[1]["preview"]["value"] == {"x": "NaN", "y": ["Infinity"]}
    assert documents[4]["preview"] == {"type": "binary", "start": "00ff", "size": 2}


def test_document_of_an_inline_value() -> None:
    """The document says where the XCom lives; what is absent is null."""
    document = to_document(_shown(TreePreview([1])))
    assert document == {
        "schema": "xcomctl.show/1",
        "ref": "etl/run_1/load[2]:key",
        "id": ROW.short_id,
        "dag_id": "etl",
        "run_id": "run_1",
        "task_id": "load",
        "map_index": 2,
        "key": "key",
        "try_number": None,
        "written_at": "2026-11-01T06:00:00Z",
        "lives": "database",
        "uri": None,
        "dialect": None,
        "last_modified": None,
        "size": 5,
        "codec": "json",
        "compression": None,
        "notes": [],
        "references": [],
        "preview": {"type": "tree", "value": [1], "statistics": None},
    }
