from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.unit.memory import MemoryStore
from xcomctl.codecs.interface import PreviewOptions, TreePreview
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import NotFoundError, StoreError, UsageError
from xcomctl.metadata.interface import RowOutcome, RowTarget, Selection, Snapshot, SortField, SourceInfo
from xcomctl.models import Root, Row
from xcomctl.naming import Name, readings
from xcomctl.preview import Found, find, preview, stored_bytes

UUID = "51bf3946-dfc4-4801-8406-2b278fa739d5"
COMMON_IO = f"s3://aws_default@xcoms/base/etl/run_1/load/{UUID}"
NAIVE = f"xcom_s3://data_dat_{UUID}"
OWN = {"__xcomctl__": 1, "uri": "s3://xcoms/ours/etl/x.json", "codec": "json", "size": 9, "sha256": "0" * 64}


class Rows:
    """A source whose rows are in memory, newest first."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows

    def rows(
        self,
        selection: Selection,
        *,
        sort: SortField = "written_at",
        descending: bool = True,
        limit: int | None = None,
    ) -> Iterator[Row]:
        """Rows by globs."""
        for row in self._rows[:limit]:
            pairs = (
                (selection.dag, row.dag_id),
                (selection.run, row.run_id),
                (selection.task, row.task_id),
                (selection.key, row.key),
            )
            if (
                all(glob is None or fnmatchcase(text or "", glob) for glob, text in pairs)
                and selection.map_index in (None, row.map_index)
                and (selection.all_attempts or not row.superseded)
            ):
                yield row

    def run_ids(self, dag_id: str, *, limit: int = 20) -> list[str]:
        """Runs, newest first."""
        return list(dict.fromkeys(row.run_id or "" for row in self._rows if row.dag_id == dag_id))[:limit]

    def row_by_short_id(self, short_id: str) -> Row | None:
        """By looking at all."""
        return next((row for row in self._rows if row.short_id == short_id), None)

    def dag_ids(self) -> set[str]:
        """Of all rows."""
        return {row.dag_id or "" for row in self._rows}

    def info(self) -> SourceInfo:
        """Never asked for."""
        raise NotImplementedError

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Never asked for."""
        raise NotImplementedError

    def delete_rows(self, targets: Sequence[RowTarget]) -> list[RowOutcome]:
        """Never asked for."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""


class Parts:
    """What `show` may ask for; it fails where something is asked for that is not given."""

    def __init__(
        self, rows: Sequence[Row] = (), store: MemoryStore | None = None, roots: Sequence[str] = ()
    ) -> None:
        self._rows = rows
        self._store = store
        self.dialects = DialectRegistry()
        self.roots = [Root.parse(root) for root in roots]

    @property
    def source(self) -> Rows:
        """The rows, if there are any."""
        assert self._rows, "no database is needed for this"
        return Rows(self._rows)

    @property
    def store(self) -> MemoryStore:
        """The store, if there is one."""
        assert self._store is not None, "no store is needed for this"
        return self._store


def _row(value: Any, **fields: Any) -> Row:
    known: dict[str, Any] = {
        "table": "xcom",
        "row_key": json.dumps(fields, sort_keys=True),
        "dag_run_id": 7,
        "dag_id": "etl",
        "run_id": "run_1",
        "task_id": "load",
        "map_index": -1,
        "key": "return_value",
        "written_at": datetime(2026, 11, 1, tzinfo=timezone.utc),
        "raw": value if value is None or isinstance(value, bytes) else json.dumps(value).encode(),
    }
    return Row(**{**known, **fields})


def _value(found: Found) -> Any:
    shown = preview(found, PreviewOptions()).preview
    assert isinstance(shown, TreePreview)
    return shown.value


@pytest.mark.parametrize(
    ("ref", "names"),
    [
        ("etl/run_1/load", [Name("etl", "run_1", "load")]),
        ("etl/run_1/load[3]", [Name("etl", "run_1", "load", 3)]),
        ("etl/run_1/load[-1]:k", [Name("etl", "run_1", "load", -1, "k")]),
        (
            "etl/manual__2024-01-01T00:00:00+00:00/group.load:a b",
            [Name("etl", "manual__2024-01-01T00:00:00+00:00", "group.load", -1, "a b")],
        ),
        (
            "etl/run/load:path/with é:key?#[2]",
            [Name("etl", "run", "load", -1, "path/with é:key?#[2]")],
        ),
        (
            "etl/run/load:path/key",
            [Name("etl", "run", "load", -1, "path/key"), Name("etl", "run/load:path", "key")],
        ),
        ("etl/odd/run/load:k", [Name("etl", "odd/run", "load", -1, "k")]),
        ("etl/run", []),
        ("etl//load", []),
        ("et l/run/load", []),
        ("etl/run/load:", []),
        ("etl/run/load[x]", []),
    ],
)
def test_readings(ref: str, names: list[Name]) -> None:
    """A name is read in every way that it may be meant, the shortest run id first."""
    assert list(readings(ref)) == names


def test_row_with_any_key() -> None:
    """A key with slashes, colons and wildcards names its row, and no other."""
    for key in ("a/b:c", "path/with é key?#", "*", "k[1]", "a b"):
        row = _row(1, key=key)
        decoy = _row(2, key="a/b/c")
        assert find(f"etl/run_1/load:{key}", Parts([decoy, row])).row == row


def test_latest_is_the_newest_run() -> None:
    """`latest` is the newest run of the DAG that has XComs."""
    rows = [_row(3, dag_id="other", run_id="run_9"), _row(2, run_id="run_2"), _row(1)]
    assert find("etl/latest/load", Parts(rows)).ref == "etl/run_2/load:return_value"


def test_short_id() -> None:
    """The id that `ls` prints finds its row, in capital letters too."""
    rows = [_row(1), _row(2, key="other")]
    assert find(rows[1].short_id.upper(), Parts(rows)).row == rows[1]


def test_earlier_attempt_is_named() -> None:
    """Where only an earlier attempt wrote an XCom, the error says how to see that one."""
    old = _row(1, superseded=True)
    with pytest.raises(NotFoundError) as caught:
        find("etl/run_1/load", Parts([old]))
    assert str(caught.value) == "only an earlier attempt wrote etl/run_1/load:return_value"
    assert caught.value.hint == f"xcomctl show {old.short_id} shows that one"
    assert find(old.short_id, Parts([old])).row == old


def test_inline_value_asks_no_store() -> None:
    """An inline value is shown without a store; `--raw` gives it as it is in the row."""
    found = find("etl/run_1/load", Parts([_row({"a": [1]})]))
    shown = preview(found, PreviewOptions())
    assert (shown.preview, shown.codec, shown.bytes_fetched) == (TreePreview({"a": [1]}), "json", None)
    assert b"".join(stored_bytes(found)) == b'{"a": [1]}'


def test_sql_null() -> None:
    """SQL NULL is shown as null, and said to be SQL NULL."""
    shown = preview(find("etl/run_1/load", Parts([_row(None)])), PreviewOptions())
    assert (shown.preview, shown.notes) == (TreePreview(None), ("the row holds SQL NULL",))


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_reference_is_followed(layers: int) -> None:
    """A value that is a reference leads to its object, however often the string was encoded."""
    value = COMMON_IO
    for _ in range(layers):
        value = json.dumps(value)
    store = MemoryStore({f"s3://xcoms/base/etl/run_1/load/{UUID}": b"[1, 2]"})
    found = find("etl/run_1/load", Parts([_row(value)], store))
    assert (_value(found), found.size, found.held) == ([1, 2], 6, ())
    assert b"".join(stored_bytes(found)) == b"[1, 2]"


def test_own_reference_is_followed() -> None:
    """A dict that is a reference as a whole leads to its object."""
    store = MemoryStore({"s3://xcoms/ours/etl/x.json": b'{"a": 1}'})
    assert _value(find("etl/run_1/load", Parts([_row(OWN)], store))) == {"a": 1}


def test_reference_inside_is_listed() -> None:
    """A list or dict that holds references is shown itself, with the references listed; no object is asked for."""
    for value in ({"first": COMMON_IO, "n": 1}, [OWN, 2], {"part": OWN}):
        found = find("etl/run_1/load", Parts([_row(value)], MemoryStore({})))
        assert (_value(found), found.object, len(found.held)) == (value, None, 1)


def test_reference_without_bucket_tries_the_roots() -> None:
    """A reference without a bucket is looked for under every root and at the top of its bucket."""
    store = MemoryStore({f"s3://second/data_dat_{UUID}": b"[]"})
    parts = Parts([_row(NAIVE)], store, ["s3://first/prefix", "s3://second/prefix"])
    found = find("etl/run_1/load", parts)
    assert found.object is not None
    assert found.object.address.uri == f"s3://second/data_dat_{UUID}"


def test_reference_without_bucket_and_root() -> None:
    """Without a root such a reference is a usage error that says what to type."""
    for ref in ("etl/run_1/load", NAIVE):
        with pytest.raises(UsageError) as caught:
            find(ref, Parts([_row(NAIVE)]))
        assert caught.value.hint == "add --store s3://bucket/prefix"


def test_dangling_reference() -> None:
    """A certain reference whose object is gone is an error, not a preview of the reference."""
    with pytest.raises(NotFoundError) as caught:
        find("etl/run_1/load", Parts([_row(COMMON_IO)], MemoryStore({})))
    uri = f"s3://xcoms/base/etl/run_1/load/{UUID}"
    assert str(caught.value) == f"etl/run_1/load:return_value is dangling: its object {uri} does not exist"


def test_denied_is_not_dangling() -> None:
    """Where the store denies access the error is the store's."""
    with pytest.raises(StoreError) as caught:
        find("etl/run_1/load", Parts([_row(COMMON_IO)], MemoryStore({}, denied=frozenset({"xcoms"}))))
    assert str(caught.value) == "access to xcoms is denied"


@pytest.mark.parametrize("denied", [frozenset[str](), frozenset({"lake"})])
def test_ambiguous_reference_without_object_is_a_value(denied: frozenset[str]) -> None:
    """A plain URL may be the user's own data: where there is no such object, the value itself is shown, and a note."""
    parts = Parts([_row("s3://lake/tables/orders.parquet")], MemoryStore({}, denied=denied))
    found = find("etl/run_1/load", parts)
    assert _value(found) == "s3://lake/tables/orders.parquet"
    assert len(found.notes) == 1
    assert found.notes[0].startswith("the value may be a reference")


def test_ambiguous_reference_with_object_is_followed() -> None:
    """A plain URL whose object exists leads to it."""
    store = MemoryStore({"s3://lake/tables/orders.json": b"[1]"})
    assert _value(find("etl/run_1/load", Parts([_row("s3://lake/tables/orders.json")], store))) == [1]


@pytest.mark.parametrize(
    "ref",
    [
        f"s3://xcoms/base/etl/run_1/load/{UUID}",
        f"s3a://xcoms/base/etl/run_1/load/{UUID}",
        COMMON_IO,
        json.dumps(COMMON_IO),
        json.dumps({**OWN, "uri": f"s3://xcoms/base/etl/run_1/load/{UUID}"}),
    ],
)
def test_object_by_itself(ref: str) -> None:
    """A URI, a stored reference and its JSON name the object; no database is asked for. Its key tells where it is from."""
    store = MemoryStore({f"s3://xcoms/base/etl/run_1/load/{UUID}": b"[1]"})
    found = find(ref, Parts(store=store))
    assert _value(found) == [1]
    assert found.claim is not None
    assert (found.row, found.claim.dag_id) == (None, "etl")


def test_missing_object_by_itself() -> None:
    """A URI or reference whose object does not exist is not found."""
    for ref in ("s3://xcoms/nothing", COMMON_IO):
        with pytest.raises(NotFoundError):
            find(ref, Parts(store=MemoryStore({})))


@pytest.mark.parametrize("ref", ["nonsense", "ftp://host/file", '{"a": 1}', '"text"', "gs://bucket/key"])
def test_no_reference(ref: str) -> None:
    """What is neither a name nor a reference is not found, and the hint says what to write."""
    with pytest.raises(NotFoundError) as caught:
        find(ref, Parts(store=MemoryStore({})))
    assert caught.value.hint == "write dag/run/task:key, an id that xcomctl ls prints, or s3://bucket/key"


def test_pickle_in_a_row() -> None:
    """A pickled value is looked at, not loaded, and what it mentions is listed, not followed."""
    raw = b"\x80\x04\x8c" + bytes([len(COMMON_IO)]) + COMMON_IO.encode() + b"\x94."
    found = find("etl/run_1/load", Parts([_row(raw)], MemoryStore({})))
    assert preview(found, PreviewOptions()).codec == "pickle"
    assert [reference.confidence for reference in found.held] == ["ambiguous"]
