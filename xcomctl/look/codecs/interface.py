"""Port to the codecs: a payload in, a preview out. Nothing found in a payload is ever executed."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from xcomctl.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa


class ColumnTaker(Protocol):
    """Takes the rows of a table, part by part, as they are read for a preview."""

    def begin(self, names: Sequence[str], types: Sequence[str]) -> None:
        """Called once, before the first part: the columns that will come. A name may occur twice."""

    def take(self, columns: Sequence[pa.Array]) -> None:
        """Some rows more: an array for each column, all of one length. A column keeps its type from part to part."""


@dataclass(frozen=True, slots=True)
class PreviewOptions:
    """How much of a payload to show."""

    head: int = 10
    """Rows of a table, lines of a text."""
    columns: tuple[str, ...] | None = None
    """Only these columns of a table, in this order."""
    describe: bool = False
    """Also statistics: of each column of a table (reads all of it), of each path in a tree."""
    rows: int | None = None
    """Rows that are read at most for statistics, and for `sink`; None reads all."""
    sink: ColumnTaker | None = None
    """Who gets all rows of a table. Without `columns` these have every column, not only the first of many."""


@dataclass(frozen=True, slots=True)
class FramePreview:
    """A table. `rows` is None where counting them would mean to read everything (a CSV)."""

    kind: str
    """What wrote it: `pandas.DataFrame`, `parquet`, `csv`, ..."""
    rows: int | None
    columns: tuple[tuple[str, str], ...]
    """Name and type of every column of the payload, in order."""
    head: tuple[tuple[Any, ...], ...]
    """First rows, with the columns that were asked for (JSON-ready scalars or text)."""
    head_columns: tuple[str, ...]
    statistics: tuple[dict[str, Any], ...] = ()
    """One dict per column if asked for: name, count, nulls, min, max, mean, ... (`codecs.statistics`)."""
    described: int | None = None
    """Rows that the statistics are of."""


@dataclass(frozen=True, slots=True)
class TreePreview:
    """A dict, list or scalar: the value itself, as JSON types."""

    value: Any
    statistics: tuple[dict[str, Any], ...] = ()
    """One dict per path if asked for, as for the columns of a frame; `name` is the path as jq writes it."""


@dataclass(frozen=True, slots=True)
class TextPreview:
    """Text: its first lines. `truncated` if there is more."""

    text: str
    truncated: bool


@dataclass(frozen=True, slots=True)
class PicklePreview:
    """A pickle, looked at and not loaded."""

    protocol: int
    classes: tuple[str, ...]
    """Dotted names of everything that loading it would import."""
    strings: tuple[str, ...]
    opcodes: tuple[tuple[str, int], ...]
    """Opcode names with their counts, most frequent first."""
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class BinaryPreview:
    """Bytes that no codec knows: their beginning."""

    start: bytes
    size: int | None


Preview = FramePreview | TreePreview | TextPreview | PicklePreview | BinaryPreview


@dataclass(frozen=True, slots=True)
class Payload:
    """Content to preview: a seekable binary stream and what is known of it.

    `size` in bytes if known; `name` (a key or file name) is only a hint, the content decides.
    """

    stream: BinaryIO
    size: int | None
    name: str = ""
    hint: str | None = None
    """Codec that the reference names."""
    compression: tuple[str, ...] = field(default=())
    """Filled in when the payload is opened: the compressions that were peeled off, outermost first."""


class Codec(Protocol):
    """One way of encoding a value."""

    name: str

    def sniff(self, start: bytes, payload: Payload) -> bool:
        """Whether the first bytes (at least 4 KiB, or all) look like this codec's."""

    def preview(self, payload: Payload, options: PreviewOptions) -> Preview:
        """Preview a payload, reading only what is needed. Raises UnreadableError (truncated, corrupt)."""


SNIFFED = 1 << 16
"""Bytes at the beginning of a payload that every codec is shown."""


def read_start(payload: Payload) -> bytes:
    """The first bytes, SNIFFED at most; the stream is back at its start afterwards."""
    payload.stream.seek(0)
    start = payload.stream.read(SNIFFED)
    payload.stream.seek(0)
    return start


def is_whole(start: bytes, payload: Payload) -> bool:
    """Whether `start`, as `read_start` gives it, is all that there is."""
    return len(start) < SNIFFED or payload.size == len(start)


MAX_COLUMNS = 64
"""Columns that are shown where nobody said which: each one costs a fetch."""


def chosen_columns(names: Sequence[str], options: PreviewOptions) -> tuple[int, ...]:
    """Positions of the columns to show, in the order that was asked for. Raises UsageError for a name that is not there."""
    if options.columns is None:
        return tuple(range(len(names) if options.sink is not None else min(len(names), MAX_COLUMNS)))
    places = {name: place for place, name in reversed(list(enumerate(names)))}
    chosen = []
    for name in options.columns:
        if name not in places:
            near = difflib.get_close_matches(name, names, n=3) or list(names[:8])
            raise UsageError(
                f"there is no column {name!r}", hint=f"columns are {', '.join(near)}" if near else None
            )
        chosen.append(places[name])
    return tuple(chosen)
