"""Values that the whole tool shares: addresses of objects, rows of XCom tables. Stdlib only, all immutable."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from xcomctl.errors import UsageError

# Spellings of the scheme that Hadoop-family clients write for the same bucket.
S3_SCHEMES = ("s3://", "s3a://", "s3n://")

TERMINAL_RUN_STATES = ("success", "failed")
"""States in which Airflow does nothing more with a run by itself."""

DEFAULT_KEY = "return_value"
"""Key of the XCom that a task returns, which need not be named."""

RESERVED_FOLDER = ".xcomctl/"
"""Folder under a root that belongs to the tool (trash, journal, locks); never a candidate for anything."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectAddress:
    """Where one object lives. `key` is exactly what S3 holds: never decoded, normalised or case-folded."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """The address as `s3://bucket/key`."""
        return f"s3://{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, uri: str) -> ObjectAddress:
        """Read `s3://[connection@]bucket/key` (also `s3a://`, `s3n://`); the connection id is dropped.

        Raises UsageError where there is no scheme, bucket or key.
        """
        bucket, key = _split(uri)
        if not key:
            raise UsageError(f"{uri!r} names no object", hint="write s3://bucket/key")
        return cls(bucket, key)


@dataclass(frozen=True, slots=True, order=True)
class Root:
    """`s3://bucket/prefix` under which objects are ours. `prefix` is '' or ends with '/'."""

    bucket: str
    prefix: str = ""

    @property
    def uri(self) -> str:
        """The root as `s3://bucket/prefix`, without a trailing slash."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    @classmethod
    def parse(cls, uri: str) -> Root:
        """Read `s3://[connection@]bucket[/prefix]`. Raises UsageError for anything else."""
        bucket, prefix = _split(uri)
        # S3 keeps empty segments apart: to trim more than one slash would name another, wider root.
        prefix = prefix.removesuffix("/")
        if prefix.endswith("/") or uri.endswith("//"):
            raise UsageError(f"{uri!r} ends with an empty folder", hint=f"write {uri.rstrip('/')}")
        return cls(bucket, f"{prefix}/" if prefix else "")

    def contains(self, address: ObjectAddress) -> bool:
        """Whether the object lies under this root (whole segments: `xcom` does not contain `xcom-prod/...`)."""
        return address.bucket == self.bucket and address.key.startswith(self.prefix)

    def at(self, relative_key: str) -> ObjectAddress:
        """The object at `relative_key` below this root."""
        return ObjectAddress(self.bucket, self.prefix + relative_key)


def outermost(roots: Iterable[Root]) -> list[Root]:
    """The roots without those that lie inside another one, sorted, each once."""
    kept: list[Root] = []
    for root in sorted(set(roots)):
        if not any(other.contains(root.at("")) for other in kept):
            kept.append(root)
    return kept


def _split(uri: str) -> tuple[str, str]:
    for scheme in S3_SCHEMES:
        if uri.lower().startswith(scheme):
            bucket, _, key = uri[len(scheme) :].partition("/")
            bucket = bucket.rpartition("@")[2]
            if bucket:
                return bucket, key
    raise UsageError(f"{uri!r} is not an S3 address", hint="write s3://bucket/prefix")


def task_ref(task_id: str | None, map_index: int | None) -> str:
    """`task`, or `task[3]` for one of a mapped task."""
    return f"{task_id}" if map_index in (None, -1) else f"{task_id}[{map_index}]"


def xcom_ref(
    dag_id: str | None, run_id: str | None, task_id: str | None, map_index: int | None, key: str | None
) -> str:
    """`dag/run/task[3]:key`, the way in which users name an XCom, and in which it is named to them."""
    return f"{dag_id}/{run_id}/{task_ref(task_id, map_index)}:{key}"


@dataclass(frozen=True, slots=True)
class Row:
    """One record of an XCom table of the metadata database.

    `raw` is the stored value in one form for every database and release: the bytes of a binary column, or the
    UTF-8 of the JSON text; None for SQL NULL. `row_key` is the primary key, opaque to all but the source.
    Times are aware UTC. Coordinates are None only in archive tables that do not have them.
    """

    table: str
    row_key: str
    dag_run_id: int | None
    dag_id: str | None
    run_id: str | None
    task_id: str | None
    map_index: int | None
    key: str
    written_at: datetime | None
    raw: bytes | None
    run_state: str | None = None
    run_at: datetime | None = None
    run_ended_at: datetime | None = None
    try_number: int | None = None
    superseded: bool = False
    """True for an XCom of an archived attempt (Airflow 3.4 keeps every try)."""

    @property
    def ref(self) -> str:
        """`dag/run/task[3]:key`, as `xcom_ref` makes it."""
        return xcom_ref(self.dag_id, self.run_id, self.task_id, self.map_index, self.key)

    @property
    def short_id(self) -> str:
        """Short id that `ls` prints and `show` takes: `<dag_run_id>-<6 hex digits>`.

        It starts with the id of the run so that the row can be found by the primary key at any table size.
        """
        identity = f"{self.table}\0{self.row_key}"
        digest = hashlib.sha256(identity.encode()).hexdigest()[:6]
        return f"{self.dag_run_id if self.dag_run_id is not None else 0}-{digest}"

    @property
    def size(self) -> int:
        """Bytes that the value takes in the row itself."""
        return len(self.raw or b"")


_SHORT_ID = re.compile(r"(\d{1,18})-[0-9a-f]{6}", re.IGNORECASE)


def short_id_in(text: str) -> str | None:
    """The short id that the text is, as `Row.short_id` spells it; None if it is something else."""
    return text.lower() if _SHORT_ID.fullmatch(text) else None


def digest_of(raw: bytes | None) -> str:
    """Fingerprint of a stored value, to notice that a row changed: hex SHA-256, `null` for SQL NULL."""
    return "null" if raw is None else hashlib.sha256(raw).hexdigest()


_UUID = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32,64}"
)

UUID_PATTERN = _UUID.pattern
"""A uuid with dashes, or a run of 32 to 64 hex digits. The same in `re` and in RE2.

Both sides of a comparison use this one pattern, so that a run that is longer than a uuid is at least equal to itself.
"""

DASHED_UUID_PATTERN = UUID_PATTERN.partition("|")[0]


def uuids_in(text: str) -> list[str]:
    """Every uuid in `text`, lower case, in order."""
    return [found.lower() for found in _UUID.findall(text)]
