"""Objects that are older than the server: S3 has no way to set Last-Modified, SeaweedFS's metadata dump does.

A dump is a sequence of records, each a length of four bytes (big-endian) and a protobuf message
`FullEntry {1: folder, 2: Entry {1: name, 2: is_folder, 4: Attributes {2: mtime, 19: nanoseconds of it}}}`.
Only those fields are read or written here; all others pass through as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from xcomctl.errors import StoreError

_FOLDER, _ENTRY = 1, 2
_NAME, _ATTRIBUTES = 1, 4
_MTIME, _MTIME_NS = 2, 19
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

_Field = tuple[int, int, "int | bytes"]


def backdate(
    times: Mapping[tuple[str, str], datetime], *, shell: Callable[[str], None], folder: Path
) -> None:
    """Set modification times of objects (bucket, key) on a running server.

    `shell` runs one line of `weed shell` in `folder`. Raises KeyError for an object that does not exist and
    StoreError where a time was not taken.
    """
    for bucket in sorted({bucket for bucket, _ in times}):
        wanted = {f"/buckets/{bucket}/{key.rstrip('/')}": at for (b, key), at in times.items() if b == bucket}
        _change_bucket(bucket, wanted, shell=shell, folder=folder)


def _change_bucket(
    bucket: str, wanted: Mapping[str, datetime], *, shell: Callable[[str], None], folder: Path
) -> None:
    seconds = {path: int(at.timestamp()) for path, at in wanted.items()}
    records = _dump(bucket, shell=shell, folder=folder)
    missing = sorted(seconds.keys() - records.keys())
    if missing:
        raise KeyError(missing[0])
    changed = [_with_time(records[path], at) for path, at in seconds.items()]
    # The loader returns without waiting for its last files, but it waits before a folder: end with one.
    changed.append(records[f"/buckets/{bucket}"])
    patched = folder / "patched.meta"
    patched.write_bytes(b"".join(len(record).to_bytes(4, "big") + record for record in changed))
    shell(f"fs.meta.load -v=false {patched.name}")
    patched.unlink()
    after = _dump(bucket, shell=shell, folder=folder)
    for path, at in seconds.items():
        if path not in after or _time_of(after[path]) != at:
            raise StoreError(f"the S3 server did not take the time of {path!r}")


def _dump(bucket: str, *, shell: Callable[[str], None], folder: Path) -> dict[str, bytes]:
    """Path -> record of everything in a bucket, and of the bucket itself."""
    target = folder / "dump.meta"
    target.unlink(missing_ok=True)
    shell(f"fs.meta.save -o {target.name} /buckets/{bucket}")
    if not target.is_file():
        raise StoreError(f"the S3 server gave no metadata of the bucket {bucket!r}")
    content, records, position = target.read_bytes(), {}, 0
    target.unlink()
    while position < len(content):
        start = position + 4
        position = start + int.from_bytes(content[position:start], "big")
        record = content[start:position]
        message = {number: value for number, _, value in _fields(record)}
        entry = {number: value for number, _, value in _fields(_as_bytes(message[_ENTRY]))}
        parent, name = _as_bytes(message[_FOLDER]).decode(), _as_bytes(entry[_NAME]).decode()
        records[f"{parent.rstrip('/')}/{name}"] = record
    return records


def _with_time(record: bytes, seconds: int) -> bytes:
    """The same record with another modification time, in whole seconds since 1970."""

    def attributes(old: bytes) -> bytes:
        kept = [field for field in _fields(old) if field[0] not in (_MTIME, _MTIME_NS)]
        return _message([*kept, (_MTIME, _VARINT, seconds)])

    def entry(old: bytes) -> bytes:
        return _replaced(old, _ATTRIBUTES, attributes)

    return _replaced(record, _ENTRY, entry)


def _time_of(record: bytes) -> int:
    """Modification time of a record, in seconds since 1970."""
    inner = record
    for number in (_ENTRY, _ATTRIBUTES):
        inner = next(_as_bytes(value) for found, _, value in _fields(inner) if found == number)
    return next(
        (value for found, _, value in _fields(inner) if found == _MTIME and isinstance(value, int)), 0
    )


def _replaced(message: bytes, number: int, change: Callable[[bytes], bytes]) -> bytes:
    return _message(
        [
            (found, kind, change(_as_bytes(value)) if found == number else value)
            for found, kind, value in _fields(message)
        ]
    )


def _fields(message: bytes) -> Iterator[_Field]:
    """Number, wire type and value of each field of a protobuf message, in order."""
    position = 0
    while position < len(message):
        tag, position = _read_varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, position = _read_varint(message, position)
            yield number, kind, value
            continue
        if kind == _BYTES:
            size, position = _read_varint(message, position)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise StoreError(f"the S3 server's metadata has an unknown wire type {kind}")
        yield number, kind, message[position : position + size]
        position += size


def _message(fields: list[_Field]) -> bytes:
    parts = []
    for number, kind, value in fields:
        parts.append(_varint(number << 3 | kind))
        if isinstance(value, int):
            parts.append(_varint(value))
        else:
            if kind == _BYTES:
                parts.append(_varint(len(value)))
            parts.append(value)
    return b"".join(parts)


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise StoreError("the S3 server's metadata is not what was expected")
    return value
