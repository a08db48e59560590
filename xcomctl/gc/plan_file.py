"""Plans on disk, `plan.xcp`: gzip of NDJSON, so that `zcat plan.xcp | jq` reads one. Streamed both ways.

The first line is the head: the plan without its actions, and their number. Then comes one line per action with all
columns that applying needs. The last line is the foot: the number of actions again, and the SHA-256 of all bytes
before it. What does not add up to its foot is no plan.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xcomctl.errors import RefusedError, UsageError
from xcomctl.files import written_aside
from xcomctl.gc.plan import Basis, Guard, Plan
from xcomctl.gc.plan_actions import ACTION_KINDS, Actions, action_schema
from xcomctl.s3.interface import StoreErrorInfo

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA = "xcomctl.plan-file/2"

_SCHEMA_FAMILY = SCHEMA.partition("/")[0] + "/"

_ACTIONS_AT_A_TIME = 5_000

_LONGEST_LINE = 1 << 24
"""Bytes that a line can have: a damaged file must not fill the memory."""

_TIMES = ("written_at", "run_ended_at", "last_modified")

_NO_SUCH_SHAPE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What Python and Arrow raise where a document is not of the shape that is expected."""


def save(plan: Plan, path: Path) -> None:
    """Write a plan; the file appears when it is whole. Raises UsageError where it cannot be written."""
    # Neither name nor time in it: the same plan is the same file.
    with (
        written_aside(path) as part,
        part.open("wb") as stream,
        gzip.GzipFile(filename="", mode="wb", fileobj=stream, mtime=0) as packed,
    ):
        for line in _lines(plan):
            packed.write(line)


def load(path: Path, tmp: Path | None = None) -> Plan:
    """Read a plan, and check that it is as it was written. Its actions go to the folder `tmp`, as `Actions` says.

    Raises UsageError where the file is no plan, RefusedError where it was edited, cut off, or added to, or is of a
    version that this one does not know.
    """
    try:
        with path.open("rb") as stream, gzip.GzipFile(fileobj=stream) as packed:
            return _read(packed, path, Actions(tmp))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(path, "it is cut off, or its bytes changed") from error
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror or error}", hint="xcomctl plan --out FILE makes a plan"
        ) from error


def _lines(plan: Plan) -> Iterator[bytes]:
    head = {
        **plan.header(),
        "schema": SCHEMA,
        "created_at": plan.created_at.isoformat(),
        "guards": [guard.document() for guard in plan.guards],
        "actions": len(plan.actions),
    }
    line = json.dumps(head).encode() + b"\n"
    digest = hashlib.sha256(line)
    yield line
    for line in plan.lines():
        digest.update(line)
        yield line
    yield json.dumps({"actions": len(plan.actions), "sha256": digest.hexdigest()}).encode() + b"\n"


def _read(packed: gzip.GzipFile, path: Path, actions: Actions) -> Plan:
    line, head = _head(packed, path)
    digest = hashlib.sha256(line)
    try:
        left = int(head["actions"])
        while left > 0:
            lines = [packed.readline(_LONGEST_LINE) for _ in range(min(left, _ACTIONS_AT_A_TIME))]
            left -= len(lines)
            for line in lines:
                digest.update(line)
            actions.add([_batch(lines)])
        foot = json.loads(packed.readline(_LONGEST_LINE))
        if foot != {"actions": head["actions"], "sha256": digest.hexdigest()}:
            raise _damaged(path, "its checksum does not fit")
        if packed.read(1):
            raise _damaged(path, "something follows its end")
        plan = _plan(head, actions)
    except _NO_SUCH_SHAPE as error:
        raise _damaged(path, "its lines are not those of a plan") from error
    if plan.plan_id != head["plan_id"]:
        raise _damaged(path, "its id is not that of its actions")
    return plan


def _head(packed: gzip.GzipFile, path: Path) -> tuple[bytes, dict[str, Any]]:
    """The first line, and what it says."""
    try:
        line = packed.readline(_LONGEST_LINE)
        head = json.loads(line)
        schema = str(head["schema"])
    except (gzip.BadGzipFile, *_NO_SUCH_SHAPE):
        schema = ""
    if not schema.startswith(_SCHEMA_FAMILY):
        raise UsageError(f"{path} is not a plan of xcomctl", hint="xcomctl plan --out FILE makes one")
    if schema != SCHEMA:
        raise RefusedError(
            f"{path} was written by another version of xcomctl, as {schema}; nothing was done",
            hint="make a new plan: xcomctl plan --out FILE",
        )
    return line, head


def _batch(lines: list[bytes]) -> pa.RecordBatch:
    import pyarrow as pa

    schema = action_schema()
    records = []
    for line in lines:
        record = json.loads(line)
        if list(record) != schema.names or record["action"] not in ACTION_KINDS:
            raise ValueError("not an action")
        for name in _TIMES:
            record[name] = None if record[name] is None else datetime.fromisoformat(record[name])
        records.append(record)
    return pa.RecordBatch.from_pylist(records, schema=schema)


def _plan(head: dict[str, Any], actions: Actions) -> Plan:
    scope = dict(head["scope"])
    if not isinstance(scope["roots"], list) or not all(isinstance(uri, str) for uri in scope["roots"]):
        raise TypeError("not roots")
    return Plan(
        created_at=datetime.fromisoformat(head["created_at"]),
        scope=scope,
        basis=Basis.from_document(head),
        totals={str(name): int(number) for name, number in head["totals"].items()},
        guards=tuple(Guard.from_document(guard) for guard in head["guards"]),
        actions=actions,
        notes=tuple(StoreErrorInfo(**note) for note in head["notes"]),
    )


def _damaged(path: Path, why: str) -> RefusedError:
    return RefusedError(
        f"{path} is not as it was written: {why}; nothing was done",
        hint="make a new plan: xcomctl plan --out FILE",
    )
