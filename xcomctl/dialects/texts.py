"""Where references may hide in a stored value: its strings and JSON objects, at any depth and under any encoding."""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from xcomctl.dialects import values

# What `S3`, `xcom_s3://`, the bare keys and the JSON forms have in common; an escape may hide any of it.
TRACES = (b"s3", b"S3", b"xcom", b"XCOM", b"\\u")
_TRACES_IN_STRING = ("s3", "S3", "xcom")

_EMBEDDED = re.compile(
    r"(?:xcom_s3|[sS]3[aAnN]?)://[^\x00-\x1f\"<>\\\x7f-\x9f\ufffd\ud800-\udfff]+"
    r"|s3_xcom_[0-9a-fA-F-]{32,36}(?:_dataframe|_datetime)?(?:\.gz)?"
)
_BETWEEN_WORDS = re.compile(r"\s+|[,;|]+(?=xcom_s3:|[sS]3[aAnN]?:)")
_PUNCTUATION = ".,;:!?'`)]}>"


def may_hold_reference(raw: bytes) -> bool:
    """Whether it is worth to decode a value: False only if no built-in dialect can find anything in it."""
    return any(trace in raw for trace in TRACES)


def may_be_reference(text: str) -> bool:
    """The same for one decoded string."""
    return any(trace in text for trace in _TRACES_IN_STRING)


@dataclass(frozen=True, slots=True)
class Text:
    """A string of a value. `opened` if it holds JSON, whose own strings come as texts of their own."""

    text: str
    opened: bool = False


def parts_of(value: Any) -> Iterator[Text | dict[str, Any]]:
    """Every string and every JSON object in a decoded value, outermost first; strings that hold JSON are opened.

    Keys of objects count as strings. Iterative, so that no depth of nesting is too much.
    """
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, str):
            *opened, innermost = values.layers(current)
            yield from (Text(layer, opened=True) for layer in opened)
            if isinstance(innermost, str):
                yield Text(innermost)
            else:
                pending.append(innermost)
        elif isinstance(current, dict):
            yield current
            for key, member in reversed(current.items()):
                pending += (member, key)
        elif isinstance(current, list):
            pending += reversed(current)


def embedded_in(text: str) -> Iterator[str]:
    """What looks like a reference inside of a longer text: up to the next quote or line, and up to the next blank."""
    for match in _EMBEDDED.finditer(text):
        longest = match.group().rstrip()
        yield longest
        for word in _BETWEEN_WORDS.split(longest):
            if inner := _EMBEDDED.match(word):
                shortest = inner.group().rstrip(_PUNCTUATION)
                if shortest != longest:
                    yield shortest


def strings_of_pickle(payload: bytes) -> Iterator[str]:
    """The strings of a pickle, read from its opcodes. Nothing is loaded: an opcode that is unknown ends the reading."""
    try:
        for _, argument, _ in pickletools.genops(payload):
            if isinstance(argument, str):
                yield argument
            elif isinstance(argument, bytes | bytearray) and may_hold_reference(inner := bytes(argument)):
                yield values.search_text(inner)
    except (ValueError, OverflowError):
        # Broken or cut: what its bytes say is all there is.
        yield values.search_text(payload)
