"""Values that the demonstration's tasks returned, encoded as the backends would: believable, and the same each time."""

from __future__ import annotations

import io
import json
import random
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

_SHOPS = ("Lyon", "Gent", "Porto", "Graz", "Malmö", "Brno")
_PRODUCTS = ("kettle", "lamp", "rug", "mug", "clock", "chair", "shelf")


def orders(day: datetime, number: int, chance: random.Random) -> pd.DataFrame:
    """One day's orders as a DataFrame of `number` rows and six columns."""
    import pandas as pd

    quantity = [chance.randint(1, 6) for _ in range(number)]
    price = [round(chance.uniform(4, 180), 2) for _ in range(number)]
    return pd.DataFrame(
        {
            "order_id": range(10_000, 10_000 + number),
            "ordered_at": pd.Series([day] * number)
            + pd.to_timedelta([chance.randint(0, 86_399) for _ in range(number)], "s"),
            "shop": [chance.choice(_SHOPS) for _ in range(number)],
            "product": [chance.choice(_PRODUCTS) for _ in range(number)],
            "quantity": quantity,
            "amount": [round(q * p, 2) for q, p in zip(quantity, price, strict=True)],
        }
    )


def summary(frame: pd.DataFrame, day: datetime) -> dict[str, Any]:
    """A nested dict about one day's orders."""
    shops = {}
    for shop, group in frame.groupby("shop"):
        best = group.groupby("product")["amount"].sum().sort_values(ascending=False)
        shops[str(shop)] = {
            "orders": len(group),
            "revenue": round(float(group["amount"].sum()), 2),
            "best_sellers": [
                {"product": str(p), "revenue": round(float(a), 2)} for p, a in best.head(3).items()
            ],
        }
    return {
        "day": day.strftime("%Y-%m-%d"),
        "orders": len(frame),
        "revenue": round(float(frame["amount"].sum()), 2),
        "shops": shops,
        "checks": {
            "null_amounts": 0,
            "late_orders": [],
            "schema": {"version": 3, "columns": list(frame.columns)},
        },
    }


def readings(sensor: int, number: int, chance: random.Random) -> list[dict[str, Any]]:
    """What one sensor measured: a list of dicts."""
    return [
        {"sensor": f"s-{sensor:02d}", "minute": minute, "celsius": round(chance.gauss(21, 2), 2)}
        for minute in range(number)
    ]


def as_parquet(frame: pd.DataFrame) -> bytes:
    """The frame as Parquet, as our backend writes it."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def as_csv(frame: pd.DataFrame) -> bytes:
    """The frame as CSV."""
    return frame.to_csv(index=False).encode()


def as_json(value: Any) -> bytes:
    """A JSON document, as our backend and common.io write it."""
    return json.dumps(value).encode()


def as_airflow_frame(frame: pd.DataFrame) -> bytes:
    """The frame as Airflow's own serialisation puts it into JSON: Parquet (snappy), in hexadecimal digits."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, compression="snappy")
    return as_json(
        {"__classname__": "pandas.DataFrame", "__version__": 1, "__data__": buffer.getvalue().hex().upper()}
    )
