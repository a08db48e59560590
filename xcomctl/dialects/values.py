"""What a stored XCom value says, whatever release and database encoded it. Pickles are recognised, never loaded.

Encodings by release: bytes with JSON or a pickle (2.x), JSON or JSONB (3.x), JSON strings that hold JSON
again, once or twice (written through the REST API of 3.0).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_MAX_LAYERS = 4
"""A JSON string that holds JSON is opened at most this often; three is the most that Airflow was seen to write."""

_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|(["\\/bfnrt]))')
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Null:
    """SQL NULL: the row holds no value at all."""


@dataclass(frozen=True, slots=True)
class Json:
    """A JSON document, decoded once."""

    value: Any


@dataclass(frozen=True, slots=True)
class Pickled:
    """A pickle (protocol 2 or later), as bytes. It is looked at, never loaded."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Opaque:
    """Bytes that are neither JSON nor a pickle."""

    payload: bytes


Value = Null | Json | Pickled | Opaque


def decode(raw: bytes | None) -> Value:
    """Tell what a stored value is. Never fails: what cannot be read is Opaque."""
    if raw is None:
        return Null()
    if raw[:1] == b"\x80":
        return Pickled(raw)
    try:
        return Json(json.loads(raw))
    except (ValueError, RecursionError):
        return Opaque(raw)


def layers(value: Any) -> Iterator[Any]:
    """The decoded value and, while it is a string that itself holds a JSON string, list or object, what that holds.

    Whether the inner reading is meant is ambiguous (a task may return the text '{"a": 1}'), so callers that look
    for references consider every layer.
    """
    for _ in range(_MAX_LAYERS):
        yield value
        if not isinstance(value, str) or value.lstrip()[:1] not in ('"', "[", "{"):
            return
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return


def search_text(raw: bytes | None) -> str:
    """Text in which a key or a uuid is found if the value mentions it in any way: pickles and broken bytes included.

    It is the value as it stands followed by its unescaped forms (JSON writes `é` as backslash-u-00e9, and each
    further layer of encoding escapes once more). Bytes that are not UTF-8 are replaced one by one.
    """
    text = (raw or b"").decode("utf-8", "replace")
    forms = [text]
    for _ in range(_MAX_LAYERS):
        if "\\" not in text:
            break
        unescaped = _ESCAPE.sub(_unescape, text)
        if unescaped == text:
            break
        forms.append(unescaped)
        text = unescaped
    # Halves of a surrogate pair are escaped one after the other: join what belongs together, replace what does not.
    return "\n".join(forms).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _unescape(match: re.Match[str]) -> str:
    code, plain = match.groups()
    return chr(int(code, 16)) if code else _CONTROLS.get(plain, plain)
