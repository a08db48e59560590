"""What Airflow's serialiser writes into JSON: shown readably. A class that the data names is never imported."""

from __future__ import annotations

import io
import os
import re
from datetime import datetime, timezone
from typing import Any, BinaryIO, cast

from xcomctl.errors import UnreadableError
from xcomctl.look.codecs import typed_tree
from xcomctl.look.codecs.cells import format_datetime
from xcomctl.look.codecs.interface import FramePreview, PreviewOptions
from xcomctl.look.codecs.parquet import MAGIC, preview_parquet

CLASS, DATA = "__classname__", "__data__"

_FRAMES = ("pandas.DataFrame", "pandas.core.frame.DataFrame")
_SEQUENCES = ("builtins.tuple", "builtins.set", "builtins.frozenset")
_DATETIMES = ("datetime.datetime", "pendulum.datetime.DateTime", "pendulum.DateTime")
_PLAIN = ("datetime.date", "decimal.Decimal", "numpy.", "pendulum.date.Date")
_MAX_DEPTH = 200

_FRAME_START = re.compile(
    rb'\s*\{\s*"__classname__"\s*:\s*"(pandas\.(?:core\.frame\.)?DataFrame)"\s*,'
    rb'\s*"__version__"\s*:\s*\d+\s*,\s*"__data__"\s*:\s*"(?=' + MAGIC.hex().encode() + rb")"
)
_FRAME_END = re.compile(rb'"\s*\}\s*$')
_END_BYTES = 64


class TooDeepError(Exception):
    """The document is nested deeper than anything that was meant to be read."""


def readable(value: Any, depth: int = 0) -> Any:
    """The value with serialised tuples, sets, times, numbers and frames in the form that a reader expects, as JSON types.

    Everything else stays as it is. Raises TooDeepError.
    """
    if depth > _MAX_DEPTH:
        raise TooDeepError
    if isinstance(value, list):
        return [readable(member, depth + 1) for member in value]
    if not isinstance(value, dict):
        return value
    if depth == 0 and typed_tree.is_tree(value):
        return typed_tree.readable_node(value["value"])
    if isinstance(name := value.get(CLASS), str) and DATA in value:
        known = _known(name, value[DATA], depth)
        if known is not None:
            return known
    return {key: readable(member, depth + 1) for key, member in value.items()}


def _known(name: str, data: Any, depth: int) -> Any:
    """The readable form of one serialised value, None for a class or a form that is not known."""
    if name in _SEQUENCES and isinstance(data, list):
        return [readable(member, depth + 1) for member in data]
    if name in _DATETIMES and isinstance(data, dict):
        return _datetime(data)
    if name == "datetime.timedelta" and isinstance(data, (int, float)):
        return f"PT{data:g}S"
    if name == "uuid.UUID" and isinstance(data, dict) and isinstance(data.get("uuid"), str):
        return data["uuid"]
    if name.startswith(_PLAIN) and isinstance(data, (str, int, float)):
        return data
    if name in _FRAMES and (packed := _parquet_in(data)) is not None:
        try:
            frame = preview_parquet(io.BytesIO(packed), PreviewOptions(head=0), kind=name)
        except UnreadableError:
            return None
        return f"<{name}: {frame.rows} rows x {len(frame.columns)} columns>"
    return None


def _datetime(data: dict[str, Any]) -> str | None:
    """RFC 3339 in UTC, and the name of the zone where it is another one."""
    stamp, zone = data.get("timestamp"), data.get("tz")
    if isinstance(zone, dict):
        zone = zone.get(DATA)
    if isinstance(zone, list):
        zone = zone[0] if zone else None
    if not isinstance(stamp, (int, float)):
        return None
    try:
        at = datetime.fromtimestamp(stamp, tz=timezone.utc)
    except (OverflowError, ValueError, OSError):
        return None
    return format_datetime(at) + ("" if zone in (None, "UTC", 0) else f" ({zone})")


def _parquet_in(data: Any) -> bytes | None:
    if not isinstance(data, str) or data[:8].lower() != MAGIC.hex():
        return None
    try:
        return bytes.fromhex(data)
    except ValueError:
        return None


def frame_in(value: Any, options: PreviewOptions) -> FramePreview | None:
    """The frame that a whole document is, None if it is not one. Raises UnreadableError, UsageError (no such column)."""
    if not isinstance(value, dict) or value.get(CLASS) not in _FRAMES:
        return None
    packed = _parquet_in(value.get(DATA))
    return None if packed is None else preview_parquet(io.BytesIO(packed), options, kind=value[CLASS])


def starts_frame(start: bytes) -> bool:
    """Whether the first bytes of a document are those of a serialised frame, in the order in which Airflow writes them."""
    return _FRAME_START.match(start) is not None


def stored_frame(start: bytes, stream: BinaryIO, options: PreviewOptions) -> FramePreview | None:
    """The frame in a document that `starts_frame`, without reading all of it; None if it does not end as one.

    `stream` is seekable, its end included. Raises UnreadableError, UsageError (no such column).
    """
    match = _FRAME_START.match(start)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _END_BYTES))
    end = stream.read(_END_BYTES)
    tail = _FRAME_END.search(end)
    if match is None or tail is None:
        return None
    digits = HexReader(stream, match.end(), size - len(end) + tail.start())
    kind = match[1].decode("ascii")
    return preview_parquet(cast(BinaryIO, io.BufferedReader(digits, 1 << 16)), options, kind=kind)


class HexReader(io.RawIOBase):
    """The bytes that the hex digits between two places of a stream stand for; seekable."""

    def __init__(self, stream: BinaryIO, start: int, end: int) -> None:
        self._stream = stream
        self._start = start
        self._size = (end - start) // 2
        self._place = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """Bytes before the present place."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = max(0, origin + offset)
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer`. Raises UnreadableError where there are no hex digits."""
        count = max(0, min(len(buffer), self._size - self._place))
        self._stream.seek(self._start + 2 * self._place)
        digits = self._stream.read(2 * count)
        try:
            part = bytes.fromhex(digits.decode("ascii"))
        except ValueError as error:
            raise UnreadableError("the serialised frame is not written in hex digits") from error
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)
