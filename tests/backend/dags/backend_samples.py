# ruff: noqa: D101
# mypy: ignore-errors
"""A value of all types that every release can hold, and whether it came back as it was. In a module: classes need one."""

import dataclasses
import datetime
import decimal
import enum
import uuid

import attr
import numpy as np
import pandas as pd

try:
    import polars as pl
except ImportError:
    pl = None


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    label: object = None


@attr.s(auto_attribs=True)
class Box:
    content: object


FRAMES = {
    "frame": pd.DataFrame({"a": [1, 2], "mixed": [1, "a"]}, index=pd.Index([3, 4], name="i")),
    "series": pd.Series([1.5, None], name="s"),
}


def everything():
    """Plain values, frames and arrays, nested."""
    polars = {} if pl is None else {"polars": pl.DataFrame({"n": [1, None]})}
    return {"plain": plain(), "array": np.arange(6).reshape(2, 3), **FRAMES, **polars}


def plain():
    """Values that `==` compares, with their types."""
    return [
        *((1, [2, {3}]), frozenset([1]), {1: "one", (1, 2): None}, decimal.Decimal("1.10"), 1 - 2j),
        *(uuid.UUID(int=7), b"\x00" * 600, datetime.date(2026, 11, 1), datetime.timedelta(hours=1)),
        datetime.datetime(2026, 11, 1, tzinfo=datetime.timezone.utc),
        *(pd.Timestamp("2026-11-01T00:00:00.123456789", tz="Europe/Paris"), np.float32(1.5)),
        *(Colour.RED, Point(1, Colour.RED), Box(Box((1,))), {"__classname__": "os.system"}),
    ]


def check_everything(pulled):
    """Raise ValueError if it is not what `everything` gave."""
    expected = everything()
    if list(pulled) != list(expected) or pulled["plain"] != plain():
        raise ValueError("the plain values came back changed")
    if [type(item) for item in pulled["plain"]] != [type(item) for item in plain()]:
        raise ValueError("the plain values came back as other types")
    np.testing.assert_array_equal(pulled["array"], expected["array"])
    pd.testing.assert_frame_equal(pulled["frame"], expected["frame"])
    pd.testing.assert_series_equal(pulled["series"], expected["series"])
    if pl is not None and not pulled["polars"].equals(expected["polars"]):
        raise ValueError("the polars frame came back changed")
