"""JSON documents, with what Airflow's serialiser and repeated encoding hide in them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from xcomctl.dialects import values
from xcomctl.look.codecs.airflow_json import TooDeepError, frame_in, readable, starts_frame, stored_frame
from xcomctl.look.codecs.compression import seekable
from xcomctl.look.codecs.interface import (
    FramePreview,
    Payload,
    Preview,
    PreviewOptions,
    TextPreview,
    TreePreview,
    is_whole,
)
from xcomctl.look.codecs.text import TextCodec

MAX_DOCUMENT = 16 << 20
"""Bytes of a document that are parsed; of a larger one the beginning is shown as text."""

_BEGINNING = 4096
"""Bytes of a document too large to parse that are shown."""

_BOM = b"\xef\xbb\xbf"
_STRUCTURE = re.compile(rb'\s*(?:\{\s*(?:"|\}|$)|\[\s*(?:[\[{"\]\-0-9tfnNI]|$))')
_STRING = re.compile(rb'\s*"(?:[^"\\\x00-\x1f]|\\.)*\\?')
_NAMED_JSON = re.compile(r"(?:^|[._/-])json(?:[._-]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Document:
    """A parsed document."""

    value: Any


class JsonCodec:
    """JSON documents. One instance per payload: `preview` uses what `sniff` parsed."""

    name = "json"

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._start = b""
        self._document: _Document | None = None

    def sniff(self, start: bytes, payload: Payload) -> bool:
        """Whether it is one JSON document. It is parsed to know, unless it is too large for that."""
        self._start = start.removeprefix(_BOM)
        whole = is_whole(start, payload)
        if not _may_be_json(self._start, whole=whole):
            return False
        if starts_frame(self._start) and not whole:
            return True
        content = start if whole else _read(payload)
        if content is None:
            return True
        try:
            self._document = _Document(json.loads(content.removeprefix(_BOM)))
        except RecursionError:
            self._notes.append("the JSON is nested too deep to be read; it is shown as text")
        except ValueError as error:
            if payload.hint == self.name or _NAMED_JSON.search(payload.name):
                self._notes.append(f"it is called JSON but is not: {_where(error)}")
        return self._document is not None

    def preview(self, payload: Payload, options: PreviewOptions) -> Preview:
        """The document, or the frame that it holds. Raises UnreadableError, UsageError (no such column)."""
        if self._document is None:
            return self._preview_large(payload, options)
        *outer, value = values.layers(self._document.value)
        if outer:
            self._notes.append(
                f"the value is JSON text inside {_strings(len(outer))}; shown is what that text says"
            )
        frame = frame_in(value, options)
        if frame is not None:
            return frame
        try:
            value = readable(value)
            return TreePreview(value, self._describe(value) if options.describe else ())
        except (TooDeepError, RecursionError):
            self._notes.append("the JSON is nested too deep to be laid out; it is shown as text")
            payload.stream.seek(0)
            return TextCodec(self._notes).preview(payload, options)

    def _describe(self, value: Any) -> tuple[dict[str, Any], ...]:
        from xcomctl.look.codecs.shapes import MAX_PATHS, describe_tree

        statistics, cut = describe_tree(value)
        if cut:
            self._notes.append(f"there are more paths than the first {MAX_PATHS}, which are described")
        return statistics

    def _preview_large(self, payload: Payload, options: PreviewOptions) -> FramePreview | TextPreview:
        if starts_frame(self._start):
            frame = stored_frame(self._start, seekable(payload), options)
            if frame is not None:
                return frame
        self._notes.append(f"the JSON is larger than {MAX_DOCUMENT >> 20} MiB; shown is its beginning")
        return TextPreview(self._start[:_BEGINNING].decode("utf-8", "replace"), truncated=True)


def _may_be_json(start: bytes, *, whole: bool) -> bool:
    """Whether it is worth parsing: a scalar that is all there is, a string that goes on, a list or an object."""
    if _STRUCTURE.match(start):
        return True
    string = _STRING.match(start)
    if string is None:
        return whole and bool(start.strip())
    rest = start[string.end() :]
    return not rest or (rest[:1] == b'"' and not rest[1:].strip())


def _read(payload: Payload) -> bytes | None:
    """The whole document, None if it is larger than what is parsed."""
    if payload.size is not None and payload.size > MAX_DOCUMENT:
        return None
    content = payload.stream.read(MAX_DOCUMENT + 1)
    payload.stream.seek(0)
    return content if len(content) <= MAX_DOCUMENT else None


def _where(error: ValueError) -> str:
    """What the parser says, without any of the data."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} in line {error.lineno}, column {error.colno}"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "it cannot be parsed"


def _strings(count: int) -> str:
    return "a JSON string" if count == 1 else f"{count} JSON strings, one in the other"
