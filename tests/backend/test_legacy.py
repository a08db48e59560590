"""What earlier backends left in rows is resolved if the settings name it, and only then."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import pickle
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pandas as pd
import pytest

from tests.services.object_stores import new_bucket, remove_bucket
from xcomctl.demo.server import SeaweedFS
from xcomctl_backend._exchange import Exchange
from xcomctl_backend._legacy import LegacyReference, legacy_reference
from xcomctl_backend._reference import Coordinates, Reference
from xcomctl_backend._s3 import S3Objects
from xcomctl_backend._settings import Settings
from xcomctl_backend.errors import MissingObjectError, ReferenceFormatError

UUID = "0c9f7c1e-3a52-4b7e-9d0a-00000051aa00"
SETTINGS = Settings(
    "new", "x", legacy_xcom_s3=("old", "older"), legacy_common_io=(("io", "air"), ("io2", ""))
)
FRAME = pd.DataFrame({"id": [1, 2], "name": ["Zoë", "Bo"]})


@pytest.mark.parametrize(
    ("text", "bucket", "key", "packed"),
    [
        (f"xcom_s3://data_csv_{UUID}", "old", f"data_csv_{UUID}", ""),
        (f"xcom_s3://data_{UUID}", "old", f"data_{UUID}", ""),
        (f"xcom_s3://older/data_{UUID}.csv", "older", f"data_{UUID}.csv", ""),
        (f"xcom_s3://manual__1/t/data_{UUID}.json", "old", f"manual__1/t/data_{UUID}.json", ""),
        (f"s3://aws_default@io/air/d/r/t/{UUID}", "io", f"air/d/r/t/{UUID}", ""),
        (f"s3://io/air/d/r/t/{UUID}.gz", "io", f"air/d/r/t/{UUID}.gz", ".gz"),
        (f"s3://c@io2/d/r/t/ti-{UUID}/k.json", "io2", f"d/r/t/ti-{UUID}/k.json", ""),
    ],
)
def test_references_of_earlier_backends_are_known(text: str, bucket: str, key: str, packed: str) -> None:
    """The text of a reference of a home-made backend or of common.io gives the bucket and the key of its object."""
    common_io = text.startswith("s3://")
    assert legacy_reference(text, SETTINGS) == LegacyReference(bucket, key, common_io, packed)
    assert legacy_reference(text, Settings("new", "x")) is None


@pytest.mark.parametrize(
    "value",
    [
        *(
            "xcom_s3://",
            "s3://io/air/report.csv",
            f"s3://io/other/d/r/t/{UUID}",
            f"s3://elsewhere/air/d/r/t/{UUID}",
        ),
        *(f"x xcom_s3://data_{UUID}", [f"xcom_s3://data_{UUID}"], None, 1),
    ],
)
def test_other_values_are_not_references(value: object) -> None:
    """Text that is not exactly a reference under the configured paths is the value that it is."""
    assert legacy_reference(value, SETTINGS) is None


@pytest.fixture(scope="module")
def old(seaweed: SeaweedFS) -> Iterator[tuple[str, S3Objects]]:
    """A bucket that an earlier backend wrote to."""
    bucket = new_bucket(seaweed)
    with closing(S3Objects(seaweed.client)) as objects:
        yield bucket, objects
    remove_bucket(seaweed, bucket)


def _parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.to_parquet(sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("key", "payload", "expected"),
    [
        (f"data_csv_{UUID}", FRAME.to_csv(index=False).encode(), FRAME),
        ("r/t/data_1.csv", FRAME.to_csv(index=False).encode(), FRAME),
        ("r/t/data_1.json", b'{"a": [1]}', {"a": [1]}),
        ("data_2", FRAME.to_csv(index=False).encode(), FRAME),
        ("frame.parquet", _parquet(FRAME), FRAME),
    ],
)
def test_objects_of_home_made_backends_are_read(
    old: tuple[str, S3Objects], key: str, payload: bytes, expected: Any
) -> None:
    """CSV, JSON and Parquet of a home-made backend come back by what they are."""
    bucket, objects = old
    objects.put(bucket, key, payload, content_type="text/plain", metadata={})
    value = Exchange(Settings("new", "x", legacy_xcom_s3=(bucket,)), objects).inline(f"xcom_s3://{key}")
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(value, expected)
    else:
        assert value == expected


@pytest.mark.parametrize(("suffix", "pack"), [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress)])
def test_objects_of_common_io_are_read(old: tuple[str, S3Objects], suffix: str, pack: Any) -> None:
    """JSON that XComObjectStorageBackend stored is read, compressed or not."""
    bucket, objects = old
    key = f"air/d/r/t/{UUID}{suffix}"
    objects.put(bucket, key, pack(json.dumps({"a": [1]}).encode()), content_type="text/plain", metadata={})
    exchange = Exchange(Settings("new", "x", legacy_common_io=((bucket, "air"),)), objects)
    assert exchange.inline(f"s3://conn@{bucket}/{key}") == {"a": [1]}


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("the pickle was loaded",))


def test_a_pickle_is_not_loaded_unless_a_setting_says_so(old: tuple[str, S3Objects]) -> None:
    """A pickle of an earlier backend is an error that names the setting and the risk; with it, it is loaded."""
    bucket, objects = old
    for key, value in (("data_dat_1", {"rows": [1]}), ("data_dat_2", _Bomb())):
        objects.put(bucket, key, pickle.dumps(value), content_type="text/plain", metadata={})
    careful = Exchange(Settings("new", "x", legacy_xcom_s3=(bucket,)), objects)
    for key in ("data_dat_1", "data_dat_2"):
        with pytest.raises(
            ReferenceFormatError, match=r"is a pickle, .* can run any code .* legacy_pickles = True"
        ):
            careful.inline(f"xcom_s3://{key}")
    trusting = Exchange(Settings("new", "x", legacy_xcom_s3=(bucket,), legacy_pickles=True), objects)
    assert trusting.inline("xcom_s3://data_dat_1") == {"rows": [1]}


def test_a_missing_object_of_an_earlier_backend_is_an_error(old: tuple[str, S3Objects]) -> None:
    """If the object of an old reference is gone the pull fails; the reference is never handed on."""
    bucket, objects = old
    with pytest.raises(MissingObjectError, match=f"s3://{bucket}/data_gone does not exist"):
        Exchange(Settings("new", "x", legacy_xcom_s3=(bucket,)), objects).inline("xcom_s3://data_gone")


def test_a_text_that_looks_like_an_old_reference_goes_to_s3(old: tuple[str, S3Objects]) -> None:
    """A task may return such a text: in S3 it is not taken for a reference."""
    bucket, objects = old
    exchange = Exchange(Settings(bucket, "x", legacy_xcom_s3=("old",)), objects)
    pushed = exchange.push("xcom_s3://data_1", Coordinates("d", "r", "t", -1, "k"))
    assert isinstance(pushed, Reference)
    assert exchange.pull(pushed.to_json()) == "xcom_s3://data_1"
