"""Settings, from section `[xcomctl_backend]` of Airflow's configuration. Checked as a whole when the backend is loaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable
from urllib.parse import urlencode, urlsplit

from xcomctl_backend._reference import MAX_PREFIX_BYTES, RESERVED_FOLDER
from xcomctl_backend.errors import SettingError

SECTION = "xcomctl_backend"
DEFAULT_THRESHOLD = 1024
"""A reference takes 300 to 500 bytes: offloading less than twice that would cost a request and save the row little."""
FRAME_FORMATS = ("parquet", "csv")
COMPRESSIONS = ("none", "gzip")
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
_MAX_TAGS = 10
OPTIONS = (
    *("path", "threshold", "format", "compression", "endpoint_url", "region"),
    *("encryption", "kms_key_id", "storage_class", "tags", "requester_pays"),
    *("legacy_xcom_s3", "legacy_common_io", "legacy_pickles"),
)
"""Names of all settings, in the order of the documentation."""

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
    compression: str = "none"
    encryption: str | None = None
    kms_key_id: str | None = None
    storage_class: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    requester_pays: bool = False
    legacy_xcom_s3: tuple[str, ...] = ()
    """Buckets of `xcom_s3://` references; the first is that of references that name none."""
    legacy_common_io: tuple[tuple[str, str], ...] = ()
    """Buckets and prefixes of paths that Airflow's own XComObjectStorageBackend wrote."""
    legacy_pickles: bool = False

    @property
    def write_options(self) -> dict[str, str]:
        """What goes with every write, as boto3 names it."""
        options = {
            "ServerSideEncryption": self.encryption,
            "SSEKMSKeyId": self.kms_key_id,
            "StorageClass": self.storage_class,
            "Tagging": urlencode(self.tags) or None,
        }
        return {name: value for name, value in options.items() if value is not None}

    @property
    def request_options(self) -> dict[str, str]:
        """What goes with every request, as boto3 names it."""
        return {"RequestPayer": "requester"} if self.requester_pays else {}


def load(get: Callable[[str], str | None]) -> Settings:
    """Read the settings with `get`, which gives the text of one option or None. Raises SettingError."""
    connection_id, bucket, prefix = _path(_text(get, "path"))
    encryption, kms_key_id = _encryption(_text(get, "encryption"), _text(get, "kms_key_id"))
    return Settings(
        bucket=bucket,
        prefix=prefix,
        connection_id=connection_id,
        threshold=_threshold(_text(get, "threshold")),
        frame_format=_one_of("format", _text(get, "format"), FRAME_FORMATS),
        compression=_one_of("compression", _text(get, "compression"), COMPRESSIONS),
        endpoint_url=_endpoint_url(_text(get, "endpoint_url")),
        region=_text(get, "region"),
        encryption=encryption,
        kms_key_id=kms_key_id,
        storage_class=_storage_class(_text(get, "storage_class")),
        tags=_tags(_text(get, "tags")),
        requester_pays=_flag("requester_pays", _text(get, "requester_pays")),
        legacy_xcom_s3=_buckets(_text(get, "legacy_xcom_s3")),
        legacy_common_io=_roots(_text(get, "legacy_common_io")),
        legacy_pickles=_flag("legacy_pickles", _text(get, "legacy_pickles")),
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


def _one_of(option: str, text: str | None, choices: tuple[str, ...]) -> str:
    if text is None:
        return choices[0]
    if text.lower() not in choices:
        raise _error(option, f"is {text!r}: write {' or '.join(choices)}")
    return text.lower()


def _flag(option: str, text: str | None) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if text is None:
        return False
    if text.lower() not in known:
        raise _error(option, f"is {text!r}: write True or False")
    return known[text.lower()]


def _encryption(text: str | None, kms_key_id: str | None) -> tuple[str | None, str | None]:
    if text is not None and text not in ENCRYPTIONS:
        raise _error("encryption", f"is {text!r}: write {' or '.join(ENCRYPTIONS)}")
    if kms_key_id is not None and not (text or "").startswith("aws:kms"):
        raise _error("kms_key_id", "is set, and [xcomctl_backend] encryption is not aws:kms")
    return text, kms_key_id


def _storage_class(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[A-Z0-9_]+", text):
        raise _error("storage_class", f"is {text!r}: write one like STANDARD_IA")
    if text in ("GLACIER", "DEEP_ARCHIVE"):
        raise _error("storage_class", f"is {text}: a task could not read such an object")
    return text


def _tags(text: str | None) -> tuple[tuple[str, str], ...]:
    if text is None:
        return ()
    pairs = [pair.partition("=") for pair in text.split(",")]
    tags = tuple((name.strip(), value.strip()) for name, _equals, value in pairs)
    if not all(name and equals for name, equals, _value in pairs) or len(dict(tags)) != len(tags):
        raise _error("tags", "is not a list like team=data,cost=etl with each name once")
    if len(tags) > _MAX_TAGS or any(len(name) > 128 or len(value) > 256 for name, value in tags):
        raise _error(
            "tags", f"has more than {_MAX_TAGS} tags, or a name over 128 or a value over 256 characters"
        )
    return tags


def _buckets(text: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if not all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{2,254}", name) for name in names):
        raise _error("legacy_xcom_s3", "is not a list of buckets like my-xcoms,older-xcoms")
    return names


def _roots(text: str | None) -> tuple[tuple[str, str], ...]:
    roots = []
    for path in (text or "").split(","):
        match = _PATH.fullmatch(path.strip())
        if path.strip() and (match is None or ":" in (match["connection"] or "")):
            raise _error(
                "legacy_common_io", "is not a list of paths like s3://bucket/prefix,s3://conn_id@bucket/older"
            )
        if match is not None:
            roots.append((match["bucket"], (match["prefix"] or "").strip("/")))
    return tuple(roots)


def _endpoint_url(text: str | None) -> str | None:
    if text is None:
        return None
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise _error("endpoint_url", "is not a URL like https://s3.example.com:9000 without credentials")
    return text
