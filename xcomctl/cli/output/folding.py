"""A dict, list or scalar laid out as lines, with what is deep, long or repeated folded into a count."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_DEPTH = 4
"""Levels that are unfolded."""
_MEMBERS = 40
"""Members of one dict that are shown."""
_STRING = 200
_WHOLE_STRING = 2000
"""Characters of a string that is the whole value."""
_INDENT = 2


def folded(value: Any, *, items: int, width: int) -> Iterator[str]:
    """The value as lines that look like JSON: `items` items of each list, members of four levels, counts of the rest."""
    if isinstance(value, str):
        yield _string(value, _WHOLE_STRING)
    else:
        yield from _unfolded(value, 0, items, width)


def _unfolded(value: Any, depth: int, items: int, width: int) -> Iterator[str]:
    """Lines of one value, indented relative to where it stands."""
    if not isinstance(value, (dict, list)) or not value:
        yield _leaf(value)
        return
    if depth >= _DEPTH:
        yield _fold(value)
        return
    short = _on_one_line(value, items, width - depth * _INDENT - 1)
    if short is not None:
        yield short
        return
    brackets = "{}" if isinstance(value, dict) else "[]"
    yield brackets[0]
    limit = _MEMBERS if isinstance(value, dict) else items
    total = len(value)
    for place, (label, member) in enumerate(_members(value)):
        if place >= limit:
            break
        lines = list(_unfolded(member, depth + 1, items, width))
        lines[0] = label + lines[0]
        lines[-1] += "," if place < total - 1 else ""
        yield from (" " * _INDENT + line for line in lines)
    if total > limit:
        yield " " * _INDENT + f"... {total - limit} more {'members' if isinstance(value, dict) else 'items'}"
    yield brackets[1]


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        return ((f"{_string(name, _STRING)}: ", member) for name, member in value.items())
    return (("", member) for member in value)


def _on_one_line(value: Any, items: int, room: int) -> str | None:
    """The value on one line if nothing of it is left out and it fits the room, else None."""
    if not isinstance(value, (dict, list)):
        text = _leaf(value)
        return text if len(text) <= room else None
    # Every member takes two characters at least: a value that is too large is not looked through.
    if len(value) > (_MEMBERS if isinstance(value, dict) else items) or 2 * len(value) > room:
        return None
    parts: list[str] = []
    room -= 2
    for label, member in _members(value):
        part = _on_one_line(member, items, room - len(label))
        if part is None:
            return None
        parts.append(label + part)
        room -= len(parts[-1]) + 2
    text = ", ".join(parts)
    return f"{{{text}}}" if isinstance(value, dict) else f"[{text}]"


def _leaf(value: Any) -> str:
    return _string(value, _STRING) if isinstance(value, str) else json.dumps(value)


def _string(text: str, limit: int) -> str:
    if len(text) <= limit:
        return json.dumps(text, ensure_ascii=False)
    return f"{json.dumps(text[:limit], ensure_ascii=False)}... {len(text)} characters"


def _fold(value: Any) -> str:
    count = len(value)
    if isinstance(value, dict):
        return f"{{... {count} {'key' if count == 1 else 'keys'}}}"
    return f"[... {count} {'item' if count == 1 else 'items'}]"
