"""Zip archives: their members, and the content of one of them."""

from __future__ import annotations

import zipfile
import zlib
from typing import BinaryIO

from xcomctl.errors import UnreadableError


def is_zip(start: bytes) -> bool:
    """Whether the first bytes are those of a zip archive."""
    return start.startswith((b"PK\x03\x04", b"PK\x05\x06"))


def only_member(source: BinaryIO) -> str | None:
    """Name of the member if the archive holds exactly one. Raises UnreadableError (truncated, corrupt)."""
    members = members_of(source)
    return members[0].filename if len(members) == 1 else None


def open_member(source: BinaryIO, name: str) -> BinaryIO:
    """The content of one member, to be read forward. Raises UnreadableError (encrypted, of an unknown method)."""
    try:
        return zipfile.ZipFile(source).open(name)  # type: ignore[return-value]
    except (RuntimeError, KeyError) as error:
        raise UnreadableError(f"the zip archive cannot be opened: {error}") from error


def members_of(source: BinaryIO) -> list[zipfile.ZipInfo]:
    """The members that are not folders, in order. Raises UnreadableError (truncated, corrupt)."""
    source.seek(0)
    try:
        members = zipfile.ZipFile(source).infolist()
    except (zipfile.BadZipFile, NotImplementedError, zlib.error, OSError, ValueError, EOFError) as error:
        raise UnreadableError(
            f"the zip archive is truncated or corrupt: {error}",
            hint="--raw writes the bytes as they are stored",
        ) from error
    return [member for member in members if not member.filename.endswith("/")]
