"""Dicts and lists compared path by path. What is not there on one side is one change, whatever it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from xcomctl.errors import UsageError
from xcomctl.look.codecs.shapes import member
from xcomctl.look.difference.model import Change


def tree_changes(old: Any, new: Any, on: Sequence[str] = ()) -> Iterator[Change]:
    """What differs between two documents of JSON types, in the order of the old one.

    With `on` both are lists of dicts, whose items belong together where they have the same values there.
    Raises UsageError where they are not, or where two items of one side have the same.
    """
    if not on:
        yield from _changes("", old, new)
        return
    yield from _of_members(_keyed(old, on), _keyed(new, on), lambda key: f".[{key}]")


def _changes(path: str, old: Any, new: Any) -> Iterator[Change]:
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_members(old, new, lambda name: member(path, name))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_members(
            dict(enumerate(old)), dict(enumerate(new)), lambda place: f"{path or '.'}[{place}]"
        )
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield Change(path or ".", "changed", old, new)


def _of_members(old: dict[Any, Any], new: dict[Any, Any], path: Callable[[Any], str]) -> Iterator[Change]:
    """What differs among the members of two dicts, of which `path` tells the paths."""
    for name, item in old.items():
        if name in new:
            yield from _changes(path(name), item, new[name])
        else:
            yield Change(path(name), "removed", old=item)
    for name, item in new.items():
        if name not in old:
            yield Change(path(name), "added", new=item)


def _keyed(document: Any, on: Sequence[str]) -> dict[str, Any]:
    """The items of a list by what identifies them: `id=7`."""
    found: dict[str, Any] = {}
    if not isinstance(document, list):
        raise UsageError("--on is for tables and lists of dicts; this is none", hint="leave it out")
    for item in document:
        if not isinstance(item, dict) or any(name not in item for name in on):
            raise UsageError(
                f"not every item has {', '.join(on)}", hint="leave --on out, to compare by place"
            )
        key = ", ".join(f"{name}={json.dumps(item[name], ensure_ascii=False)}" for name in on)
        if key in found:
            raise UsageError(f"{key} occurs twice", hint="name more members: --on a,b")
        found[key] = item
    return found
