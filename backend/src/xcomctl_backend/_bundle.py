"""A tree and its parts as one object: a ZIP archive of `value.json` and one file per part."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import IO, Any, Callable, Mapping, Sequence

from xcomctl_backend import _tables
from xcomctl_backend._files import File
from xcomctl_backend.errors import EncodingError, ReferenceFormatError

TREE_FILE = "value.json"
_IN_MEMORY = 64 << 20
"""Bytes of an archive that are kept in memory; a larger one goes to a temporary file without a name."""
_SUFFIXES = {"npy": "npy", "bytes": "bin", "file": "file"}
_CHUNK = 1 << 20


def room_for(size: int | None) -> IO[bytes]:
    """Room for so many bytes, or for an unknown number: in memory if they are few. Gone when it is closed."""
    # Not a SpooledTemporaryFile: before Python 3.11 an archive cannot be read from one.
    in_memory = size is not None and size <= _IN_MEMORY
    return io.BytesIO() if in_memory else tempfile.TemporaryFile()


def write_bundle(document: bytes, parts: Sequence[tuple[str, Any]]) -> IO[bytes]:
    """The archive, at its beginning. Raises EncodingError for a File that cannot be read."""
    known = all(isinstance(content, bytes) for _codec, content in parts)
    room = room_for(len(document) + sum(len(content) for _codec, content in parts) if known else None)
    try:
        with zipfile.ZipFile(room, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(_entry(TREE_FILE), document)
            for number, (codec, content) in enumerate(parts):
                _add(archive, part_name(number, codec), content)
        room.seek(0)
    except BaseException:
        room.close()
        raise
    return room


def part_name(number: int, codec: str) -> str:
    """Name of a part in the archive."""
    return f"{number}.{_SUFFIXES.get(codec, 'parquet')}"


def read_bundle(
    stream: IO[bytes], decode: Callable[[Mapping[str, Any], Callable[[int, Mapping[str, Any]], Any]], Any]
) -> Any:
    """The value of an archive: `decode` gets the document of the tree and a function for the parts."""
    with zipfile.ZipFile(stream) as archive:

        def part(number: int, node: Mapping[str, Any]) -> Any:
            codec = node["codec"]
            name = part_name(number, codec)
            if codec == "file":
                return _extracted(archive, name, node.get("name", "file"))
            content = archive.read(name)
            if codec == "bytes":
                return content
            if codec in _tables.CODECS:
                return _tables.decode_table(content, codec)
            raise ReferenceFormatError(
                f"the value holds a part encoded as {codec!r}, which this xcomctl-backend does not know: upgrade it"
            )

        return decode(json.loads(archive.read(TREE_FILE)), part)


def _entry(name: str) -> zipfile.ZipInfo:
    # Without a time of its own the same value gives the same bytes.
    return zipfile.ZipInfo(name)


def _add(archive: zipfile.ZipFile, name: str, content: Any) -> None:
    if isinstance(content, bytes):
        archive.writestr(_entry(name), content)
        return
    try:
        with content.open("rb") as source, archive.open(_entry(name), "w", force_zip64=True) as target:
            shutil.copyfileobj(source, target, _CHUNK)
    except OSError as error:
        raise EncodingError(
            f"it holds a File that cannot be read: {error.strerror or type(error).__name__}"
        ) from None


def _extracted(archive: zipfile.ZipFile, name: str, original: str) -> File:
    """The File of a part, whose content is unpacked now: the archive is gone later."""

    def fetch(path: Path) -> None:
        with archive.open(name) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, _CHUNK)

    file = File.fetched_by(original, fetch)
    file.path()
    return file
