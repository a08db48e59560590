"""Trees of our own backend, in which types that JSON lacks are marked: shown readably. Nothing they name is imported."""

from __future__ import annotations

import json
from typing import Any

TREE, TYPE = "__xcomctl_tree__", "__xcomctl_type__"
VERSION = 1

_SEQUENCES = ("tuple", "set", "frozenset", "namedtuple", "numpy.objects")
_MEMBER = {
    **dict.fromkeys(("float", "Decimal", "UUID", "date", "range"), "value"),
    **dict.fromkeys(("dataclass", "attrs", "pydantic"), "fields"),
    "numpy.scalar": "shown",
    "zone": "zone",
    "timezone": "name",
    "airflow": "data",
}
"""Type, and the member that says it all."""


def is_tree(value: Any) -> bool:
    """Whether a parsed document is that of a tree of a form that is known here."""
    return isinstance(value, dict) and value.get(TREE) == VERSION and "value" in value


def readable_node(node: Any) -> Any:
    """A node of a tree in the form that a reader expects, as JSON types. A type that is not known stays as it is.

    Raises RecursionError for a tree that is nested deeper than the backend writes them.
    """
    if isinstance(node, list):
        return [readable_node(member) for member in node]
    if not isinstance(node, dict):
        return node
    kind = node.get(TYPE)
    if kind is None:
        return {name: readable_node(member) for name, member in node.items()}
    if kind in _SEQUENCES and isinstance(node.get("items"), list):
        return readable_node(node["items"])
    if kind == "dict" and isinstance(node.get("items"), list):
        return _dict(node["items"])
    member = _MEMBER.get(kind) if isinstance(kind, str) else None
    if member is not None and member in node:
        return readable_node(node[member])
    return _special(kind, node)


def _dict(items: list[Any]) -> Any:
    pairs = [pair for pair in items if isinstance(pair, list) and len(pair) == 2]
    return {_name(readable_node(key)): readable_node(value) for key, value in pairs}


def _name(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key, ensure_ascii=False)


def _special(kind: Any, node: dict[str, Any]) -> Any:
    if kind in ("datetime", "time", "pendulum.DateTime", "pandas.Timestamp"):
        zone = node.get("zone")
        return f"{node.get('value')} ({zone})" if zone else node.get("value")
    if kind == "timedelta":
        seconds = (node.get("days"), node.get("seconds"), node.get("microseconds"))
        if all(isinstance(part, int) for part in seconds):
            return f"PT{seconds[0] * 86400 + seconds[1] + seconds[2] / 1e6:g}S"  # type: ignore[operator]
    if kind == "enum" and isinstance(node.get("class"), str):
        return f"{node['class']}.{node['name']}" if "name" in node else readable_node(node.get("value"))
    if kind == "part":
        return f"<{node.get('name') or node.get('codec')}: part {node.get('part')} of the object>"
    if kind in ("bytes", "bytearray") and isinstance(node.get("base64"), str):
        return f"<{kind}, base64: {node['base64']}>"
    if isinstance(kind, str) and kind.startswith(("pandas.", "polars.")):
        parts = readable_node({name: part for name, part in node.items() if name != TYPE})
        return {kind: parts} if parts else f"<{kind}>"
    return {name: readable_node(member) for name, member in node.items()}
