# ruff: noqa: D103 - a task is named after what it does
# mypy: ignore-errors
"""A DAG for Airflow 2.5 to 3.4: pushes values of many types and says so loudly if what it pulls is not equal."""

import datetime
import tempfile
from pathlib import Path

import pandas as pd
from backend_samples import check_everything, everything

from xcomctl_backend import File

try:
    from airflow.sdk import DAG, task
except ImportError:
    from airflow.decorators import task
    from airflow.models.dag import DAG

CSV_TEXT = "id,name\n" + "".join(f'{number},"Zoë, {number}"\n' for number in range(200))
TREE = {"où": [{"n": number, "x": [1.5, None, True]} for number in range(200)], "empty": {}}
NUMBERS = list(range(1000))
LOOKALIKE = {"__xcomctl__": 1, "uri": "s3://somebody/else", "codec": "json"}


def frame():
    """A DataFrame with all that a CSV would lose."""
    at = pd.to_datetime(["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z", None]).tz_convert("Europe/Paris")
    status = pd.Categorical(["new", "paid", "new"], categories=["new", "paid", "sent"], ordered=True)
    return pd.DataFrame(
        {
            "amount": [1.5, 2.5, float("nan")],
            "at": at,
            "status": status,
            "n": pd.array([1, None, 3], dtype="Int64"),
        },
        index=pd.Index([30, 10, 20], name="line"),
    )


with DAG("backend_types", start_date=datetime.datetime(2026, 1, 1), schedule=None, catchup=False):

    @task
    def push_frame():
        return frame()

    @task
    def pull_frame(pulled):
        pd.testing.assert_frame_equal(pulled, frame())

    @task
    def push_csv_text():
        return CSV_TEXT

    @task
    def push_tree():
        return TREE

    @task
    def push_numbers():
        return NUMBERS

    @task
    def push_bytes():
        return b"\x00\xff" * 10

    @task
    def push_tuple():
        return 1, float("inf")

    @task
    def push_everything():
        return everything()

    @task
    def pull_everything(pulled):
        check_everything(pulled)

    @task
    def push_file():
        path = Path(tempfile.mkdtemp()) / "lines.csv"
        path.write_text(CSV_TEXT, encoding="utf-8")
        return File(path)

    @task
    def pull_file(pulled):
        if pulled.name != "lines.csv" or pulled.read_text() != CSV_TEXT or len(pulled.to_pandas()) != 200:
            raise ValueError("the file came back changed")

    @task
    def push_small():
        return {"small": "é"}

    @task
    def push_lookalike():
        return LOOKALIKE

    @task
    def pull_plain(**pulled):
        for name, expected in (
            ("csv_text", CSV_TEXT),
            ("tree", TREE),
            ("numbers", NUMBERS),
            ("raw", b"\x00\xff" * 10),
            ("small", {"small": "é"}),
            ("lookalike", LOOKALIKE),
            ("pair", (1, float("inf"))),
        ):
            if pulled[name] != expected:
                raise ValueError(f"{name} came back as {type(pulled[name])}")

    @task
    def repeat(number):
        return [number] * 1000

    @task
    def pull_mapped(lists):
        if list(lists) != [[number] * 1000 for number in (1, 2, 3)]:
            raise ValueError("the mapped values came back changed")

    pull_frame(push_frame())
    pull_plain(
        csv_text=push_csv_text(),
        tree=push_tree(),
        numbers=push_numbers(),
        raw=push_bytes(),
        small=push_small(),
        lookalike=push_lookalike(),
        pair=push_tuple(),
    )
    pull_mapped(repeat.expand(number=[1, 2, 3]))
    pull_everything(push_everything())
    pull_file(push_file())
