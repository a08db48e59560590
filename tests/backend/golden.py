"""The golden files of the reference format, which the backend must write and the tool must read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from tests.backend.samples import Box, Colour, Order, Pair, Point
from xcomctl_backend._reference import Coordinates

FOLDER = Path(__file__).parents[1] / "corpus" / "references" / "xcomctl"


@dataclass(frozen=True)
class GoldenCase:
    """One golden file."""

    name: str
    coordinates: Coordinates
    prefix: str
    bucket: str
    uuid: str
    codec: str
    payload_name: str
    reference: dict[str, Any]
    key: str
    metadata: dict[str, str]

    @property
    def suffix(self) -> str:
        """Suffix of the object."""
        return self.key.rpartition("/")[2].partition(".")[2]

    @property
    def payload(self) -> bytes:
        """The bytes of the object."""
        return (FOLDER / self.payload_name).read_bytes()


def golden_cases() -> list[GoldenCase]:
    """Every golden file, by name."""
    cases = []
    for path in sorted(FOLDER.glob("*.json")):
        members = json.loads(path.read_text(encoding="utf-8"))
        coordinates = Coordinates(**members.pop("coordinates"))
        payload_name = members.pop("payload")
        cases.append(GoldenCase(path.stem, coordinates, payload_name=payload_name, **members))
    return cases


def orders() -> pd.DataFrame:
    """The frame behind `payloads/orders.parquet`."""
    at = pd.to_datetime(
        ["2026-11-01T06:00:00Z", "2026-11-01T07:30:00Z", "2026-11-02T00:00:00Z", ""], utc=True
    )
    return pd.DataFrame(
        {
            "order_id": [1001, 1002, 1003, 1004],
            "customer": ["Ada", "Bo", "Çelik", "Dee"],
            "amount": [19.5, 7.25, 100.0, 0.99],
            "status": pd.Categorical(
                ["new", "paid", "paid", "new"], categories=["new", "paid", "sent"], ordered=True
            ),
            "at": at.tz_convert("Europe/Paris"),
        },
        index=pd.Index([10, 20, 30, 40], name="line"),
    )


VALUES: dict[str, Any] = {
    "payloads/orders.csv": orders()[["order_id", "customer", "amount"]],
    "payloads/tree.json": {
        "rows": [1, 2.5, None, True],
        "où": {"nested": ["é", "x"]},
        "n": 12345678901234567890,
    },
    "payloads/list.json": [1, "two", 3.0, None, {"a": []}],
    "payloads/lines.txt": 'id,name\n1,Zoë\n2,"a, b"\n',
    "payloads/blob.bin": bytes(range(256)),
    "payloads/typed.json": {
        "tuple": (1, [2.5, {3}]),
        "numbers": [Decimal("1.10"), float("inf"), 1 - 2j, range(3)],
        "keys": {1: "one", (1, 2): "pair", "__classname__": "not one"},
        "times": [
            datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Paris")),
            date(2026, 11, 1),
            timedelta(hours=1),
            pd.Timestamp("2026-11-01T00:00:00.123456789"),
        ],
        "uuid": UUID("0c9f7c1e-3a52-4b7e-9d0a-00000051aa00"),
        "bytes": b"\x00\xff",
        "scalar": np.int16(7),
        "enum": Colour.RED,
        "dataclass": Point(2, Pair("a", None)),
        "attrs": Box([1]),
        "model": Order(number=7),
    },
    "payloads/array.npy": np.arange(6, dtype="int32").reshape(2, 3),
}
"""The values behind the payloads whose bytes do not depend on the release of a library."""

TABLES: dict[str, Any] = {
    "payloads/orders.parquet": orders(),
    "payloads/series.parquet": pd.Series([1.5, None], index=["a", "b"], name="amount"),
    "payloads/polars.parquet": pl.DataFrame({"id": [1, 2], "at": [date(2026, 11, 1), None]}),
    "payloads/arrow.parquet": pa.table({"id": [1, 2], "tags": [["new"], []]}),
    "payloads/bundle.zip": {
        "orders": orders(),
        "note": ("mixed", b"\x00" * 600),
        "mixed": pd.DataFrame({"m": [1, "a"], "n": [1, 2]}),
    },
}
"""The values behind the payloads that each release of pandas or pyarrow writes in other bytes."""
