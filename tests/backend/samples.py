"""Classes as tasks return instances of them, and what it means that a value comes back as it was."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from decimal import Decimal
from typing import Any, NamedTuple

import attrs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pydantic


class Colour(enum.Enum):
    """An enum."""

    RED = "red"
    BLUE = ("b", 1)


class Right(enum.IntFlag):
    """Flags, which are integers too."""

    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    """A named tuple."""

    first: Any
    second: Any


@dataclasses.dataclass(frozen=True)
class Point:
    """A dataclass that computes a field and cannot be changed."""

    x: int
    label: Any = None
    twice: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "twice", self.x * 2)


@attrs.define
class Box:
    """An attrs class with slots and a private field."""

    content: Any
    _size: int = 0


class Order(pydantic.BaseModel):
    """A model with a private attribute."""

    number: int
    lines: list[Any] = []
    _checked: bool = pydantic.PrivateAttr(default=False)


def same(one: Any, other: Any) -> bool:
    """Whether two values are of one type and equal, down to the types of all that is in them."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (pd.DataFrame, pd.Series, np.ndarray, pl.DataFrame, pl.Series, pa.Table)):
        return _same_table(one, other)
    if isinstance(one, Point):
        return same((one.x, one.label, one.twice), (other.x, other.label, other.twice))
    if isinstance(one, Box):
        return same((one.content, one._size), (other.content, other._size))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dt.datetime) and one == one:
        zones = (str(one.tzinfo), str(other.tzinfo))
        return bool(one == other) and one.fold == other.fold and zones[0] == zones[1]
    if isinstance(one, (float, complex, Decimal)):
        return repr(one) == repr(other)
    return one is other or bool(one == other)


def _same_table(one: Any, other: Any) -> bool:
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other)
        return all(same(list(one.iloc[:, at]), list(other.iloc[:, at])) for at in _objects(one))
    if isinstance(one, pd.Series):
        pd.testing.assert_series_equal(one, other)
        return True
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype == object:
            return same(one.ravel().tolist(), other.ravel().tolist())
        return bool(one.tobytes() == other.tobytes())
    return bool(one.equals(other)) and getattr(one, "schema", None) == getattr(other, "schema", None)


def _objects(frame: pd.DataFrame) -> list[int]:
    """Columns of Python objects without missing values, which may come back as another kind of missing."""
    columns = range(frame.shape[1])
    return [at for at in columns if frame.iloc[:, at].dtype == object and frame.iloc[:, at].notna().all()]
