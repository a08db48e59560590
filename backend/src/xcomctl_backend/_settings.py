"""Settings, from section `[xcomctl_backend]` of Airflow's configuration. Checked as a whole when the backend is loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable
from urllib.parse import urlsplit

from xcomctl_backend._reference import MAX_PREFIX_BYTES, RESERVED_FOLDER
from xcomctl_backend.errors import SettingError

SECTION = "xcomctl_backend"
DEFAULT_THRESHOLD = 1024
"""A reference takes 300 to 500 bytes: offloading less than twice that would cost a request and save the row little."""
FRAME_FORMATS = ("parquet", "csv")

_PATH = re.compile(
    r"s3://(?:(?P<connection>[^@/]+)@)?(?P<bucket>[A-Za-z0-9][A-Za-z0-9._-]{2,254})(?:/(?P<prefix>.*))?"
)


@dataclass(frozen=True)
class Settings:
    """Where and how values are stored. `prefix` has no slash at its ends; `threshold` is in bytes."""

    bucket: str
    prefix: str
    connection_id: str | None = None
    threshold: int = DEFAULT_THRESHOLD
    frame_format: str = "parquet"
    endpoint_url: str | None = None
    region: str | None = None


def load(get: Callable[[str], str | None]) -> Settings:
    """Read the settings with `get`, which gives the text of one option or None. Raises SettingError."""
    connection_id, bucket, prefix = _path(_text(get, "path"))
    return Settings(
        bucket=bucket,
        prefix=prefix,
        connection_id=connection_id,
        threshold=_threshold(_text(get, "threshold")),
        frame_format=_frame_format(_text(get, "format")),
        endpoint_url=_endpoint_url(_text(get, "endpoint_url")),
        region=_text(get, "region"),
    )


def _text(get: Callable[[str], str | None], option: str) -> str | None:
    return (get(option) or "").strip() or None


def _error(option: str, problem: str) -> SettingError:
    return SettingError(f"[{SECTION}] {option} (AIRFLOW__{SECTION.upper()}__{option.upper()}) {problem}")


def _path(text: str | None) -> tuple[str | None, str, str]:
    if text is None:
        raise _error("path", "is not set: write s3://bucket/prefix, or s3://connection_id@bucket/prefix")
    match = _PATH.fullmatch(text)
    if match is None:
        # The text itself is not repeated: people put credentials where a connection id belongs.
        raise _error("path", "is not s3://bucket/prefix or s3://connection_id@bucket/prefix")
    if ":" in (match["connection"] or ""):
        raise _error("path", "holds credentials: put them into an Airflow connection and write its id")
    prefix = (match["prefix"] or "").strip("/")
    if len(prefix.encode()) > MAX_PREFIX_BYTES:
        raise _error("path", f"has a prefix of more than {MAX_PREFIX_BYTES} bytes")
    if prefix and not all(_is_plain(segment) for segment in prefix.split("/")):
        raise _error("path", f"has a prefix with an empty, '.', '..' or '{RESERVED_FOLDER}' segment")
    return match["connection"], match["bucket"], prefix


def _is_plain(segment: str) -> bool:
    return segment not in ("", ".", "..", RESERVED_FOLDER)


def _threshold(text: str | None) -> int:
    if text is None:
        return DEFAULT_THRESHOLD
    if not re.fullmatch(r"[0-9]+", text):
        raise _error("threshold", f"is {text!r}: write a number of bytes, or 0 to store every value in S3")
    return int(text)


def _frame_format(text: str | None) -> str:
    if text is None:
        return FRAME_FORMATS[0]
    if text.lower() not in FRAME_FORMATS:
        raise _error("format", f"is {text!r}: write {' or '.join(FRAME_FORMATS)}")
    return text.lower()


def _endpoint_url(text: str | None) -> str | None:
    if text is None:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise _error("endpoint_url", "is not a URL like https://s3.example.com:9000 without credentials")
    return text
