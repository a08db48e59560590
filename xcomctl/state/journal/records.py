"""What a journal is made of: operations and their steps as values, and the names of the objects that hold them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal

from xcomctl.models import RESERVED_FOLDER, Root, outermost

StepKind = Literal[
    "keep_objects",
    "delete_rows",
    "discard_objects",
    "restore_objects",
    "insert_rows",
    "purge_objects",
    "abort_uploads",
]
"""keep_objects: nothing is done to them, though the last rows go that name them."""

State = Literal["done", "partial", "failed", "interrupted", "unfinished"]
"""unfinished: there is no word of its end; it is at work, or was killed."""

JournalEntry = dict[str, Any]
"""One thing of a step, as JSON types."""

BEGAN_SCHEMA = "xcomctl.operation/2"
"""Of the first one all steps were lines. Releases that know no other leave the journals of this one alone."""

OLDER_SCHEMAS = ("xcomctl.operation/1",)
ENDED_SCHEMA = "xcomctl.operation-end/1"

BEGAN = "began.json"
ENDED = "ended.json"

OPERATION_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Invocation:
    """Who began an operation, when, and with which command."""

    command: str
    actor: str
    """User and machine: `kim@worker-7`."""
    started_at: datetime
    plan_id: str | None = None


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """An operation as its journal tells of it."""

    id: str
    home: Root
    """The root whose journal it is in."""
    command: str
    actor: str
    """User and machine: `kim@worker-7`."""
    started_at: datetime
    roots: tuple[Root, ...]
    database: str
    """`Source.identity()` of the database."""
    plan_id: str | None
    tool_version: str
    state: State
    ended_at: datetime | None = None
    summary: Mapping[str, Any] = field(default_factory=dict)
    """What it did: `rows`, `objects`, `bytes`, `failed`, and more; empty while it is unfinished."""
    error: str | None = None
    """What ended it before its time, in one line."""


@dataclass(frozen=True, slots=True)
class JournalStep:
    """One step of an operation. `outcome` is None where nobody knows yet what came of it."""

    number: int
    kind: StepKind
    intent: list[JournalEntry]
    outcome: list[JournalEntry] | None


def new_operation_id(now: datetime) -> str:
    """A new id, which sorts by time: `20261122T142831Z-1a2b3c4d`, the microseconds and then three digits by chance."""
    return f"{now.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}-{now.microsecond:05x}{secrets.randbelow(4096):03x}"


def home_of(roots: Sequence[Root]) -> Root:
    """The root that keeps the journal of operations on `roots`, of which there is at least one."""
    return outermost(roots)[0]


def folder_of(home: Root, operation_id: str = "") -> Root:
    """Where the journal of an operation lies; without an id, the journals of all."""
    return Root(home.bucket, f"{home.prefix}{RESERVED_FOLDER}journal/{operation_id}".rstrip("/") + "/")


LINES, COLUMNS = ".ndjson.gz", ".parquet"
"""How the names of objects end that hold the entries of a step: lines of JSON in gzip, or columns."""


def intent_name(number: int, kind: StepKind) -> str:
    """Name of the object that holds what a step is about to do, without its ending."""
    return f"{number:06}-{kind}-intent"


def outcome_name(number: int) -> str:
    """Name of the object that holds what came of a step, without its ending."""
    return f"{number:06}-outcome"
