"""What the dialects do with values that are no references: nothing, and fast."""

from __future__ import annotations

import json
import pickle

import pytest

from xcomctl.dialects import values
from xcomctl.dialects.registry import DialectRegistry
from xcomctl.models import ObjectAddress, Root

UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ROOTS = [Root("xcoms")]


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        b"42",
        b"null",
        b'"hello"',
        b'{"a": [1, 2, {"b": null}]}',
        b"\x80\x04K*.",
        b"\xff\xfe",
        b"[1, 2",
    ],
)
def test_a_plain_value_is_not_even_decoded(raw: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most rows are small and plain: they are told by a search for a few bytes."""

    def decode(raw: bytes | None) -> values.Value:
        raise AssertionError(raw)

    monkeypatch.setattr(values, "decode", decode)

    assert DialectRegistry().references(raw, ROOTS) == []


@pytest.mark.parametrize("bracket", ["[]", "{}"])
def test_no_depth_of_nesting_hides_a_reference(bracket: str) -> None:
    """What Python's JSON reader gives up on is searched as text."""
    depth = 200_000
    opening, closing = ("[", "]") if bracket == "[]" else ('{"a":', "}")
    raw = f'{opening * depth}"xcom_s3://data_{UUID}"{closing * depth}'.encode()

    found = DialectRegistry().references(raw, ROOTS)

    assert [reference.addresses for reference in found] == [(ObjectAddress("xcoms", f"data_{UUID}"),)]


def test_references_of_a_long_list_come_in_its_order_and_once() -> None:
    """Mapped tasks return thousands of them."""
    uris = [f"s3://c@xcoms/base/d/r/t/{number:08x}-4f89-41d3-9a0c-0305e82c3301" for number in range(5_000)]

    found = DialectRegistry().references(json.dumps(uris + uris).encode(), [])

    assert [reference.text for reference in found] == uris


def test_a_pickle_is_never_loaded() -> None:
    """Its opcodes are read for strings, and what it would call is not called."""

    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return pytest.fail, ("the pickle was loaded",)

    raw = pickle.dumps([Trap(), f"xcom_s3://data_dat_{UUID}"])

    found = DialectRegistry().references(raw, ROOTS)

    assert [(reference.addresses, reference.confidence) for reference in found] == [
        ((ObjectAddress("xcoms", f"data_dat_{UUID}"),), "ambiguous")
    ]


@pytest.mark.parametrize(
    "text", ["", "hello", "42", "[1, 2]", "{}", '"x"', "s3://bucket", "gs://b/k", "[" * 100_000]
)
def test_what_is_no_reference_reads_as_none(text: str) -> None:
    """So that `show` can go on with its other readings of an argument."""
    assert DialectRegistry().reference_of(text, ROOTS) is None


def test_the_json_of_a_reference_can_be_pasted() -> None:
    """As the database shows it: a string in quotes, or a JSON object."""
    dialects = DialectRegistry()
    uri = f"s3://c@xcoms/base/d/r/t/{UUID}"
    document = json.dumps({"__xcomctl__": 1, "uri": "s3://xcoms/a.csv", "codec": "csv"})

    pasted = [
        dialects.reference_of(text, []) for text in (uri, json.dumps(uri), document, json.dumps(document))
    ]

    assert [found and (found.dialect, found.addresses[0].uri) for found in pasted] == [
        ("common-io", f"s3://xcoms/base/d/r/t/{UUID}"),
        ("common-io", f"s3://xcoms/base/d/r/t/{UUID}"),
        ("xcomctl", "s3://xcoms/a.csv"),
        ("xcomctl", "s3://xcoms/a.csv"),
    ]
