from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.backend.golden import TABLES, VALUES, GoldenCase, golden_cases
from xcomctl.demo.server import SeaweedFS
from xcomctl_backend._codecs import CONTENT_TYPES, SUFFIXES

PAGE = (Path(__file__).parents[2] / "docs" / "reference-format.md").read_text(encoding="utf-8")


def test_the_program_of_the_page_reads_every_codec(
    aws_environment: SeaweedFS, seaweed_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Python program that reads a value by hand gives the golden values, with boto3 and pandas alone."""
    [program] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(program, names)  # noqa: S102 - our own page
    client = aws_environment.client()
    # The program leaves its client open, which a test must not.
    monkeypatch.setattr(names["boto3"], "client", lambda _service: client)
    for case in {(case.payload_name, case.codec): case for case in golden_cases()}.values():
        client.put_object(Bucket=seaweed_bucket, Key=case.key, Body=case.payload)
        value = names["read"]({**case.reference, "uri": f"s3://{seaweed_bucket}/{case.key}"})
        expected = _by_hand(case)
        if isinstance(expected, pd.DataFrame):
            pd.testing.assert_frame_equal(value, expected)
        else:
            assert value == expected
    client.close()


def _by_hand(case: GoldenCase) -> Any:
    """What the page's program gives for a golden file: the value where pandas and JSON know it."""
    if case.codec == "json+gzip":
        return VALUES["payloads/list.json"]
    if case.codec == "tree":
        return json.loads(case.payload)
    if case.codec == "bundle":
        with zipfile.ZipFile(io.BytesIO(case.payload)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    if case.codec in ("npy", "file"):
        return case.payload
    value = {**VALUES, **TABLES}[case.payload_name]
    if case.codec == "parquet-series":
        return value.to_frame(name="0")
    if case.codec in ("parquet-polars", "parquet-arrow"):
        return (
            value.to_pandas() if case.codec == "parquet-arrow" else pd.read_parquet(io.BytesIO(case.payload))
        )
    return value


@pytest.mark.parametrize("codec", sorted(SUFFIXES))
def test_the_page_lists_every_codec(codec: str) -> None:
    """Suffix and content type of every codec are those of the page."""
    assert f"| `{codec}` | `{SUFFIXES[codec]}` | `{CONTENT_TYPES[codec]}` |" in PAGE


def test_the_example_of_the_page_is_a_golden_file() -> None:
    """The reference that the page shows is the one of the golden file."""
    [example] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    shown = json.loads(example)
    [golden] = [case.reference for case in golden_cases() if case.name == "dataframe-parquet"]
    assert {**shown, "sha256": golden["sha256"]} == golden


def test_the_page_lists_every_type_of_the_tree() -> None:
    """Every type that a tree may name is in the table of the page."""
    from xcomctl_backend import _classes, _tree

    of_libraries = {"pandas.DataFrame", "pandas.Series", "polars.Series", "numpy.scalar", "numpy.objects"}
    others = {"dict", "bytes", "bytearray", "airflow", "part", *of_libraries}
    for name in {*_classes.KINDS, *_tree._ITEMS, *_tree._SCALARS, *_tree._TIMES, *others}:
        assert f"`{name}`" in PAGE
