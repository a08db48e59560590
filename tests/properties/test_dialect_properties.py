"""For every dialect and all legal ids: what a backend writes is found again, exactly."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.dialects import values
from xcomctl.dialects.interface import Confidence
from xcomctl.dialects.patterns import compiled
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.models import ObjectAddress, Root

DIALECTS = DialectRegistry()
BUCKET = "xcoms"
RESERVED = (".", "..", ".xcomctl")


@dataclass(frozen=True)
class Written:
    """What a backend leaves behind: the value in the row, the key of the object, and whose XCom it is."""

    dialect: str
    value: Any
    key: str
    unique: str
    coordinates: dict[str, Any]
    confidence: Confidence
    root: Root = field(default=Root(BUCKET))


# Airflow's own grammars: ids of DAGs and tasks, and the default `allowed_run_id_pattern`.
ids = st.from_regex(r"[\w.-]{1,40}", fullmatch=True).filter(lambda text: text not in RESERVED)
run_ids = st.from_regex(r"[A-Za-z0-9_.~:+-]{1,60}", fullmatch=True).filter(lambda text: text not in RESERVED)
xcom_keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
uuids = st.uuids(version=4).map(str)
prefixes = st.lists(ids, max_size=2).map(lambda parts: "".join(f"{part}/" for part in parts))
compressions = st.sampled_from(["", ".gz", ".bz2", ".xz", ".lzma", ".zip", ".zst", ".lz4", ".snappy"])


def quoted(text: str) -> str:
    """One component of a key of our backend, by the page on the reference format."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


@st.composite
def own(draw: st.DrawFn) -> Written:
    """Our backend."""
    unique, prefix = draw(uuids), draw(prefixes)
    ours = {"dag_id": draw(ids), "run_id": draw(run_ids), "task_id": draw(ids)}
    map_index, key = draw(st.integers(-1, 5000)), draw(xcom_keys)
    folder = "/".join([*map(quoted, ours.values()), str(map_index), quoted(key)])
    full = f"{prefix}{folder}/{unique}.{draw(st.sampled_from(['parquet', 'csv', 'json.gz', 'bin']))}"
    value = {"__xcomctl__": 1, "uri": f"s3://{BUCKET}/{full}", "codec": "json", "size": 3}
    return Written(
        "xcomctl",
        value,
        full,
        unique,
        {**ours, "map_index": map_index, "key": key},
        "exact",
        Root(BUCKET, prefix),
    )


@st.composite
def common_io(draw: st.DrawFn) -> Written:
    """Airflow's object storage backend until 1.10."""
    unique, prefix = draw(uuids), draw(prefixes)
    ours = {"dag_id": draw(ids), "run_id": draw(run_ids), "task_id": draw(ids)}
    full = f"{prefix}{'/'.join(ours.values())}/{unique}{draw(compressions)}"
    connection = draw(st.sampled_from(["", "aws_default@", "a.b-c@"]))
    return Written(
        "common-io", f"s3://{connection}{BUCKET}/{full}", full, unique, ours, "exact", Root(BUCKET, prefix)
    )


@st.composite
def common_io_attempt(draw: st.DrawFn) -> Written:
    """Airflow's object storage backend from 1.11 on 3.4, for keys that it need not replace by a digest."""
    prefix, key = draw(prefixes), draw(xcom_keys.filter(lambda text: len(quote(text, safe="")) <= 200))
    ours = {"dag_id": draw(ids), "run_id": draw(run_ids), "task_id": draw(ids)}
    name = quote(key, safe="")
    if not name.strip("."):
        name = name.replace(".", "%2E")
    unique = f"{draw(st.sampled_from(['ti', 'write']))}-{draw(uuids)}/{name}.json{draw(compressions)}"
    full = f"{prefix}{'/'.join(ours.values())}/{unique}"
    return Written(
        "common-io-attempt",
        f"s3://aws_default@{BUCKET}/{full}",
        full,
        unique,
        {**ours, "key": key},
        "exact",
        Root(BUCKET, prefix),
    )


@st.composite
def xcom_s3(draw: st.DrawFn) -> Written:
    """The tutorials and the article, with a flat key."""
    unique = draw(uuids)
    key = draw(st.sampled_from(["data_{}", "data_csv_{}", "data_dat_{}", "data_{}.json"])).format(unique)
    return Written("xcom-s3", f"xcom_s3://{key}", key, unique, {}, "configured")


@st.composite
def xcom_s3_bucket(draw: st.DrawFn) -> Written:
    """The one that names its bucket, in its layout with coordinates."""
    unique = draw(uuids)
    ours = {"dag_id": draw(ids), "run_id": draw(run_ids), "task_id": draw(ids)}
    key = f"airflow/xcom/{'/'.join(ours.values())}/data_{unique}.csv"
    return Written("xcom-s3-bucket", f"xcom_s3://{BUCKET}/{key}", key, unique, ours, "exact")


@st.composite
def xcom_s3_run(draw: st.DrawFn) -> Written:
    """The second tutorial; a run id that is no bucket's name makes it certain."""
    unique, run_id, task_id = draw(uuids), draw(run_ids.filter(lambda text: text != BUCKET)), draw(ids)
    key = f"{run_id}/{task_id}/data_{unique}.{draw(st.sampled_from(['json', 'csv']))}"
    certain = re.search(r"[^a-z0-9.-]", run_id) is not None
    coordinates = {"run_id": run_id, "task_id": task_id}
    return Written(
        "xcom-s3-run", f"xcom_s3://{key}", key, unique, coordinates, "configured" if certain else "ambiguous"
    )


@st.composite
def astronomer(draw: st.DrawFn) -> Written:
    """The package astronomer-providers."""
    unique = draw(uuids)
    key = f"s3_xcom_{unique}{draw(st.sampled_from(['', '_dataframe', '_datetime', '.gz', '_dataframe.gz']))}"
    return Written("astronomer-providers", key, key, unique, {}, "configured")


@st.composite
def s3_url(draw: st.DrawFn) -> Written:
    """The tutorials that store an address, under a root that the user gave."""
    unique = draw(uuids)
    key = f"{draw(st.sampled_from(['xcom', 'xcoms', 'xcom_payloads']))}/{unique}.{draw(st.sampled_from(['json', 'pkl']))}"
    return Written("s3-url", f"s3://{BUCKET}/{key}", key, unique, {}, "exact")


written = st.one_of(
    own(),
    common_io(),
    common_io_attempt(),
    xcom_s3(),
    xcom_s3_bucket(),
    xcom_s3_run(),
    astronomer(),
    s3_url(),
)
NESTINGS: list[Callable[[Any], Any]] = [
    lambda value: value,
    lambda value: [1, value, "x"],
    lambda value: {"é": {"part": value, "n": None}},
    lambda value: [json.dumps(value)],
    lambda value: {"a": json.dumps([value])},
]
nested = st.lists(st.sampled_from(NESTINGS), max_size=3)


def encoded(value: Any, layers: int, ascii_only: bool) -> bytes:
    """As Airflow stores it: JSON, up to three times, with or without escapes for what is beyond ASCII."""
    for _ in range(layers):
        value = json.dumps(value, ensure_ascii=ascii_only)
    return str(value).encode()


@given(written, nested, st.integers(1, 3), st.booleans())
def test_a_reference_resolves_to_the_object_that_was_written_however_it_is_nested(
    case: Written, nesting: list[Callable[[Any], Any]], layers: int, ascii_only: bool
) -> None:
    """One reference, its dialect, and the object first among its addresses; alone there if it is exact or has one root."""
    value = case.value
    for wrap in nesting:
        value = wrap(value)

    found = DIALECTS.references(encoded(value, layers, ascii_only), [Root(BUCKET)])

    certain = [reference for reference in found if reference.confidence != "ambiguous"] or found
    assert [(reference.dialect, reference.confidence) for reference in certain] == [
        (case.dialect, case.confidence)
    ]
    assert certain[0].addresses[0] == ObjectAddress(BUCKET, case.key)
    if case.confidence != "ambiguous" and case.dialect != "xcom-s3-bucket":
        assert len(certain[0].addresses) == 1
    if case.dialect in ("xcomctl", "common-io", "common-io-attempt"):
        assert certain[0].root == case.root


@given(written)
def test_a_key_is_claimed_by_its_dialect_with_the_coordinates(case: Written) -> None:
    """Whatever legal ids it was made of."""
    claim = DIALECTS.claim(case.key)

    assert claim is not None
    assert (claim.dialect, claim.unique) == (case.dialect, case.unique)
    assert {name: getattr(claim, name) for name in case.coordinates} == case.coordinates


@given(written, nested, st.integers(1, 3), st.booleans())
def test_what_is_unique_in_a_key_stands_in_the_text_of_the_value(
    case: Written, nesting: list[Callable[[Any], Any]], layers: int, ascii_only: bool
) -> None:
    """So that an object is kept even where no dialect can read the reference."""
    value = case.value
    for wrap in nesting:
        value = wrap(value)

    assert case.unique in values.search_text(encoded(value, layers, ascii_only))


@given(written, nested, st.integers(2, pickle.HIGHEST_PROTOCOL))
def test_a_reference_in_a_pickle_is_found_and_only_keeps(
    case: Written, nesting: list[Callable[[Any], Any]], protocol: int
) -> None:
    """Airflow 2 with pickling: ambiguous, with the object among the addresses, and the unique part in the text."""
    value = case.value
    for wrap in nesting:
        value = wrap(value)
    raw = pickle.dumps(value, protocol)

    found = DIALECTS.references(raw, [Root(BUCKET)])

    assert ObjectAddress(BUCKET, case.key) in {
        address for reference in found for address in reference.addresses
    }
    assert {reference.confidence for reference in found} == {"ambiguous"}
    assert case.unique in values.search_text(raw)


@given(written, st.sampled_from([".xcomctl/", "a/.xcomctl/trash/"]))
def test_nothing_in_the_folder_of_the_tool_is_ever_claimed(case: Written, folder: str) -> None:
    """Or the trash would be emptied into the trash."""
    assert DIALECTS.claim(folder + case.key) is None


# Halves of surrogate pairs included: JSON can hold them, a key cannot.
anything = st.text(st.characters(), max_size=60)
odd_values = st.one_of(
    st.binary(max_size=200),
    anything.map(lambda text: json.dumps(f"s3://b/{text}").encode()),
    anything.map(lambda text: json.dumps([f"{text}xcom_s3://{text}"]).encode()),
    anything.map(
        lambda text: json.dumps({"__xcomctl__": 2, "uri": f"s3://b/{text}", "codec": text}).encode()
    ),
    anything.map(lambda text: json.dumps({"s3_key": text, "bucket": text}).encode()),
    anything.map(lambda text: f"s3://b/{text}".encode("utf-8", "surrogatepass")),
    anything.map(lambda text: b"\x80\x04" + text.encode("utf-8", "surrogatepass") + b"s3://b/k"),
)


@given(odd_values)
def test_no_value_makes_the_reading_fail(raw: bytes) -> None:
    """Values are other people's data: reading them gives references or none, and what it gives can be written down."""
    for reference in DIALECTS.references(raw, [Root(BUCKET)]):
        assert reference.confidence == "ambiguous"
        for text in (
            reference.text,
            reference.codec or "",
            *(address.uri for address in reference.addresses),
        ):
            text.encode()


@pytest.fixture(scope="module")
def connection() -> Any:
    """A DuckDB, for its RE2."""
    with duckdb.connect() as connection:
        yield connection


PARTS = [
    "data_",
    "s3_xcom_",
    "xcom/",
    "airflow/",
    "ti-",
    "/",
    ".",
    "..",
    "%2F",
    "é",
    "\n",
    "-1",
    ".json",
    ".gz",
    "a",
]
near_keys = st.builds(
    lambda case, position, part: case.key[:position] + part + case.key[position:],
    written,
    st.integers(0, 150),
    st.sampled_from(PARTS),
)


@given(near_keys)
def test_python_and_re2_agree_on_keys_that_are_nearly_right(
    connection: duckdb.DuckDBPyConnection, key: str
) -> None:
    """Patterns are applied by one engine to a single key and by the other to all."""
    for pattern in DIALECTS.key_patterns():
        match = compiled(pattern.pattern).search(key)
        expected = match and {name: group or "" for name, group in match.groupdict().items()}
        names = list(re.compile(pattern.pattern).groupindex)

        row = connection.execute(
            "select regexp_extract(?, ?, ?) where regexp_matches(?, ?)",
            [key, pattern.pattern, names, key, pattern.pattern],
        ).fetchone()

        assert (row and row[0]) == expected
