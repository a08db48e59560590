from __future__ import annotations

import json

import pyarrow as pa
import pytest

from tests.services.payloads import examine_bytes, parquet_of
from xcomctl.errors import UnreadableError
from xcomctl.look.codecs.interface import FramePreview, PreviewOptions, TreePreview


def test_lines_of_json() -> None:
    """A dict a line is a table: of the members in its first block, read no further than is asked for."""
    pad = "x" * 400
    lines = [
        json.dumps({"id": n, "v": n / 2 if n % 2 else None, "tags": [n], "pad": pad}) for n in range(50_000)
    ]
    # More than what is parsed of a single document.
    content = "\n".join(lines).encode()
    shown = examine_bytes(content, options=PreviewOptions(head=2)).preview
    assert isinstance(shown, FramePreview)
    assert (shown.kind, shown.rows, shown.head) == ("ndjson", None, ((0, None, [0], pad), (1, 0.5, [1], pad)))
    assert shown.columns == (("id", "int64"), ("v", "double"), ("tags", "json"), ("pad", "string"))
    described = examine_bytes(content, options=PreviewOptions(head=0, describe=True)).preview
    assert isinstance(described, FramePreview)
    assert (described.rows, described.described) == (50_000, 50_000)
    assert [(each["count"], each["nulls"], each["max"]) for each in described.statistics] == [
        (50_000, 0, 49_999),
        (25_000, 25_000, 24_999.5),
        (50_000, 0, None),
        (50_000, 0, pad),
    ]
    late = examine_bytes(content + b'\n{"id": 1, "late": 2}', options=PreviewOptions(describe=True))
    assert late.notes == ("left out are members that only occur further down: late",)
    for wrong, cause in ((b"\n[1]", "is not a JSON object"), (b"\n{", "is not JSON")):
        with pytest.raises(UnreadableError) as caught:
            examine_bytes(content + wrong, options=PreviewOptions(describe=True))
        assert str(caught.value) == f"line 50001 {cause}"


def test_statistics_of_a_sample() -> None:
    """Above 20,000 values quartiles, distinct and frequent values are of a sample, and the rest is of all values."""
    rows = 200_000
    table = pa.table(
        {
            "n": pa.array(range(rows), pa.int64()),
            "flag": pa.array([index % 4 == 0 for index in range(rows)]),
            "text": pa.array(["rare" if index % 10 == 0 else "frequent" for index in range(rows)]),
            "odd": pa.array([float("inf"), float("nan"), None, -1.0] * (rows // 4)),
            "huge": pa.array([2**63 - 1, -(2**63)] * (rows // 2), pa.int64()),
        }
    )
    shown = examine_bytes(
        parquet_of(table, row_group_size=30_000), options=PreviewOptions(describe=True)
    ).preview
    assert isinstance(shown, FramePreview)
    n, flag, text, odd, huge = shown.statistics
    assert (n["count"], n["min"], n["max"], n["mean"], n["sampled"]) == (
        rows,
        0,
        rows - 1,
        (rows - 1) / 2,
        20_000,
    )
    assert abs(n["p50"] - rows / 2) < rows * 0.02
    assert (sum(n["histogram"]), min(n["histogram"]) > 1_000) == (20_000, True)
    assert [each["value"] for each in (flag["top"][0], *text["top"])] == [False, "frequent", "rare"]
    assert (odd["count"], odd["nulls"], odd["min"], odd["max"], odd["p50"]) == (
        rows // 2,
        rows // 2,
        -1.0,
        "Infinity",
        -1.0,
    )
    assert (huge["min"], huge["max"], huge["distinct"]) == (-(2**63), 2**63 - 1, 2)
    again = examine_bytes(
        parquet_of(table, row_group_size=30_000), options=PreviewOptions(describe=True)
    ).preview
    assert again == shown


def test_integers_beyond_doubles() -> None:
    """Least and greatest of a CSV and of a dict are exact, however large the numbers."""
    large = 10**60 + 1
    csv = examine_bytes(f"a,b\n{large},1\n3,2\n".encode(), "x.csv", PreviewOptions(describe=True)).preview
    assert isinstance(csv, FramePreview)
    assert (csv.statistics[0]["min"], csv.statistics[0]["max"]) == (3, large)
    tree = examine_bytes(json.dumps([10**400, 1]).encode(), options=PreviewOptions(describe=True)).preview
    assert isinstance(tree, TreePreview)
    assert tree.statistics[1]["max"] == 10**400
