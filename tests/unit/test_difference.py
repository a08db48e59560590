from __future__ import annotations

import io
import json
import pickle
import zipfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from xcomctl.cli.output.differences import print_difference, to_document
from xcomctl.errors import UsageError
from xcomctl.inventory.workspace import Resources
from xcomctl.look.difference import Change, Comparison, Difference, compare
from xcomctl.look.preview import Found
from xcomctl.models import Row

AT = datetime(2026, 11, 1, 6, tzinfo=timezone.utc)


def _found(content: bytes | Any, run: str) -> Found:
    """An XCom whose row holds this; what is not bytes as JSON."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    row = Row("xcom", "1", 7, "etl", run, "load", -1, "return_value", AT, raw)
    return Found(row.ref, row)


def _parquet(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def _compare(
    old: bytes | Any, new: bytes | Any, *on: str, limit: int | None = 20, rows: int | None = None
) -> Difference:
    return compare(
        _found(old, "r1"), _found(new, "r2"), Comparison(on=on, limit=limit, rows=rows), Resources(threads=1)
    )


def test_paths_of_dicts_and_lists() -> None:
    """Members and items that were added, removed or changed are told by their paths; 1 is 1.0, and not true."""
    old = {"a": 1, "b": [1, 2, {"c": None}], "gone": {"x": [1]}, "n": 1, "odd name": "é", "same": [[]]}
    new = {"a": True, "b": [1, 3, {"c": 0}, 4], "n": 1.0, "odd name": "e", "same": [[]], "late": []}
    found = _compare(old, new)
    assert found.changes == (
        Change(".a", "changed", 1, True),
        Change(".b[1]", "changed", 2, 3),
        Change(".b[2].c", "changed", None, 0),
        Change(".b[3]", "added", new=4),
        Change(".gone", "removed", old={"x": [1]}),
        Change('."odd name"', "changed", "é", "e"),
        Change(".late", "added", new=[]),
    )
    assert (found.total, found.same, found.rows) == (7, False, None)
    assert _compare(old, old).same
    assert _compare([1], [2, 3]).changes == (Change(".[0]", "changed", 1, 2), Change(".[1]", "added", new=3))


def test_items_of_a_list_by_key() -> None:
    """With a key, dicts in a list belong together wherever they stand."""
    old = [{"id": 1, "v": "a"}, {"id": 2, "v": "b"}]
    new = [{"id": 3, "v": "c"}, {"id": 2, "v": "B"}]
    assert _compare(old, new, "id").changes == (
        Change(".[id=1]", "removed", old=old[0]),
        Change(".[id=2].v", "changed", "b", "B"),
        Change(".[id=3]", "added", new=new[0]),
    )
    for wrong in ([{"id": 1}, {"id": 1}], [{"x": 1}], {"id": 1}, [1]):
        with pytest.raises(UsageError):
            _compare(wrong, wrong, "id")


def test_all_changes_are_counted_and_the_first_told() -> None:
    """A limit bounds what is told, not what is counted."""
    found = _compare(list(range(1000)), list(range(1, 1001)), limit=3)
    assert (found.total, len(found.changes)) == (1000, 3)
    assert len(_compare(list(range(100)), list(range(1, 101)), limit=None).changes) == 100


OLD = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "v": pa.array([0.5, float("nan"), None], pa.float64()),
        "name": pa.array(["a", "b", None]).dictionary_encode(),
        "at": pa.array([0, 1, 2], pa.timestamp("ms", "Europe/Berlin")),
        "took": pa.array([1, 2, 3], pa.duration("s")),
        "tags": pa.array([["x"], [], None], pa.list_(pa.string())),
        "gone": pa.array([b"\x00", None, b"\x01"], pa.binary()),
        "price": pa.array(["1.50", "2.00", None]).cast(pa.decimal128(5, 2)),
        "day": pa.array([1, 2, 3], pa.date32()),
        "big": pa.array([2**64 - 1, 0, 1], pa.uint64()),
    }
)


def test_tables_by_place() -> None:
    """Of two tables the columns, the rows and the cells are compared; types of one value, and NaN and null, are equal."""
    new = pa.table(
        {
            "v": pa.array([0.5, None, 0.25], pa.float32()),
            "id": pa.array([1, 2, 3, 4], pa.int32())[:3],
            "name": pa.array(["a", "b", "c"], pa.large_string()),
            "at": pa.array([0, 1_000, 5_000], pa.timestamp("us", "UTC")),
            "took": pa.array([1, 2, 3], pa.duration("s")),
            "tags": pa.array([["x"], ["y"], None], pa.list_(pa.string())),
            "price": pa.array(["1.50", "2.50", None]).cast(pa.decimal128(6, 2)),
            "day": pa.array([1, 2, 3], pa.date32()),
            "big": pa.array([2**64 - 1, 0, 1], pa.uint64()),
            "late": pa.array([True, False, None]),
        }
    )
    row = {
        "id": 1,
        "v": 0.5,
        "name": "a",
        "at": "1970-01-01T00:00:00Z",
        "took": "PT1S",
        "tags": '["x"]',
        "price": "1.50",
        "day": "1970-01-02",
        "big": 2**64 - 1,
    }
    found = _compare(_parquet(OLD, row_group_size=1), _parquet(pa.concat_tables([new, new[:1]])))
    assert [(each.name, each.change, each.old, each.new) for each in found.columns] == [
        ("id", "changed", "int64", "int32"),
        ("v", "changed", "double", "float"),
        ("name", "changed", "dictionary<string>", "large_string"),
        ("at", "changed", "timestamp[ms, tz=Europe/Berlin]", "timestamp[us, tz=UTC]"),
        ("gone", "removed", "binary", None),
        ("price", "changed", "decimal128(5, 2)", "decimal128(6, 2)"),
        ("late", "added", None, "bool"),
    ]
    assert found.rows == {"added": 1, "removed": 0, "changed": 2}
    assert found.cells == {"v": 1, "name": 1, "at": 1, "tags": 1, "price": 1}
    assert found.changes == (
        Change(".[1].tags", "changed", "[]", '["y"]'),
        Change(".[1].price", "changed", "2.00", "2.50"),
        Change(".[2].v", "changed", None, 0.25),
        Change(".[2].name", "changed", None, "c"),
        Change(".[2].at", "changed", "1970-01-01T00:00:00.002000Z", "1970-01-01T00:00:00.005000Z"),
        Change(".[3]", "added", new=row),
    )
    assert found.total == 6
    assert _compare(_parquet(OLD), _parquet(OLD, row_group_size=2)).same


def test_tables_by_key() -> None:
    """With key columns rows belong together wherever they stand; a key that is not unique is an error."""
    new = _parquet(OLD.take([2, 1]).select(["id", "name"]).append_column("v", pa.array([None, 7.0])))
    found = _compare(_parquet(OLD.select(["id", "v", "name"])), new, "id")
    assert found.changes == (
        Change(".[id=1]", "removed", old={"v": 0.5, "name": "a"}),
        Change(".[id=2].v", "changed", None, 7.0),
    )
    assert (found.rows, found.cells) == ({"added": 0, "removed": 1, "changed": 1}, {"v": 1})
    for key, cause in (("v", "v=None occurs twice on the old side"), ("x", "the old side has no column 'x'")):
        with pytest.raises(UsageError) as caught:
            _compare(_parquet(OLD.select(["id", "v"])), new, key)
        assert str(caught.value) == cause


def test_csv_and_parquet() -> None:
    """A table is compared whatever it is stored as; in a CSV, a number is what it reads as."""
    csv = b"id,v,name\n1,0.50,a\n2,,b\n3,x,\n"
    found = _compare(csv, _parquet(OLD.select(["id", "v", "name"])))
    assert found.changes == (Change(".[2].v", "changed", "x", None),)
    assert _compare(csv, csv.replace(b"x", b"y")).cells == {"v": 1}
    assert _compare(_parquet(OLD[:0]), _parquet(OLD)).rows == {"added": 3, "removed": 0, "changed": 0}


def test_columns_of_one_name_and_first_rows() -> None:
    """Columns of one name are told apart by their order; with a limit of rows the rest is left out, and a note says so."""
    twice = pa.table([pa.array([1, 2]), pa.array([3, 4])], names=["a", "a"])
    other = pa.table([pa.array([1, 2]), pa.array([3, 5])], names=["a", "a"])
    assert _compare(_parquet(twice), _parquet(other)).cells == {"a": 1}
    short = _compare(_parquet(twice), _parquet(other), rows=1)
    assert (short.same, short.notes) == (True, ("compared are the first 1 rows of each side",))


def test_texts_pickles_and_bytes(tmp_path: Path) -> None:
    """Texts are compared line by line, pickles by what they would import; what differs beyond that is said to."""
    assert _compare(b"a\nb\nc\n", b"a\nB\nc\nd\n").changes == (
        Change("line 2", "removed", old="b"),
        Change("line 2", "added", new="B"),
        Change("line 4", "added", new="d"),
    )
    long = b"".join(b"line %d\n" % number for number in range(5000))
    assert _compare(long, long.replace(b"line 77\n", b"other\n")).total == 1
    assert _compare(pickle.dumps(Path("a")), pickle.dumps(Path("b"))).changes == (
        Change(".strings[2]", "changed", "a", "b"),
    )
    noise = bytes(range(256)) * 8
    assert _compare(noise, noise).same
    assert _compare(noise, noise[::-1]).notes == ("the bytes differ, but not what is shown",)
    archives = [io.BytesIO(), io.BytesIO()]
    for archive, names in zip(archives, (("a", "b"), ("a", "c")), strict=True):
        with zipfile.ZipFile(archive, "w") as opened:
            for name in names:
                opened.writestr(name, name)
    assert _compare(archives[0].getvalue(), archives[1].getvalue()).cells == {"name": 1}
    assert _compare([1], b"plain words\n").changes == (Change(".", "changed", "tree", "text"),)


def test_lines_and_document() -> None:
    """People read signs, counts and paths, programs one JSON document; data steers no terminal."""
    found = _compare(b"id,v,x\n1,2,q\n2,3,q\n", b"id,v,\x1b[31m\n1,4,q\n2,3,q\n5,6,q\n")
    stream = io.StringIO()
    print_difference(found, Console(file=stream, width=80, markup=False))
    assert stream.getvalue().splitlines() == [
        "--- etl/r1/load:return_value (2 rows)",
        "+++ etl/r2/load:return_value (3 rows)",
        "- column x: string",
        "+ column \\x1b[31m: string",
        "rows   1 added, 1 changed",
        "cells  1 changed: v 1",
        "",
        "~ .[0].v: 2 -> 4",
        '+ .[2]: {"id": 5, "v": 6}',
    ]
    document = json.loads(json.dumps(to_document(found), allow_nan=False))
    assert (document["schema"], document["same"], document["total"]) == ("xcomctl.diff/1", False, 2)
    assert document["changes"][0] == {"path": ".[0].v", "change": "changed", "old": 2, "new": 4}
    assert document["columns"][0] == {"name": "x", "change": "removed", "old": "string", "new": None}
