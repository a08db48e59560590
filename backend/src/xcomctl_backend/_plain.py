"""Values that JSON alone keeps: which they are, and whether a metadata database takes their JSON as it is."""

from __future__ import annotations

import json
import re
from typing import Any

RESERVED = "__"
"""No key of a plain dict begins with it: Airflow and this package mark their own JSON objects with such names."""
_RESERVED_KEY = f'"{RESERVED}'
"""What the JSON of every value with such a key has in it, and that of some others."""
_TEXT = frozenset({str})
_SCALARS = frozenset({str, int, float, bool, type(None)})
_CONTAINERS = frozenset({dict, list})
_LARGEST_INT = 2**63
_SUSPECT = re.compile(r"NaN|Infinity|[0-9]{19}")
"""What may be a constant or an integer that a row does not take, or only a part of some text."""


class NotPlainError(Exception):
    """The value has a part that JSON alone would lose or change."""


def plain_json(value: object) -> str:
    """The JSON text of a plain value.

    Raises NotPlainError for any other value, ValueError for one that holds itself, RecursionError for one that is
    nested too deep.
    """
    # The encoder comes first: it is the one that notices circles, which `_check` would follow for ever.
    text = _json_text(value)
    _check(value, reserved=_RESERVED_KEY in text)
    return text


def _refuse(_part: object) -> Any:
    raise NotPlainError


# Made once: `json.dumps` makes an encoder for every value.
_json_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_refuse).encode


def _check(value: object, *, reserved: bool) -> None:
    """Look at containers one by one, and at what is in them by its types alone, which is much faster.

    `reserved` says whether a key may begin with what is reserved, so that the keys have to be looked at.
    """
    rest: list[Any] = [[value]]
    while rest:
        parts = rest.pop()
        if type(parts) is dict:
            if not _TEXT.issuperset(map(type, parts)):
                raise NotPlainError
            if reserved and any(key.startswith(RESERVED) for key in parts):
                raise NotPlainError
            parts = parts.values()
        if _SCALARS.issuperset(map(type, parts)):
            continue
        for part in parts:
            kind = type(part)
            if kind in _CONTAINERS:
                rest.append(part)
            elif kind not in _SCALARS:
                raise NotPlainError


def row_takes(text: str) -> bool:
    """Whether every database of Airflow's keeps this JSON: no NUL, lone surrogate, NaN, infinity or huge integer.

    PostgreSQL's JSONB refuses the first four, and integers beyond 64 bits get lost on the way to it or in SQLite.
    """
    if "\\u0000" in text:
        return False
    try:
        text.encode()
        if _SUSPECT.search(text) is None:
            return True
        json.loads(text, parse_constant=_no_constant, parse_int=_int_of_64_bits)
    except (UnicodeEncodeError, _NotForTheRowError):
        return False
    return True


class _NotForTheRowError(Exception):
    pass


def _no_constant(_name: str) -> Any:
    raise _NotForTheRowError


def _int_of_64_bits(digits: str) -> int:
    number = int(digits) if len(digits) <= 20 else _LARGEST_INT
    if not -_LARGEST_INT <= number < _LARGEST_INT:
        raise _NotForTheRowError
    return number
