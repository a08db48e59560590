"""Which codec a payload is in: its content decides, names and hints only break ties."""

from __future__ import annotations

from dataclasses import dataclass

from xcomctl.look.codecs.compression import unpack
from xcomctl.look.codecs.csv import CsvCodec
from xcomctl.look.codecs.interface import Codec, Payload, Preview, PreviewOptions, read_start
from xcomctl.look.codecs.json import JsonCodec
from xcomctl.look.codecs.ndjson import NdjsonCodec
from xcomctl.look.codecs.parquet import ParquetCodec
from xcomctl.look.codecs.pickle import PickleCodec
from xcomctl.look.codecs.text import BinaryCodec, TextCodec
from xcomctl.look.codecs.zip import ZipCodec


@dataclass(frozen=True, slots=True)
class Examined:
    """A preview and how the payload was encoded."""

    preview: Preview
    codec: str
    compression: tuple[str, ...]
    """Compressions that were opened, outermost first."""
    notes: tuple[str, ...]
    """What a reader should know of the preview, one sentence each."""


def codecs(notes: list[str]) -> list[Codec]:
    """The codecs for one payload, in the order in which they are asked. They add to `notes`."""
    return [
        ParquetCodec(),
        ZipCodec(),
        # Before JSON, which takes what is too large to be parsed as a whole at its word.
        NdjsonCodec(notes),
        JsonCodec(notes),
        PickleCodec(),
        CsvCodec(notes),
        TextCodec(notes),
        BinaryCodec(),
    ]


def examine(payload: Payload, options: PreviewOptions) -> Examined:
    """Open the payload's compressions, find its codec and preview it, reading only what is needed.

    Raises UnreadableError (truncated, corrupt) and UsageError (a column that is not there).
    """
    opened = unpack(payload)
    start = read_start(opened)
    notes: list[str] = []
    codec = next(codec for codec in codecs(notes) if codec.sniff(start, opened))
    opened.stream.seek(0)
    shown = codec.preview(opened, options)
    return Examined(shown, codec.name, opened.compression, tuple(notes))


def preview(payload: Payload, options: PreviewOptions) -> Preview:
    """The preview alone. Raises as `examine` does."""
    return examine(payload, options).preview
