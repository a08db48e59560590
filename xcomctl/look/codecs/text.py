"""Text in any encoding that can be told from its bytes, and bytes that are nothing known."""

from __future__ import annotations

import codecs
import re

from xcomctl.look.codecs.interface import BinaryPreview, Payload, PreviewOptions, TextPreview

_MAX_BYTES = 1 << 20
"""Bytes that are read at most for a preview of text, whatever the number of lines."""
_BINARY_START = 256

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Control characters that no text has; tab, line ends, form feed, backspace and escape do occur.
_NOT_TEXT = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f]")

WESTERN = "latin-1"
"""What text is read as where it is not Unicode: wrong for some languages, but it never fails."""


def encoding_of(start: bytes) -> str | None:
    """The encoding in which the first bytes of a payload (perhaps cut) are text; None if they are not text."""
    encoding = next((name for bom, name in _BOMS if start.startswith(bom)), "utf-8")
    text = decoded(start, encoding)
    if text is None:
        encoding, text = WESTERN, start.decode(WESTERN)
        # Every byte is some Latin-1 character: ask that these are mostly letters, as they are in real text.
        odd = sum(char > "\x7f" for char in text)
        if odd * 3 > len(text) or re.search(r"[\x80-\x9f]{2}", text):
            return None
    return None if _NOT_TEXT.search(text) else encoding


def decoded(start: bytes, encoding: str) -> str | None:
    """The beginning of a payload as text, without a character that the cut went through; None if it is not decodable."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(start)
    except UnicodeDecodeError:
        return None


class TextCodec:
    """Text: the first lines of it."""

    name = "text"

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def sniff(self, start: bytes, payload: Payload) -> bool:
        """Whether the first bytes are text in some encoding."""
        return encoding_of(start) is not None

    def preview(self, payload: Payload, options: PreviewOptions) -> TextPreview:
        """The first lines, read in blocks until there are enough of them. Raises UnreadableError (corrupt compression)."""
        content = b""
        ended = False
        while not ended and content.count(b"\n") <= options.head and len(content) < _MAX_BYTES:
            block = payload.stream.read(65536)
            content += block
            ended = not block
        encoding = encoding_of(content[:65536]) or WESTERN
        if encoding == WESTERN:
            self._notes.append("the text is not UTF-8; it is shown as Latin-1, byte by byte")
        text = codecs.getincrementaldecoder(encoding)(errors="replace").decode(content, final=ended)
        lines = text.splitlines(keepends=True)
        shown = "".join(lines[: options.head])
        return TextPreview(shown, truncated=not ended or len(shown) < len(text))


class BinaryCodec:
    """Bytes that no codec knows: the first of them."""

    name = "binary"

    def sniff(self, start: bytes, payload: Payload) -> bool:
        """Always."""
        return True

    def preview(self, payload: Payload, options: PreviewOptions) -> BinaryPreview:
        """The first bytes. Raises UnreadableError (corrupt compression)."""
        return BinaryPreview(payload.stream.read(_BINARY_START), payload.size)
