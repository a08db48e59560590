from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.schemas.airflow_database import NEWEST, SHAPES, AirflowDatabase
from tests.services.fault_proxy import fault_proxy
from tests.services.object_stores import MotoServer, buckets, point_to
from tests.services.store_faults import denied
from xcomctl.airflow.database import DatabaseSource
from xcomctl.airflow.interface import Selection
from xcomctl.airflow.naming import XComName, readings
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.errors import NotFoundError, StoreError, UsageError
from xcomctl.look.codecs.interface import PreviewOptions, TreePreview
from xcomctl.look.preview import Found, find, preview, stored_bytes
from xcomctl.models import ObjectAddress, Root
from xcomctl.s3.store import S3Settings, S3Store

UUID = "51bf3946-dfc4-4801-8406-2b278fa739d5"
COMMON_IO = f"s3://aws_default@xcoms/base/etl/run_1/load/{UUID}"
OBJECT = f"s3://xcoms/base/etl/run_1/load/{UUID}"
NAIVE = f"xcom_s3://data_dat_{UUID}"
OWN = {"__xcomctl__": 1, "uri": "s3://xcoms/ours/etl/x.json", "codec": "json", "size": 9, "sha256": "0" * 64}

one_shape = pytest.mark.parametrize("airflow", ["airflow-3"], indirect=True)
"""For what does not depend on how a generation stores values."""


class Parts:
    """What `show` may ask for; it fails where something is asked for that is not given."""

    def __init__(
        self, source: DatabaseSource | None = None, store: S3Store | None = None, roots: Sequence[str] = ()
    ) -> None:
        self._source = source
        self._store = store
        self.dialects = DialectRegistry()
        self.roots = [Root.parse(root) for root in roots]

    @property
    def source(self) -> DatabaseSource:
        """The database, if there is one."""
        assert self._source is not None, "no database is needed for this"
        return self._source

    @property
    def store(self) -> S3Store:
        """The store, if there is one."""
        assert self._store is not None, "no store is needed for this"
        return self._store


@pytest.fixture(params=SHAPES)
def airflow(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AirflowDatabase]:
    """An empty metadata database of each generation."""
    with AirflowDatabase(f"sqlite:///{tmp_path / 'airflow.db'}", request.param) as database:
        yield database.create()


@pytest.fixture
def source(airflow: AirflowDatabase) -> Iterator[DatabaseSource]:
    """The source on that database."""
    with closing(DatabaseSource(airflow.url)) as opened:
        yield opened


@pytest.fixture(scope="module")
def _buckets(moto_server: MotoServer) -> Iterator[None]:
    """Buckets that the references of these tests name."""
    with buckets(moto_server, "xcoms", "first", "second", "lake"):
        yield


@pytest.fixture
def server(moto_server: MotoServer, _buckets: None, monkeypatch: pytest.MonkeyPatch) -> MotoServer:
    """An S3 server with those buckets, empty."""
    point_to(monkeypatch, moto_server)
    return moto_server


Put = Callable[[str, bytes], None]


@pytest.fixture
def put(server: MotoServer) -> Iterator[Put]:
    """Writes an object at a URI, for the time of the test."""
    written: list[ObjectAddress] = []
    with closing(server.client()) as client:

        def put(uri: str, body: bytes) -> None:
            address = ObjectAddress.parse(uri)
            client.put_object(Bucket=address.bucket, Key=address.key, Body=body)
            written.append(address)

        yield put
        for address in written:
            client.delete_object(Bucket=address.bucket, Key=address.key)


@pytest.fixture
def store(server: MotoServer) -> Iterator[S3Store]:
    """The store on that server, which connects when it is first asked."""
    with closing(S3Store(S3Settings())) as opened:
        yield opened


def _value(found: Found) -> Any:
    shown = preview(found, PreviewOptions()).preview
    assert isinstance(shown, TreePreview)
    return shown.value


@pytest.mark.parametrize(
    ("ref", "names"),
    [
        ("etl/run_1/load", [XComName("etl", "run_1", "load")]),
        ("etl/run_1/load[3]", [XComName("etl", "run_1", "load", 3)]),
        ("etl/run_1/load[-1]:k", [XComName("etl", "run_1", "load", -1, "k")]),
        (
            "etl/manual__2024-01-01T00:00:00+00:00/group.load:a b",
            [XComName("etl", "manual__2024-01-01T00:00:00+00:00", "group.load", -1, "a b")],
        ),
        (
            "etl/run/load:path/with é:key?#[2]",
            [XComName("etl", "run", "load", -1, "path/with é:key?#[2]")],
        ),
        (
            "etl/run/load:path/key",
            [XComName("etl", "run", "load", -1, "path/key"), XComName("etl", "run/load:path", "key")],
        ),
        ("etl/odd/run/load:k", [XComName("etl", "odd/run", "load", -1, "k")]),
        ("etl/run", []),
        ("etl//load", []),
        ("et l/run/load", []),
        ("etl/run/load:", []),
        ("etl/run/load[x]", []),
    ],
)
def test_readings(ref: str, names: list[XComName]) -> None:
    """A name is read in every way that it may be meant, the shortest run id first."""
    assert list(readings(ref)) == names


def test_row_with_any_key(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """A key with slashes, colons and wildcards names its row, and no other."""
    keys = ("a/b:c", "path/with é key?#", "*", "k[1]", "a b")
    for key in ("a/b/c", *keys):
        airflow.add_xcom("etl", "run_1", "load", f"value of {key}", key=key)
    found = [find(f"etl/run_1/load:{key}", Parts(source)) for key in keys]
    assert [(each.ref, each.row.key, each.row.raw) for each in found if each.row is not None] == [
        (f"etl/run_1/load:{key}", key, json.dumps(f"value of {key}").encode()) for key in keys
    ]


def test_latest_is_the_newest_run(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """`latest` is the newest run of the DAG that has XComs."""
    airflow.add_xcom("etl", "run_2", "load", 2, at=NEWEST - timedelta(days=1))
    airflow.add_xcom("etl", "run_1", "load", 1, at=NEWEST - timedelta(days=2))
    airflow.add_run("etl", "run_3", at=NEWEST)
    airflow.add_xcom("other", "run_9", "load", 3, at=NEWEST)
    assert find("etl/latest/load", Parts(source)).ref == "etl/run_2/load:return_value"


def test_short_id(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """The id that `ls` prints finds its row, in capital letters too."""
    for key in ("return_value", "other", "third"):
        airflow.add_xcom("etl", "run_1", "load", key, key=key)
    rows = list(source.rows(Selection()))
    for spelled in (str.lower, str.upper):
        found = [find(spelled(row.short_id), Parts(source)).row for row in rows]
        assert found == rows
    assert {row.key for row in rows} == {"return_value", "other", "third"}


@pytest.mark.parametrize("airflow", ["airflow-3.4"], indirect=True)
def test_earlier_attempt_is_named(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Where only an earlier attempt wrote an XCom, the error says how to see that one."""
    airflow.add_xcom("etl", "run_1", "load", "first try", try_number=1, archived=True)
    airflow.add_task("etl", "run_1", "load", try_number=2)
    (old,) = source.rows(Selection(all_attempts=True))
    assert (old.superseded, old.raw) == (True, b'"first try"')
    with pytest.raises(NotFoundError) as caught:
        find("etl/run_1/load", Parts(source))
    assert str(caught.value) == "only an earlier attempt wrote etl/run_1/load:return_value"
    assert caught.value.hint == f"xcomctl show {old.short_id} shows that one"
    assert find(old.short_id, Parts(source)).row == old


def test_inline_value_asks_no_store(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """An inline value is shown without a store; `--raw` gives it as it is in the row."""
    airflow.add_xcom("etl", "run_1", "load", {"a": [1]})
    found = find("etl/run_1/load", Parts(source))
    shown = preview(found, PreviewOptions())
    assert (shown.preview, shown.codec, shown.bytes_fetched) == (TreePreview({"a": [1]}), "json", None)
    assert b"".join(stored_bytes(found)) == b'{"a": [1]}'


def test_sql_null(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """SQL NULL is shown as null, and said to be SQL NULL."""
    airflow.add_xcom("etl", "run_1", "load", 1)
    airflow.execute(f"UPDATE {airflow.table} SET value = NULL")
    shown = preview(find("etl/run_1/load", Parts(source)), PreviewOptions())
    assert (shown.preview, shown.notes) == (TreePreview(None), ("the row holds SQL NULL",))


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_reference_is_followed(
    layers: int, airflow: AirflowDatabase, source: DatabaseSource, put: Put, store: S3Store
) -> None:
    """A value that is a reference leads to its object, however often the string was encoded."""
    value = COMMON_IO
    for _ in range(layers):
        value = json.dumps(value)
    airflow.add_xcom("etl", "run_1", "load", value)
    put(OBJECT, b"[1, 2]")
    found = find("etl/run_1/load", Parts(source, store))
    assert (_value(found), found.size, found.held) == ([1, 2], 6, ())
    assert b"".join(stored_bytes(found)) == b"[1, 2]"


def test_own_reference_is_followed(
    airflow: AirflowDatabase, source: DatabaseSource, put: Put, store: S3Store
) -> None:
    """A dict that is a reference as a whole leads to its object."""
    airflow.add_xcom("etl", "run_1", "load", OWN)
    put("s3://xcoms/ours/etl/x.json", b'{"a": 1}')
    assert _value(find("etl/run_1/load", Parts(source, store))) == {"a": 1}


def test_reference_inside_is_listed(airflow: AirflowDatabase, source: DatabaseSource, store: S3Store) -> None:
    """A list or dict that holds references is shown itself, with the references listed; no object is asked for."""
    values = ({"first": COMMON_IO, "n": 1}, [OWN, 2], {"part": OWN})
    for index, value in enumerate(values):
        airflow.add_xcom("etl", "run_1", "load", value, map_index=index)
    for index, value in enumerate(values):
        found = find(f"etl/run_1/load[{index}]", Parts(source, store))
        assert (_value(found), found.object, len(found.held)) == (value, None, 1)
    assert store.closed


@one_shape
def test_reference_without_bucket_tries_the_roots(
    airflow: AirflowDatabase, source: DatabaseSource, put: Put, store: S3Store
) -> None:
    """A reference without a bucket is looked for under every root and at the top of its bucket."""
    airflow.add_xcom("etl", "run_1", "load", NAIVE)
    parts = Parts(source, store, ["s3://first/prefix", "s3://second/prefix"])
    for uri in (f"s3://second/data_dat_{UUID}", f"s3://first/prefix/data_dat_{UUID}"):
        put(uri, b"[]")
        found = find("etl/run_1/load", parts)
        assert found.object is not None
        assert found.object.address.uri == uri


@one_shape
def test_reference_without_bucket_and_root(airflow: AirflowDatabase, source: DatabaseSource) -> None:
    """Without a root such a reference is a usage error that says what to type."""
    airflow.add_xcom("etl", "run_1", "load", NAIVE)
    for ref in ("etl/run_1/load", NAIVE):
        with pytest.raises(UsageError) as caught:
            find(ref, Parts(source))
        assert caught.value.hint == "add --store s3://bucket/prefix"


@one_shape
def test_dangling_reference(airflow: AirflowDatabase, source: DatabaseSource, store: S3Store) -> None:
    """A certain reference whose object is gone is an error, not a preview of the reference."""
    airflow.add_xcom("etl", "run_1", "load", COMMON_IO)
    with pytest.raises(NotFoundError) as caught:
        find("etl/run_1/load", Parts(source, store))
    assert str(caught.value) == f"etl/run_1/load:return_value is dangling: its object {OBJECT} does not exist"


@one_shape
def test_denied_is_not_dangling(airflow: AirflowDatabase, source: DatabaseSource, server: MotoServer) -> None:
    """Where the store denies access the error is the store's."""
    airflow.add_xcom("etl", "run_1", "load", COMMON_IO)
    with (
        fault_proxy(server, denied("xcoms")) as closed,
        closing(S3Store(S3Settings(endpoint_url=closed.endpoint_url))) as store,
    ):
        with pytest.raises(StoreError) as caught:
            find("etl/run_1/load", Parts(source, store))
        assert str(caught.value) == f"access to {OBJECT} at {closed.endpoint_url} is denied"


@one_shape
@pytest.mark.parametrize("closed", [(), ("lake",)])
def test_ambiguous_reference_without_object_is_a_value(
    closed: tuple[str, ...], airflow: AirflowDatabase, source: DatabaseSource, server: MotoServer
) -> None:
    """A plain URL may be the user's own data: where there is no such object, the value itself is shown, and a note."""
    airflow.add_xcom("etl", "run_1", "load", "s3://lake/tables/orders.parquet")
    with (
        fault_proxy(server, denied(*closed)) as faulty,
        closing(S3Store(S3Settings(endpoint_url=faulty.endpoint_url))) as store,
    ):
        found = find("etl/run_1/load", Parts(source, store))
    assert _value(found) == "s3://lake/tables/orders.parquet"
    assert len(found.notes) == 1
    assert found.notes[0].startswith("the value may be a reference")


@one_shape
def test_ambiguous_reference_with_object_is_followed(
    airflow: AirflowDatabase, source: DatabaseSource, put: Put, store: S3Store
) -> None:
    """A plain URL whose object exists leads to it."""
    airflow.add_xcom("etl", "run_1", "load", "s3://lake/tables/orders.json")
    put("s3://lake/tables/orders.json", b"[1]")
    assert _value(find("etl/run_1/load", Parts(source, store))) == [1]


@pytest.mark.parametrize(
    "ref",
    [
        OBJECT,
        OBJECT.replace("s3://", "s3a://"),
        COMMON_IO,
        json.dumps(COMMON_IO),
        json.dumps({**OWN, "uri": OBJECT}),
    ],
)
def test_object_by_itself(ref: str, put: Put, store: S3Store) -> None:
    """A URI, a stored reference and its JSON name the object; no database is asked for. Its key tells where it is from."""
    put(OBJECT, b"[1]")
    found = find(ref, Parts(store=store))
    assert _value(found) == [1]
    assert found.claim is not None
    assert (found.row, found.claim.dag_id) == (None, "etl")


def test_missing_object_by_itself(store: S3Store) -> None:
    """A URI or reference whose object does not exist is not found."""
    for ref in ("s3://xcoms/nothing", COMMON_IO):
        with pytest.raises(NotFoundError):
            find(ref, Parts(store=store))


@pytest.mark.parametrize("ref", ["nonsense", "ftp://host/file", '{"a": 1}', '"text"', "gs://bucket/key"])
def test_no_reference(ref: str) -> None:
    """What is neither a name nor a reference is a mistake, and the hint says what to write."""
    with pytest.raises(UsageError) as caught:
        find(ref, Parts())
    assert caught.value.hint == "write dag/run/task:key, an id that xcomctl ls prints, or s3://bucket/key"


@pytest.mark.parametrize("airflow", ["airflow-2"], indirect=True)
def test_pickle_in_a_row(airflow: AirflowDatabase, source: DatabaseSource, store: S3Store) -> None:
    """A pickled value is looked at, not loaded, and what it mentions is listed, not followed."""
    raw = b"\x80\x04\x8c" + bytes([len(COMMON_IO)]) + COMMON_IO.encode() + b"\x94."
    airflow.add_xcom("etl", "run_1", "load", None, raw=raw)
    found = find("etl/run_1/load", Parts(source, store))
    assert preview(found, PreviewOptions()).codec == "pickle"
    assert b"".join(stored_bytes(found)) == raw
    assert [reference.confidence for reference in found.held] == ["ambiguous"]
    assert store.closed
