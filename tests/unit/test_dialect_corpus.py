"""The golden references and keys of tests/corpus/references, read by all dialects together. A new case is a line there."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from xcomctl.dialects.interface import Claim, Reference
from xcomctl.dialects.registry import BUILT_IN, DialectRegistry
from xcomctl.models import ObjectAddress, Root

CORPUS = Path(__file__).parents[1] / "corpus" / "references"


def cases(member: str) -> list[Any]:
    """Every line of the corpus that has this member."""
    return [
        pytest.param(case, id=f"{file.stem}: {case['case']}")
        for file in sorted(CORPUS.glob("*.jsonl"))
        for case in map(json.loads, file.read_text(encoding="utf-8").split("\n")[:-1])
        if member in case
    ]


def raw_of(case: dict[str, Any]) -> bytes:
    """The stored value of a case: `json` is encoded once, `raw` is as it stands, `raw_hex` are bytes."""
    if "raw_hex" in case:
        return bytes.fromhex(case["raw_hex"])
    return str(case["raw"] if "raw" in case else json.dumps(case["json"])).encode()


def as_data(found: Reference | Claim) -> dict[str, Any]:
    """The form of the corpus: addresses and roots as URIs, what is None left out."""
    document = {field.name: getattr(found, field.name) for field in fields(found)}
    if isinstance(found, Reference):
        document["addresses"] = [address.uri for address in found.addresses]
        document["root"] = found.root and found.root.uri
    return {name: value for name, value in document.items() if value is not None}


@pytest.mark.parametrize("case", cases("references"))
def test_a_stored_value_holds_exactly_the_references_of_the_corpus(case: dict[str, Any]) -> None:
    """Dialect, text, addresses, confidence, codec, size, checksum and root are as written down."""
    roots = [Root.parse(uri) for uri in case["roots"]]

    found = DialectRegistry().references(raw_of(case), roots)

    assert [as_data(reference) for reference in found] == case["references"]


@pytest.mark.parametrize("case", cases("key"))
def test_a_key_is_claimed_as_the_corpus_says_or_not_at_all(case: dict[str, Any]) -> None:
    """A dialect claims what its backend writes, with the coordinates; everything else is foreign."""
    claim = DialectRegistry().claim(case["key"])

    assert (claim and as_data(claim)) == case["claim"]


@pytest.mark.parametrize("case", cases("references"))
def test_a_reference_that_a_user_pastes_reads_like_the_stored_one(case: dict[str, Any]) -> None:
    """What `ls` prints as a reference can be given to `show`."""
    roots = [Root.parse(uri) for uri in case["roots"]]
    registry = DialectRegistry()
    for expected in case["references"]:
        found = registry.reference_of(expected["text"], roots)
        if expected["dialect"] not in ("xcomctl", "dict-forms"):
            assert found is not None
            assert as_data(found)["addresses"] == expected["addresses"]


def test_every_dialect_has_a_corpus_of_its_own() -> None:
    """A dialect without golden references does not ship."""
    assert sorted(file.stem for file in CORPUS.glob("*.jsonl")) == sorted(BUILT_IN)


def golden_files() -> list[Any]:
    """What the tests of the backend hold it to."""
    return [pytest.param(file, id=file.stem) for file in sorted((CORPUS / "xcomctl").glob("*.json"))]


@pytest.mark.parametrize("file", golden_files())
def test_what_our_backend_must_write_is_read_with_all_that_it_says(file: Path) -> None:
    """The golden files are the contract between the two distributions, which share no code."""
    golden = json.loads(file.read_text(encoding="utf-8"))
    reference = golden["reference"]
    prefix = f"{golden['prefix'].strip('/')}/" if golden["prefix"] else ""

    found = DialectRegistry().references(json.dumps(reference).encode(), [])

    assert found == [
        Reference(
            "xcomctl",
            reference["uri"],
            (ObjectAddress(golden["bucket"], golden["key"]),),
            "exact",
            codec=reference["codec"],
            size=reference["size"],
            sha256=reference["sha256"],
            root=Root(golden["bucket"], prefix),
        )
    ]


@pytest.mark.parametrize("file", golden_files())
def test_a_key_that_our_backend_must_write_gives_back_the_coordinates(file: Path) -> None:
    """Except those that had to be cut to fit S3's limit: a beginning of an id is not the id."""
    golden = json.loads(file.read_text(encoding="utf-8"))
    segments = golden["key"].split("/")[-6:]
    names = ("dag_id", "run_id", "task_id", "map_index", "key")
    expected = {
        name: None if "%7E" in segment else golden["coordinates"][name]
        for name, segment in zip(names, segments, strict=False)
    }

    claim = DialectRegistry().claim(golden["key"])

    assert claim is not None
    assert (claim.dialect, claim.unique) == ("xcomctl", golden["uuid"])
    assert {name: getattr(claim, name) for name in names} == expected
