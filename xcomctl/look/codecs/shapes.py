"""The shape of a dict or list: what occurs at each of its paths, and the statistics of that."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

MAX_PATHS = 200
"""Paths that are told apart: a dict whose names are data (ids, dates) has no end of them."""

_PLAIN_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_TYPES = {bool: "bool", int: "int", float: "float", str: "str", dict: "dict", list: "list"}


@dataclass(slots=True)
class _Place:
    """What occurs at one path."""

    types: Counter[str] = field(default_factory=Counter)
    scalars: list[Any] = field(default_factory=list)


def member(path: str, name: str) -> str:
    """The path of a member of the dict at `path`, as jq writes it: `.a.b`, `."odd name"`."""
    return (
        f"{path}.{name}" if _PLAIN_NAME.fullmatch(name) else f"{path}.{json.dumps(name, ensure_ascii=False)}"
    )


def describe_tree(value: Any) -> tuple[tuple[dict[str, Any], ...], bool]:
    """Statistics of each path of a document of JSON types, and whether there are more paths than are told.

    All items of a list share one path (`.items[].id`). Each is a dict as `ColumnStatistics.as_dict` gives it; `type`
    names all the types that occur, the most frequent first.
    """
    from xcomctl.look.codecs.statistics import ColumnStatistics

    places, cut = _places(value)
    told = []
    for path, place in places.items():
        scalars = {name for name in place.types if name not in ("null", "dict", "list")}
        numeric = scalars and scalars <= {"int", "float"}
        single = next(iter(scalars)) if len(scalars) == 1 else None
        statistics = ColumnStatistics(path, "number" if numeric else single or "str")
        statistics.add_cells(place.scalars)
        named = " | ".join(name for name, _ in place.types.most_common())
        count = sum(place.types.values()) - place.types["null"]
        told.append({**statistics.as_dict(), "type": named, "count": count})
    return tuple(told), cut


def _places(value: Any) -> tuple[dict[str, _Place], bool]:
    """What occurs at which path, in the order of the document, breadth first; whether paths were left out."""
    places: dict[str, _Place] = {}
    cut = False
    level: list[tuple[str, Any]] = [("", value)]
    while level:
        below: list[tuple[str, Any]] = []
        for path, node in level:
            shown = path or "."
            place = places.get(shown)
            if place is None:
                if len(places) == MAX_PATHS:
                    cut = True
                    continue
                place = places[shown] = _Place()
            kind = "null" if node is None else _TYPES.get(type(node), type(node).__name__)
            place.types[kind] += 1
            if isinstance(node, dict):
                below += [(member(path, str(name)), item) for name, item in node.items()]
            elif isinstance(node, list):
                below += [(f"{path or '.'}[]", item) for item in node]
            else:
                place.scalars.append(node)
        level = below
    return places, cut
