"""Values to payloads and back. Imports pandas, polars and NumPy only for a value of theirs, Airflow never.

What Airflow alone can do comes in as a `Serialisation`.
"""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass, field, replace
from typing import IO, Any, Callable, Mapping

from xcomctl_backend import _bundle, _plain, _tables
from xcomctl_backend._classes import class_name
from xcomctl_backend._files import File
from xcomctl_backend._settings import DEFAULT_THRESHOLD
from xcomctl_backend._tree import TREE, TreeDecoder, TreeEncoder
from xcomctl_backend.errors import EncodingError, ReferenceFormatError

GZIP = "+gzip"
"""What a codec ends in if its payload is compressed."""
_ZIPPABLE = ("csv", "json", "tree", "text", "bytes", "npy")
_ZIP_LEVEL = 6

# A key that ends in `<uuid>.gz` could be one of common.io's, which has its uuid at the same depth.
_COMPRESSIONS = ("gz", "bz2", "xz", "lzma", "zip", "zst", "lz4", "snappy")

SUFFIXES = {
    "parquet": "parquet",
    "parquet-series": "parquet",
    "parquet-polars": "parquet",
    "parquet-arrow": "parquet",
    "npy": "npy",
    "csv": "csv",
    "json": "json",
    "tree": "json",
    "bundle": "bundle.zip",
    "text": "txt",
    "bytes": "bin",
    "file": "file",
}
"""Codecs of format 1, with the suffix of their objects (`file`: unless the file has one that fits)."""
_PARQUET = "application/vnd.apache.parquet"
CONTENT_TYPES = {
    "parquet": _PARQUET,
    "parquet-series": _PARQUET,
    "parquet-polars": _PARQUET,
    "parquet-arrow": _PARQUET,
    "npy": "application/octet-stream",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "tree": "application/json",
    "bundle": "application/zip",
    "text": "text/plain; charset=utf-8",
    "bytes": "application/octet-stream",
    "file": "application/octet-stream",
}


def _no_foreign(value: object) -> Any:
    raise TypeError(class_name(type(value)))


@dataclass(frozen=True)
class Serialisation:
    """What only Airflow knows: its JSON for a type of its own, and which classes may be loaded."""

    dump_foreign: Callable[[Any], Any] = _no_foreign
    """JSON-ready form of a value. Raises TypeError for what it does not know."""
    load_foreign: Callable[[Any], Any] = lambda node: node
    allowed: Callable[[str], bool] = lambda _name: True
    """Whether a class of this dotted name may be loaded."""


WITHOUT_AIRFLOW = Serialisation()


@dataclass(frozen=True)
class Inline:
    """What a row holds instead of a reference: the JSON in UTF-8, and what that decodes to."""

    json: bytes
    decoded: Any


@dataclass(frozen=True)
class Encoded:
    """A value as a payload: bytes, or a stream that `close` closes. `inline` is what a row may hold instead."""

    codec: str
    content: bytes | IO[bytes] = field(repr=False)
    type_name: str
    suffix: str
    inline: Inline | None = field(default=None, repr=False)
    index_columns: int = 0
    name: str | None = None
    """Name of a file."""

    def close(self) -> None:
        """Close the stream."""
        if not isinstance(self.content, bytes):
            self.content.close()


def compact_json(value: object) -> bytes:
    """JSON without Airflow: dict, list, str, numbers, bool, None. Raises TypeError or ValueError for anything else."""
    return json_bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def json_bytes(text: str) -> bytes:
    """UTF-8 of a JSON text. A lone surrogate, which UTF-8 does not have, is written as the escape that JSON has."""
    return text.encode("utf-8", "backslashreplace")


def encode(
    value: object,
    *,
    frame_format: str = "parquet",
    compression: str = "none",
    row_limit: int = DEFAULT_THRESHOLD,
    serialisation: Serialisation = WITHOUT_AIRFLOW,
) -> Encoded:
    """Encode any value; a row may hold it if its JSON has fewer bytes than `row_limit`.

    Raises EncodingError, whose message names types and columns and never holds data.
    """
    name = class_name(type(value))
    try:
        encoded = _encode(value, name, frame_format, row_limit, serialisation)
    except RecursionError:
        raise EncodingError(f"a value of type {name} cannot be stored: it is nested too deep") from None
    except EncodingError as error:
        raise EncodingError(f"a value of type {name} cannot be stored: {error}") from None
    if encoded.inline is None and compression == "gzip" and encoded.codec in _ZIPPABLE:
        # Without a time in it the same value gives the same bytes.
        content: Any = encoded.content
        packed = gzip.compress(content, _ZIP_LEVEL)
        packed = packed[:4] + b"\0\0\0\0" + packed[8:]
        return replace(encoded, codec=encoded.codec + GZIP, content=packed, suffix=f"{encoded.suffix}.gz")
    return encoded


def content_type(codec: str) -> str:
    """The Content-Type of an object; of a compressed one it says what it is, as no client is to unpack it unasked."""
    return "application/gzip" if codec.endswith(GZIP) else CONTENT_TYPES[codec]


def _encode(
    value: Any, name: str, frame_format: str, row_limit: int, serialisation: Serialisation
) -> Encoded:
    if type(value) is File:
        return _file(value)
    if type(value) is bytes:
        return Encoded("bytes", value, name, SUFFIXES["bytes"])
    codec = _tables.table_codec(value)
    if codec == "parquet" and frame_format == "csv":
        text, index_columns = _tables.encode_csv(value)
        return Encoded("csv", text, "pandas.DataFrame", SUFFIXES["csv"], index_columns=index_columns)
    if codec is not None:
        try:
            return Encoded(codec, _tables.encode_table(value, codec), _short(name), SUFFIXES[codec])
        except _tables.UnfitColumnsError:
            pass  # The tree keeps what Parquet does not.
    return _json(value, name, row_limit, serialisation)


def _json(value: Any, name: str, row_limit: int, serialisation: Serialisation) -> Encoded:
    try:
        text = _plain.plain_json(value)
    except (_plain.NotPlainError, TypeError, ValueError):
        return _tree(value, name, row_limit, serialisation)
    document = json_bytes(text)
    # What a plain value's JSON decodes to is the value.
    inline = Inline(document, value) if _row_has_room(value, text, document, row_limit) else None
    if type(value) is str:
        try:
            return Encoded("text", value.encode(), name, SUFFIXES["text"], inline)
        except UnicodeEncodeError:
            pass
    return Encoded("json", document, name, SUFFIXES["json"], inline)


def _tree(value: Any, name: str, row_limit: int, serialisation: Serialisation) -> Encoded:
    encoder = TreeEncoder(dump_foreign=serialisation.dump_foreign, allowed=serialisation.allowed)
    text = json.dumps(encoder.document(value), ensure_ascii=False, separators=(",", ":"))
    document = json_bytes(text)
    if encoder.parts:
        return Encoded(
            "bundle", _bundle.write_bundle(document, encoder.parts), _short(name), SUFFIXES["bundle"]
        )
    inline = (
        Inline(document, json.loads(document)) if _row_has_room(value, text, document, row_limit) else None
    )
    return Encoded("tree", document, _short(name), SUFFIXES["tree"], inline)


def _row_has_room(value: object, text: str, document: bytes, row_limit: int) -> bool:
    return (value is None or len(document) < row_limit) and _plain.row_takes(text)


def _file(file: File) -> Encoded:
    try:
        content = file.open("rb")
    except OSError as error:
        raise EncodingError(f"the file cannot be read: {error.strerror or type(error).__name__}") from None
    suffix = file.name.rpartition(".")[2].lower() if "." in file.name[1:] else ""
    suffix = suffix if re.fullmatch(r"[a-z0-9]{1,16}", suffix) else SUFFIXES["file"]
    if suffix in _COMPRESSIONS:
        suffix = f"{SUFFIXES['file']}.{suffix}"
    return Encoded("file", content, "xcomctl_backend.File", suffix, name=file.name)


def _short(name: str) -> str:
    """`pandas.DataFrame` in every release of pandas, some of which say `pandas.core.frame.DataFrame`."""
    return re.sub(r"^(pandas|polars|pyarrow|numpy)\..*\.", r"\1.", name)


def is_tree(document: object) -> bool:
    """Whether a decoded JSON value is the document of a tree."""
    return isinstance(document, dict) and TREE in document


def decode_tree(document: Mapping[str, Any], serialisation: Serialisation) -> Any:
    """The value of a tree without parts, which a row may hold."""
    return _decoder(_no_part, serialisation).value(document)


def decode(
    codec: str,
    payload: bytes | IO[bytes],
    *,
    index_columns: int = 0,
    serialisation: Serialisation = WITHOUT_AIRFLOW,
) -> Any:
    """Decode a payload whose checksum was verified; a `bundle` comes as a stream, all others as bytes.

    Raises ReferenceFormatError for a codec of a later release.
    """
    if codec == "bundle":
        stream: Any = payload
        return _bundle.read_bundle(
            stream, lambda document, part: _decoder(part, serialisation).value(document)
        )
    content: Any = payload
    if codec.endswith(GZIP) and codec[: -len(GZIP)] in _ZIPPABLE:
        codec, content = codec[: -len(GZIP)], gzip.decompress(content)
    if codec in _tables.CODECS:
        return _tables.decode_table(content, codec)
    if codec == "csv":
        return _tables.decode_csv(content, index_columns)
    if codec == "json":
        document = json.loads(content)
        # Not written any more: values in Airflow's own serialisation, as the first release did.
        return serialisation.load_foreign(document) if b'"__classname__"' in content else document
    if codec == "tree":
        return decode_tree(json.loads(content), serialisation)
    if codec == "text":
        return content.decode()
    if codec == "bytes":
        return content
    raise ReferenceFormatError(
        f"the object is encoded as {codec!r}, which this xcomctl-backend does not know: upgrade it"
    )


def _decoder(part: Callable[[int, Mapping[str, Any]], Any], serialisation: Serialisation) -> TreeDecoder:
    return TreeDecoder(part=part, load_foreign=serialisation.load_foreign, allowed=serialisation.allowed)


def _no_part(_number: int, _node: Mapping[str, Any]) -> Any:
    raise ReferenceFormatError("the value names a part, and there are none beside it")
