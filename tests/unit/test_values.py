"""What stored values say, whatever encoded them."""

from __future__ import annotations

import json
import pickle
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xcomctl.dialects.values import Json, Null, Opaque, Pickled, decode, layers, search_text
from xcomctl.models import uuids_in

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
_KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@st.composite
def _nested(draw: st.DrawFn, leaf: str) -> Any:
    """`leaf`, somewhere inside of lists and dicts, among other text."""
    value: Any = draw(st.text(max_size=5)) + leaf + draw(st.text(max_size=5))
    for wrap in draw(st.lists(st.sampled_from(["list", "value", "key", "string"]), max_size=3)):
        if wrap == "list":
            value = [draw(_JSON), value]
        elif wrap == "value":
            value = {draw(st.text()): value}
        elif wrap == "key" and isinstance(value, str):
            value = {value: 1}
        elif wrap == "string":
            value = json.dumps(value, ensure_ascii=draw(st.booleans()))
    return value


@given(_JSON)
def test_json_is_decoded_once(value: Any) -> None:
    """What a release stored as JSON comes out as it went in."""
    assert decode(json.dumps(value).encode()) == Json(value)


@given(st.binary())
def test_decoding_never_fails(raw: bytes) -> None:
    """Any bytes are something; what begins like a pickle is never read as anything else."""
    value = decode(raw)
    assert isinstance(value, Pickled) == raw.startswith(b"\x80")
    search_text(raw)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (None, Null()),
        (b"", Opaque(b"")),
        (b"null", Json(None)),
        (b'"s3://b/k"', Json("s3://b/k")),
        (b"s3://b/k", Opaque(b"s3://b/k")),
        (b'"\xff"', Opaque(b'"\xff"')),
        (b"[" * 100_000, Opaque(b"[" * 100_000)),
        (pickle.dumps({"a": 1}, protocol=4), Pickled(pickle.dumps({"a": 1}, protocol=4))),
    ],
)
def test_a_value_is_what_it_looks_like(raw: bytes | None, value: object) -> None:
    """SQL NULL, JSON, pickles and the rest are told apart without loading anything."""
    assert decode(raw) == value


@given(_JSON, st.integers(0, 3))
def test_every_layer_of_a_multiply_encoded_value_is_seen(value: Any, times: int) -> None:
    """A list or object that was encoded up to three times more is among the layers."""
    document = {"value": value}
    encoded: Any = document
    for _ in range(times):
        encoded = json.dumps(encoded)
    assert document in list(layers(encoded))


def test_text_that_only_looks_like_json_is_one_layer() -> None:
    """A string that is no JSON list, object or string stays what it is."""
    assert [list(layers(value)) for value in ("{not json", "42", "s3://b/k", 7)] == [
        *(["{not json"], ["42"], ["s3://b/k"], [7]),
    ]


@given(
    st.data(), st.uuids(), st.sampled_from([str, lambda found: found.hex, lambda found: str(found).upper()])
)
def test_a_uuid_inside_a_value_is_found(
    data: st.DataObject, identity: uuid.UUID, spelling: Callable[[uuid.UUID], str]
) -> None:
    """However deep, and however often encoded, as long as it stands on its own."""
    text = spelling(identity)
    value = data.draw(_nested(f"/{text}."))
    for ensure_ascii in (True, False):
        raw = json.dumps(value, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass")
        assert text in search_text(raw)
        assert text.lower() in uuids_in(search_text(raw))


@given(st.data(), _KEYS)
def test_a_key_inside_a_value_is_found(data: st.DataObject, key: str) -> None:
    """A key is found by its plain text, whatever escapes JSON wrote for it."""
    value = data.draw(_nested(key))
    for ensure_ascii in (True, False):
        raw = json.dumps(value, ensure_ascii=ensure_ascii).encode("utf-8", "surrogatepass")
        assert key in search_text(raw)


@given(st.data(), _KEYS)
def test_a_key_inside_a_pickle_is_found(data: st.DataObject, key: str) -> None:
    """A pickle holds its strings as UTF-8; they are searched as bytes."""
    value = data.draw(st.sampled_from([key, [key], {"uri": key}, {key: 1}]))
    assert key in search_text(pickle.dumps(value, protocol=4))


def test_a_reference_beside_broken_bytes_is_found() -> None:
    """Bytes that are not UTF-8 hide nothing but themselves."""
    assert "s3://b/k" in search_text(b"\xff\xfes3://b/k\xff")
    assert search_text(None) == ""
