"""Adding up an inventory: parts, growth, and how people see them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.unit.test_snapshot_file import keep
from xcomctl.airflow.interface import Selection
from xcomctl.cli.output.usage import bar, growth_line, part_columns
from xcomctl.errors import UsageError
from xcomctl.inventory.snapshot_file import SnapshotFile, open_snapshot_file
from xcomctl.inventory.usage import (
    DIMENSIONS,
    Growth,
    UsagePart,
    break_down,
    dimensions,
    growth_of,
    new_bytes,
    total_of,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)

# dag, task, age in days, state, bytes in the row, dialect, uri, whether it expires
ENTRIES: list[tuple[Any, ...]] = [
    ("etl", "load", 1, "live", 100, "xcomctl", "s3://b/x/etl/a.json.gz", False),
    ("etl", "load", 2, "live", 100, "xcomctl", "s3://b/x/etl/a.json.gz", False),
    ("etl", "clean", 40, "inline", 7, None, None, True),
    ("ETL", "load", 3, "dangling", 90, "common-io", "s3://b/x/gone", True),
]
# dag, task, age in days, state, bytes, dialect, key
OBJECTS: list[tuple[Any, ...]] = [
    ("etl", "load", 2, "live", 1000, "xcomctl", "x/etl/a.json.gz"),
    ("ml", None, 50, "orphaned", 4000, "common-io", "x/ml/1.5/data"),
    (None, None, 20, "foreign", 30, None, "x/README.txt"),
    (None, None, 1, "reserved", 500, None, "x/.xcomctl/trash/1/k.parquet"),
]


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[SnapshotFile]:
    """An inventory of an object with two rows, an inline value, a dangling row, and objects without a row."""
    path = keep(tmp_path / "inv.duckdb")
    with duckdb.connect(str(path)) as database:
        database.execute("DELETE FROM objects")
        database.execute(
            "UPDATE about SET created_at = $now, cutoff = $now, roots = ['s3://b/x'], database = 'airflow', complete = true",
            {"now": NOW.replace(tzinfo=None)},
        )
        for dag, task, age, state, size, dialect, uri, expires in ENTRIES:
            database.execute(
                "INSERT INTO entries BY NAME SELECT ? AS dag_id, 'r' AS run_id, ? AS task_id, 'k' AS key,"
                " ? AS written_at, ? AS state, ? AS row_size, ? AS dialect, ? AS uri, ? AS expires",
                [dag, task, (NOW - age * DAY).replace(tzinfo=None), state, size, dialect, uri, expires],
            )
        for dag, task, age, state, size, dialect, key in OBJECTS:
            database.execute(
                "INSERT INTO objects BY NAME SELECT ? AS dag_id, ? AS task_id, ? AS last_modified, ? AS state,"
                " ? AS size, ? AS dialect, ? AS object_key",
                [dag, task, (NOW - age * DAY).replace(tzinfo=None), state, size, dialect, key],
            )
    with open_snapshot_file(path) as opened:
        yield opened


def parts(kept: SnapshotFile, by: str, top: int | None = None, **chosen: Any) -> list[tuple[Any, ...]]:
    """Place, rows, objects, bytes in rows and bytes in objects of each part."""
    found = break_down(kept, dimensions(by.split(",")), Selection(**chosen), top=top)
    return [
        (*part.place, part.rows, part.objects, part.inline_bytes, part.offloaded_bytes)
        for part in found.parts
    ]


def test_an_object_counts_once_whatever_references_it(kept: SnapshotFile) -> None:
    """Rows are those of the entries, objects those of the objects, the largest part first, the unknown one among them."""
    assert parts(kept, "dag") == [
        ("ml", 0, 1, 0, 4000),
        ("etl", 3, 1, 207, 1000),
        (None, 0, 2, 0, 530),
        ("ETL", 1, 0, 90, 0),
    ]
    assert total_of(kept, Selection()) == UsagePart((), 4, 4, 297, 5530)


@pytest.mark.parametrize(
    ("by", "places"),
    [
        ("task", {"load": 3, "clean": 1, None: 3}),
        ("key", {"k": 4, None: 4}),
        ("run", {"r": 4, None: 4}),
        ("month", {"2026-11": 6, "2026-10": 2}),
        ("codec", {"json.gz": 3, "inline": 1, None: 2, "txt": 1, "parquet": 1}),
        ("dialect", {"xcomctl": 3, "common-io": 2, "inline": 1, None: 2}),
        ("state", {"live": 3, "expired": 1, "dangling": 1, "orphaned": 1, "foreign": 1, "reserved": 1}),
    ],
)
def test_whatever_tells_parts_apart(kept: SnapshotFile, by: str, places: dict[str | None, int]) -> None:
    """Rows and objects are in the same part where they have the same place; together they are all that there is."""
    found = {place: rows + objects for place, rows, objects, _, _ in parts(kept, by)}
    expected = places | ({"load": 4} if by == "task" else {})
    assert found == expected
    assert sum(found.values()) == 8


def test_several_dimensions(kept: SnapshotFile) -> None:
    """A part has one place in each of them, and `type` is another word for `codec`."""
    assert parts(kept, "dag,task")[:2] == [("ml", None, 0, 1, 0, 4000), ("etl", "load", 2, 1, 200, 1000)]
    assert dimensions(["type", "dag", "codec"]) == (DIMENSIONS["codec"], DIMENSIONS["dag"])
    with pytest.raises(UsageError, match="called 'colour'"):
        dimensions(["dag", "colour"])


def test_what_is_left_over_is_one_part(kept: SnapshotFile) -> None:
    """It says how many it stands for; where nothing is left over there is none."""
    found = list(break_down(kept, dimensions(["dag"]), Selection(), top=1).parts)
    assert [(part.place, part.rest, part.parts, part.bytes) for part in found] == [
        (("ml",), False, 1, 4000),
        ((None,), True, 3, 1827),
    ]
    assert not any(part.rest for part in break_down(kept, dimensions(["dag"]), Selection(), top=4).parts)


def test_a_choice_is_of_names_and_times(kept: SnapshotFile) -> None:
    """Globs tell case apart, and times are those of the row and of the object."""
    assert parts(kept, "dag", dag="e*") == [("etl", 3, 1, 207, 1000)]
    assert parts(kept, "dag", dag="e*", task="clean", key="?", run="r") == [("etl", 1, 0, 7, 0)]
    assert parts(kept, "dag", until=NOW - 30 * DAY) == [("ml", 0, 1, 0, 4000), ("etl", 1, 0, 7, 0)]
    assert parts(kept, "dag", since=NOW - DAY) == [(None, 0, 1, 0, 500), ("etl", 1, 0, 100, 0)]
    assert parts(kept, "dag", dag="nothing") == []


def test_growth_is_what_came_in_and_is_still_there(kept: SnapshotFile) -> None:
    """Of the last 30 days, without what the tool keeps for itself; nothing is taken off."""
    assert growth_of(kept, Selection()) == Growth((100 + 100 + 90 + 1000 + 30) / 30, 30.0)
    days = {day.day: (day.rows, day.objects, day.bytes) for day in new_bytes(kept, Selection())}
    assert len(days) == 30
    assert {day: found for day, found in days.items() if any(found)} == {
        "2026-11-02": (0, 1, 30),
        "2026-11-19": (1, 0, 90),
        "2026-11-20": (1, 1, 1100),
        "2026-11-21": (1, 0, 100),
    }


def test_growth_is_the_mean_of_the_days_that_are_known(kept: SnapshotFile) -> None:
    """Where all is younger, those days alone count; under three days nothing is said."""
    assert growth_of(kept, Selection(dag="ETL")) == Growth(30.0, 3.0)
    assert growth_of(kept, Selection(since=NOW - 2 * DAY)) is None
    assert growth_of(kept, Selection(dag="nothing")) is None


def test_what_growth_leads_to() -> None:
    """As much again each day, and nothing deleted."""
    total = UsagePart((), 1, 1, 0, 10 << 30)
    assert [growth_line(Growth(1 << 30, days), total) for days in (30.0, 7.2)] == [
        "growth: 1.0 GiB a day; at this rate 100.0 GiB in 90 days, if nothing is deleted",
        "growth: 1.0 GiB a day in the last 7 days; at this rate 100.0 GiB in 90 days, if nothing is deleted",
    ]


def test_bars_show_the_share() -> None:
    """To an eighth of a character; what is there at all can be seen, and terminals without blocks have another sign."""
    assert [bar(share, 4) for share in (0, 0.000001, 0.5, 0.53125, 1)] == ["", "▏", "██", "██▏", "████"]
    assert [bar(share, 4, blocks=False) for share in (0, 0.000001, 0.5, 1)] == ["", "#", "##", "####"]


@pytest.mark.parametrize(
    ("width", "by", "titles"),
    [
        (80, "dag", ["IN ROWS", "bar"]),
        (120, "dag", ["IN ROWS", "IN S3", "bar"]),
        (80, "dag,task", ["bar"]),
        (80, "dag,task,key", []),
        (200, "dag,task,key,run", ["IN ROWS", "IN S3", "bar"]),
    ],
)
def test_columns_make_room_for_names(width: int, by: str, titles: list[str]) -> None:
    """What is less important is left out of a table where names would have no room; machine formats have it all."""
    chosen = dimensions(by.split(","))
    columns = part_columns(chosen, UsagePart((), 0, 0, 0, 0), width=width, blocks=True, bars=True)
    shown = [(column.title or "").strip() or column.name for column in columns if column.title is not None]
    assert [title for title in shown if title in ("IN ROWS", "IN S3", "bar")] == titles
