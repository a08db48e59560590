"""Trees that our own backend writes are shown as people would write the value."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from xcomctl.look.codecs.interface import FramePreview, Payload, Preview, PreviewOptions, TreePreview
from xcomctl.look.codecs.registry import examine

GOLDEN = Path(__file__).parents[1] / "corpus" / "references" / "xcomctl"


def _preview(content: bytes, name: str) -> Preview:
    return examine(Payload(io.BytesIO(content), len(content), name), PreviewOptions()).preview


def test_a_tree_is_shown_as_its_value() -> None:
    """Types are shown as their values; enums by name, instances by field, zones by name."""
    shown = _preview((GOLDEN / "payloads" / "typed.json").read_bytes(), "x.json")
    assert shown == TreePreview(
        {
            "tuple": [1, [2.5, [3]]],
            "numbers": ["1.10", "inf", {"__xcomctl_type__": "complex", "value": ["1.0", "-2.0"]}, [0, 3, 1]],
            "keys": {"1": "one", "[1, 2]": "pair", "__classname__": "not one"},
            "times": [
                "2026-10-25T02:30:00+01:00 (Europe/Paris)",
                "2026-11-01",
                "PT3600S",
                "2026-11-01T00:00:00.123456789",
            ],
            "uuid": "0c9f7c1e-3a52-4b7e-9d0a-00000051aa00",
            "bytes": "<bytes, base64: AP8=>",
            "scalar": "7",
            "enum": "Colour.RED",
            "dataclass": {"x": 2, "label": ["a", None], "twice": 4},
            "attrs": {"content": [1], "_size": 0},
            "model": {"number": 7, "lines": []},
        }
    )


@pytest.mark.parametrize("path", sorted((GOLDEN / "payloads").iterdir()), ids=lambda path: path.name)
def test_every_golden_payload_is_previewed(path: Path) -> None:
    """Whatever the backend writes, the tool shows; of a bundle its files."""
    shown = _preview(path.read_bytes(), path.name)
    if path.suffix == ".parquet":
        assert isinstance(shown, FramePreview)
    if path.suffix == ".zip":
        assert isinstance(shown, FramePreview)
        assert [row[0] for row in shown.head] == ["value.json", "0.parquet", "1.bin", "2.parquet"]


@pytest.mark.parametrize(
    "value",
    [
        {"__xcomctl_type__": "later", "x": [1]},
        {"__xcomctl_type__": ["odd"]},
        {"__xcomctl_type__": "tuple"},
        {"__xcomctl_type__": "dict", "items": [1, [1]]},
        {"__xcomctl_type__": "timedelta"},
        {"__xcomctl_type__": "enum"},
        {"__xcomctl_type__": "part"},
        {"__xcomctl_type__": "pandas.NaT"},
    ],
    ids=json.dumps,
)
def test_an_unknown_or_broken_node_is_no_error(value: object) -> None:
    """A node of a later release, or one that somebody wrote by hand, is shown somehow."""
    document = json.dumps({"__xcomctl_tree__": 1, "value": value}).encode()
    assert isinstance(_preview(document, "x.json"), TreePreview)


def test_a_tree_of_another_form_stays_as_it_is() -> None:
    """A tree of a form that is not known is shown as the JSON that it is."""
    document = {"__xcomctl_tree__": 2, "value": 1}
    assert _preview(json.dumps(document).encode(), "x.json") == TreePreview(document)
