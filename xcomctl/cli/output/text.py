"""Text from data, made safe to look at: whatever could steer a terminal is shown as an escape instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

# C0 and C1 controls, DEL, line and paragraph separators, marks that reorder or hide text, lone surrogates.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def visible(text: str) -> str:
    r"""`text` with every control character written out (`\x1b`, `\n`, `\u202e`), on one line."""
    return _UNSAFE.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    char = match[0]
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
    return named.get(char) or (f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}")


def print_line(console: Console, text: str) -> None:
    """Print a line of text from data. It is wrapped by the terminal: a URI that is cut cannot be pasted."""
    console.print(visible(text), markup=False, highlight=False, soft_wrap=True)


def json_safe(document: str) -> str:
    """A JSON document in which such characters, though legal, are JSON escapes. Its meaning is unchanged.

    Only those are touched that JSON lets stand inside strings; line ends between tokens stay.
    """
    return _UNSAFE_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", document)


_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
