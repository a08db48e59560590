from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.backend.golden import GoldenCase, golden_cases
from xcomctl_backend._reference import (
    Coordinates,
    Reference,
    coordinates_of,
    may_belong_to,
    object_key,
    object_metadata,
    quote_component,
    reference_document,
)
from xcomctl_backend.errors import ReferenceFormatError

UUID = "0c9f7c1e-3a52-4b7e-9d0a-0000deadbeef"
CASES = golden_cases()

ids = st.text(min_size=1, max_size=250)
coordinates = st.builds(
    Coordinates,
    dag_id=ids,
    run_id=ids,
    task_id=ids,
    map_index=st.integers(-1, 100_000),
    key=st.text(min_size=1, max_size=512),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
class TestGolden:
    """Every golden file is what this release of the backend writes."""

    def test_key(self, case: GoldenCase) -> None:
        """The key of a write is that of the golden file."""
        assert object_key(case.prefix, case.coordinates, case.uuid, case.suffix) == case.key

    def test_reference(self, case: GoldenCase) -> None:
        """The reference of a write is that of the golden file, to the last byte of its JSON."""
        reference = Reference.to_payload(
            case.bucket,
            case.key,
            case.codec,
            case.payload,
            type_name=case.reference["type"],
            index_columns=case.reference.get("index_columns", 0),
            name=case.reference.get("name"),
        )
        assert json.dumps(reference.to_json()) == json.dumps(case.reference)

    def test_metadata(self, case: GoldenCase) -> None:
        """The metadata of the object is that of the golden file."""
        assert object_metadata(case.coordinates, case.codec, case.reference["sha256"]) == case.metadata

    def test_read(self, case: GoldenCase) -> None:
        """The golden reference is read back, and names the bucket and the key of the object."""
        reference = Reference.from_json(case.reference)
        assert (reference.bucket, reference.key) == (case.bucket, case.key)
        assert reference.to_json() == case.reference

    def test_coordinates(self, case: GoldenCase) -> None:
        """The key gives the coordinates back, unless one was shortened."""
        if "%7E" in case.key.replace("/%7E", ""):
            assert coordinates_of(case.key) is not None
        else:
            assert coordinates_of(case.key) == case.coordinates

    def test_belongs(self, case: GoldenCase) -> None:
        """The object belongs to the row with these coordinates, shortened or not, and to no row of another task."""
        row: dict[str, Any] = {
            name: getattr(case.coordinates, name)
            for name in ("dag_id", "run_id", "task_id", "map_index", "key")
        }
        assert may_belong_to(case.key, case.prefix, row)
        assert not may_belong_to(case.key, case.prefix, {**row, "task_id": "another"})


@given(coordinates, st.sampled_from(["", "airflow/xcom", "p" * 400]))
def test_keys_fit_and_say_whose_they_are(where: Coordinates, prefix: str) -> None:
    """Any ids give a key of at most 1,024 bytes that S3 clients leave alone and that names its XCom."""
    key = object_key(prefix, where, UUID, "parquet")
    assert len(key.encode()) <= 1024
    assert key.isascii()
    assert not {"", ".", "..", ".xcomctl"} & set(key.split("/"))
    assert all(len(segment) <= 250 for segment in key[len(prefix) :].split("/"))
    row = {"dag_id": where.dag_id, "run_id": where.run_id, "task_id": where.task_id, "key": where.key}
    assert may_belong_to(key, prefix, {**row, "map_index": where.map_index})
    if "%7E" not in key:
        assert coordinates_of(key) == where


@given(st.text(), st.text())
def test_quoting_keeps_texts_apart(first: str, second: str) -> None:
    """Two texts quote alike only if they are the same, and quoting never gives the mark of what is cut or absent."""
    assert (quote_component(first) == quote_component(second)) == (first == second)
    assert "%7E" not in quote_component(first)


@given(
    st.text(min_size=1).flatmap(lambda text: st.tuples(st.just("x" * 400 + text), st.just("x" * 401 + text)))
)
def test_shortened_components_stay_apart(pair: tuple[str, str]) -> None:
    """Long ids that begin alike give different keys."""
    first, second = (object_key("", Coordinates("d", "r", "t", -1, key), UUID, "json") for key in pair)
    assert first != second


@given(coordinates)
def test_metadata_fits(where: Coordinates) -> None:
    """Metadata is ASCII and never exceeds the 2 KB that S3 takes."""
    metadata = object_metadata(where, "parquet", "0" * 64)
    assert sum(len(name) + len(value) for name, value in metadata.items()) <= 2000
    assert all(value.isascii() for value in metadata.values())


@pytest.mark.parametrize(
    "key",
    [
        "xcom/etl/r1/t/-1/return_value/notes.txt",
        f"etl/r1/t/-1/{UUID}.json",
        f"xcom/etl/r1/t/x/return_value/{UUID}.json",
        f"xcom/etl//t/-1/return_value/{UUID}.json",
        f"xcom/etl/r1/t/-1/return_value/{UUID}",
        f"{UUID}.json",
        "",
    ],
)
def test_other_keys_are_not_of_the_layout(key: str) -> None:
    """A key of another shape has no coordinates."""
    assert coordinates_of(key) is None


def test_only_what_lies_under_the_prefix_belongs() -> None:
    """An object of another root belongs to no row, also where the names of the roots begin alike."""
    key = object_key("xcom-prod", Coordinates("d", "r", "t", -1, "k"), UUID, "json")
    assert may_belong_to(key, "xcom-prod", {"key": "k"})
    assert not may_belong_to(key, "xcom", {"key": "k"})


GOOD: dict[str, Any] = {
    "__xcomctl__": 1,
    "uri": "s3://b/k",
    "codec": "json",
    "size": 2,
    "sha256": "0" * 64,
}


def test_unknown_members_are_ignored() -> None:
    """A reference of a later release of format 1 is read."""
    assert Reference.from_json({**GOOD, "compression": "none", "type": 7}) == Reference(
        "s3://b/k", "json", 2, "0" * 64
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"__xcomctl__": 2}, "the row holds a reference of format 2"),
        ({"__xcomctl__": True}, "the row holds a reference of format True"),
        ({"uri": "gs://b/k"}, "`uri` is not s3://bucket/key"),
        ({"uri": "s3://b"}, "`uri` is not s3://bucket/key"),
        ({"codec": None}, "has no `codec`"),
        ({"size": -1}, "has no `size` in bytes"),
        ({"size": "2"}, "has no `size` in bytes"),
        ({"sha256": "abc"}, "has no `sha256` of 64 hex digits"),
    ],
)
def test_broken_references_are_refused(change: dict[str, Any], message: str) -> None:
    """A reference of another version or with a wrong member is an error that says which."""
    with pytest.raises(ReferenceFormatError, match=message.replace("(", r"\(")):
        Reference.from_json({**GOOD, **change})


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (json.dumps(GOOD).encode(), True),
        (GOOD, True),
        (b'{"a": "__xcomctl__"}', False),
        (b'{"__xcomctl__": ', False),
        (b'["__xcomctl__"]', False),
        (b"\x80\x04__xcomctl__", False),
        ({"a": GOOD}, False),
        ([GOOD], False),
        (json.dumps(GOOD), False),
        (None, False),
        (42, False),
    ],
)
def test_a_reference_is_the_whole_value_of_a_row(stored: object, found: bool) -> None:
    """Only a marked object at the top is a reference: in bytes (Airflow 2) or decoded (Airflow 3)."""
    assert reference_document(stored) == (GOOD if found else None)
